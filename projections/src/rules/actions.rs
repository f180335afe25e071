//! What a person may do about a run (DESIGN section 7), derived from its actionability.
//!
//! Every screen, answer and command shows this list and adds nothing to it.

use runledger_ledger::run::Run;
use runledger_ledger::words;
use serde::{Deserialize, Serialize};

use super::actionability::{Actionability, Verdict, is_follow_up, may_be_proven};

words! {
    /// Something that a person may do.
    ActionKey {
        /// Say that nothing is left to do.
        Resolve = "resolve",
        /// Take that back.
        Reopen = "reopen",
        /// Let the operation's adapter look for proof.
        AskAdapter = "ask_adapter",
        /// Run the work again, in the system that it came from.
        RetryElsewhere = "retry_elsewhere",
    }
}

words! {
    /// Why an action is offered, or is not.
    ActionReason {
        /// Offered: the run waits for a person's word.
        NeedsPerson = "needs_person",
        /// Offered: a person closed it, and may think again.
        ResolvedByPerson = "resolved_by_person",
        /// Offered: the adapter may find out how the run ended.
        MayProveEnd = "may_prove_end",
        /// Offered: the adapter may find that the work is there after all.
        MayProveSuccess = "may_prove_success",
        /// Offered: running it again may do the work.
        MaySucceed = "may_succeed",
        /// Not offered: the run has not ended.
        NotTerminal = "not_terminal",
        /// Not offered: there is nothing to do about it.
        NothingToDo = "nothing_to_do",
        /// Not offered: a later run or the present state has made it good.
        MadeGood = "made_good",
        /// Not offered: a person has closed it already.
        AlreadyResolved = "already_resolved",
        /// Not offered: nobody has closed it.
        NotResolved = "not_resolved",
        /// Not offered: its operation has no adapter.
        NoAdapter = "no_adapter",
        /// Not offered: proof would add nothing to what is recorded.
        NothingToProve = "nothing_to_prove",
        /// Not offered: a person must look before anything is run again.
        ReviewFirst = "review_first",
        /// Not offered: its source says that trying again does not help.
        NotRetryable = "not_retryable",
    }
}

/// One action, offered or not, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Action {
    /// What may be done.
    pub key: ActionKey,
    /// Whether it is offered.
    pub offered: bool,
    /// Why, or why not.
    pub reason: ActionReason,
}

/// All four actions, always in the order of [`ActionKey::ALL`]. `has_adapter` is whether the run's
/// operation has an adapter that can be asked.
pub fn actions(run: &Run, verdict: &Verdict, has_adapter: bool) -> Vec<Action> {
    vec![
        action(ActionKey::Resolve, resolve(verdict.status)),
        action(ActionKey::Reopen, reopen(verdict.status)),
        action(ActionKey::AskAdapter, ask_adapter(run, verdict.status, has_adapter)),
        action(ActionKey::RetryElsewhere, retry_elsewhere(run, verdict.status)),
    ]
}

/// The reason for offering an action, or the one against.
type Offer = Result<ActionReason, ActionReason>;

fn action(key: ActionKey, offer: Offer) -> Action {
    let (Ok(reason) | Err(reason)) = offer;
    Action { key, offered: offer.is_ok(), reason }
}

fn resolve(status: Actionability) -> Offer {
    closed(status).map_or(Ok(ActionReason::NeedsPerson), Err)
}

fn reopen(status: Actionability) -> Offer {
    match closed(status) {
        Some(ActionReason::AlreadyResolved) => Ok(ActionReason::ResolvedByPerson),
        Some(ActionReason::MadeGood) | None => Err(ActionReason::NotResolved),
        Some(reason) => Err(reason),
    }
}

fn ask_adapter(run: &Run, status: Actionability, has_adapter: bool) -> Offer {
    if !has_adapter {
        return Err(ActionReason::NoAdapter);
    }
    match closed(status) {
        Some(ActionReason::NotTerminal) => Ok(ActionReason::MayProveEnd),
        Some(reason) => Err(reason),
        None if may_be_proven(run) => Ok(ActionReason::MayProveSuccess),
        None => Err(ActionReason::NothingToProve),
    }
}

fn retry_elsewhere(run: &Run, status: Actionability) -> Offer {
    if let Some(reason) = closed(status) {
        return Err(reason);
    }
    if status == Actionability::RequiresManualReview {
        return Err(ActionReason::ReviewFirst);
    }
    match run.completion.as_ref().and_then(|end| end.retryable) {
        Some(false) => Err(ActionReason::NotRetryable),
        Some(true) | None => Ok(ActionReason::MaySucceed),
    }
}

/// Why a run of this status waits for nobody; none if it is a follow-up.
fn closed(status: Actionability) -> Option<ActionReason> {
    if is_follow_up(status) {
        return None;
    }
    Some(match status {
        Actionability::NotTerminal => ActionReason::NotTerminal,
        Actionability::ResolvedByOperator => ActionReason::AlreadyResolved,
        Actionability::ResolvedByCurrentState | Actionability::SupersededByLaterSuccess => {
            ActionReason::MadeGood
        }
        Actionability::InformationalOnly
        | Actionability::RequiresManualReview
        | Actionability::Actionable => ActionReason::NothingToDo,
    })
}

#[cfg(test)]
mod tests {
    use runledger_ledger::run::{AdapterDecision, Report};
    use runledger_ledger::words::Outcome;

    use super::*;
    use crate::rules::actionability::{Evidence, Superseding, actionability};
    use crate::rules::story::{Story, minute, name, operation, run_id};

    fn offered(story: &Story, has_adapter: bool) -> Vec<(ActionKey, bool, &'static str)> {
        offered_with(story, has_adapter, &Evidence::default())
    }

    fn offered_with(
        story: &Story,
        has_adapter: bool,
        evidence: &Evidence,
    ) -> Vec<(ActionKey, bool, &'static str)> {
        let operation = operation(story.run.operation.as_ref().unwrap().as_str());
        let verdict = actionability(&story.run, &operation, evidence);
        let actions = actions(&story.run, &verdict, has_adapter);
        actions.iter().map(|a| (a.key, a.offered, a.reason.as_str())).collect()
    }

    /// The answers in the order resolve, reopen, ask_adapter, retry_elsewhere.
    fn answers(offered: [(bool, &'static str); 4]) -> Vec<(ActionKey, bool, &'static str)> {
        ActionKey::ALL.iter().zip(offered).map(|(key, (yes, why))| (*key, yes, why)).collect()
    }

    #[test]
    fn a_problem_may_be_resolved_proven_and_tried_again() {
        let story = Story::dispatched("inventory.sync", 0).ended_as(1, Outcome::Failed);
        let expected = answers([
            (true, "needs_person"),
            (false, "not_resolved"),
            (true, "may_prove_success"),
            (true, "may_succeed"),
        ]);
        assert_eq!(offered(&story, true), expected);
        assert_eq!(offered(&story, false)[2], (ActionKey::AskAdapter, false, "no_adapter"));
    }

    #[test]
    fn of_an_active_run_only_the_adapter_may_be_asked() {
        let no = (false, "not_terminal");
        let story = Story::dispatched("inventory.sync", 0).started(1);
        let expected = answers([no, no, (true, "may_prove_end"), no]);
        assert_eq!(offered(&story, true), expected);
    }

    #[test]
    fn about_a_success_there_is_nothing_to_do() {
        let no = (false, "nothing_to_do");
        let story = Story::dispatched("inventory.sync", 0).ended_as(1, Outcome::Succeeded);
        assert_eq!(offered(&story, true), answers([no; 4]));
    }

    #[test]
    fn what_a_person_closed_only_a_person_may_open_again() {
        let story = Story::dispatched("restore.execute", 0).ended_as(1, Outcome::Failed);
        let no = (false, "already_resolved");
        let expected = answers([no, (true, "resolved_by_person"), no, no]);
        assert_eq!(offered(&story.clone().resolved(2), true), expected);
        let reopened = offered(&story.resolved(2).reopened(3), true);
        assert_eq!(reopened[0], (ActionKey::Resolve, true, "needs_person"));
    }

    #[test]
    fn what_was_made_good_is_left_alone() {
        let story = Story::dispatched("inventory.sync", 0).ended_as(1, Outcome::Failed);
        let success =
            Superseding { run_id: run_id(2), dispatched_at: minute(5), ended_at: minute(5) };
        let evidence = Evidence { superseding: Some(success), observation: None };
        let no = (false, "made_good");
        let expected = answers([no, (false, "not_resolved"), no, no]);
        assert_eq!(offered_with(&story, true, &evidence), expected);
    }

    #[test]
    fn a_high_risk_change_is_looked_at_before_it_is_run_again() {
        let story = Story::dispatched("restore.execute", 0).ended_as(1, Outcome::Failed);
        let found = offered(&story, true);
        assert_eq!(found[2], (ActionKey::AskAdapter, true, "may_prove_success"));
        assert_eq!(found[3], (ActionKey::RetryElsewhere, false, "review_first"));
        // Proof is recorded once; asking again would add nothing.
        let found = offered(&story.reconciled(2, AdapterDecision::Succeeded), true);
        assert_eq!(found[0], (ActionKey::Resolve, true, "needs_person"));
        assert_eq!(found[2], (ActionKey::AskAdapter, false, "nothing_to_prove"));
    }

    #[test]
    fn an_adapter_is_not_asked_about_a_success_that_was_contradicted() {
        let story = Story::dispatched("inventory.sync", 0)
            .ended_as(1, Outcome::Succeeded)
            .ended_as(2, Outcome::Failed);
        let found = offered(&story, true);
        assert_eq!(found[2], (ActionKey::AskAdapter, false, "nothing_to_prove"));
    }

    #[test]
    fn a_source_that_says_trying_again_does_not_help_is_believed() {
        let report = |retryable| Report::Failed {
            message: None,
            outcome: Outcome::Failed,
            reason_code: name("bad_input"),
            retryable,
        };
        let retry = |retryable| {
            let story = Story::dispatched("inventory.sync", 0).signal(1, report(retryable));
            offered(&story, false)[3]
        };
        assert_eq!(retry(Some(false)), (ActionKey::RetryElsewhere, false, "not_retryable"));
        assert_eq!(retry(Some(true)), (ActionKey::RetryElsewhere, true, "may_succeed"));
        assert_eq!(retry(None), (ActionKey::RetryElsewhere, true, "may_succeed"));
    }
}
