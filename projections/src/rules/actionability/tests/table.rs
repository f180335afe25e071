//! The table of section 7 as a whole: every history that the ledger can record of an ended run,
//! under every policy that a catalog can state, with every kind of evidence.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use runledger_ledger::catalog::Catalog;

use super::*;

/// One question put to the rule.
struct Case<'a> {
    run: &'a Run,
    operation: Operation<'a>,
    evidence: &'a Evidence,
}

/// A row: its number, its condition as the design states it, its status and reason.
struct Row {
    number: &'static str,
    holds: fn(&Case<'_>) -> bool,
    status: Actionability,
    reason: Option<&'static str>,
}

/// The table. Row 8 and row 9 leave out what the callers of the rule have looked up already.
const TABLE: &[Row] = &[
    row("1", |case| case.run.status != Status::Completed, Actionability::NotTerminal, None),
    row(
        "2",
        |case| {
            matches!(case.run.outcome, Outcome::Succeeded | Outcome::Cancelled)
                && !case.run.is_contradicted()
        },
        Actionability::InformationalOnly,
        Some("no_problem"),
    ),
    row(
        "3",
        |case| case.operation.family.informational,
        Actionability::InformationalOnly,
        Some("informational_family"),
    ),
    row(
        "4",
        |case| case.run.resolution().is_some(),
        Actionability::ResolvedByOperator,
        Some("fixed_by_hand"),
    ),
    row(
        "5",
        |case| case.operation.family.review == Review::Manual,
        Actionability::RequiresManualReview,
        Some("high_risk"),
    ),
    row(
        "6",
        |case| {
            let run = case.run;
            let inferred = run.outcome == Outcome::Unknown
                || (run.is_reconciled() && run.outcome.is_problem());
            inferred && late_outcomes(run) == [Outcome::Succeeded].into()
        },
        Actionability::ResolvedByCurrentState,
        Some("late_success"),
    ),
    row(
        "6a",
        |case| {
            case.run.outcome == Outcome::Unknown
                && late_outcomes(case.run) == [Outcome::Cancelled].into()
        },
        Actionability::ResolvedByCurrentState,
        Some("late_cancellation"),
    ),
    row(
        "7",
        |case| case.run.proof.is_some(),
        Actionability::ResolvedByCurrentState,
        Some("reconciliation_proof"),
    ),
    row(
        "8",
        |case| {
            let has_key = match case.operation.family.supersession {
                Supersession::None => false,
                Supersession::Scope => true,
                Supersession::Subject => case.run.subject.is_some(),
                Supersession::Fingerprint => case.run.fingerprint.is_some(),
            };
            has_key && case.evidence.superseding.is_some_and(|s| s.dispatched_at > settled(case))
        },
        Actionability::SupersededByLaterSuccess,
        Some("later_success"),
    ),
    row(
        "9",
        |case| {
            case.operation.family.current_state == CurrentState::Subject
                && case.run.subject.is_some()
                && case.evidence.observation.is_some_and(|seen| {
                    seen.state == SubjectState::Healthy && seen.verified_at > settled(case)
                })
        },
        Actionability::ResolvedByCurrentState,
        Some("healthy_subject"),
    ),
    row(
        "10",
        |case| case.run.is_contradicted(),
        Actionability::RequiresManualReview,
        Some("contradicted"),
    ),
    row(
        "11",
        |case| match case.operation.family.supersession {
            Supersession::Subject => case.run.subject.is_none(),
            Supersession::Fingerprint => case.run.fingerprint.is_none(),
            Supersession::None | Supersession::Scope => false,
        },
        Actionability::RequiresManualReview,
        Some("insufficient_correlation"),
    ),
    row(
        "12 unclassified",
        |case| case.operation.family_name == UNCLASSIFIED,
        Actionability::Actionable,
        Some("unclassified_operation"),
    ),
    row("12", |_| true, Actionability::Actionable, Some("problem")),
];

const fn row(
    number: &'static str,
    holds: fn(&Case<'_>) -> bool,
    status: Actionability,
    reason: Option<&'static str>,
) -> Row {
    Row { number, holds, status, reason }
}

fn late_outcomes(run: &Run) -> BTreeSet<Outcome> {
    run.late.iter().map(|late| late.outcome).filter(|outcome| *outcome != run.outcome).collect()
}

fn settled(case: &Case<'_>) -> Moment {
    case.run.settled_at.unwrap_or(Moment::MAX)
}

#[test]
fn the_first_row_that_holds_decides_in_every_case_there_is() {
    let policies = policies();
    let (mut rows, mut overruled) = (BTreeSet::new(), BTreeSet::new());
    for story in histories() {
        for run in correlations(&story) {
            for (operation, evidence) in questions(&policies, &run) {
                let case = Case { run: &run, operation, evidence: &evidence };
                let holding: Vec<_> = TABLE.iter().filter(|row| (row.holds)(&case)).collect();
                let verdict = actionability(&run, &operation, &evidence);
                let expected = (holding[0].status, holding[0].reason);
                assert_eq!(
                    (verdict.status, verdict.reason.as_deref()),
                    expected,
                    "row {} of {:?} under {}, with {evidence:?}: {run:#?}",
                    holding[0].number,
                    holding.iter().map(|row| row.number).collect::<Vec<_>>(),
                    operation.name,
                );
                rows.insert(holding[0].number);
                overruled.extend(holding.iter().skip(1).map(|row| (holding[0].number, row.number)));
                // Row 2 is no problem at all; every other row that ends well says what proves it.
                let proven = !is_follow_up(verdict.status)
                    && verdict.status != Actionability::NotTerminal
                    && verdict.status != Actionability::InformationalOnly;
                assert_eq!(verdict.proof.is_some(), proven, "{verdict:?}");
            }
        }
    }
    assert_eq!(rows.len(), TABLE.len(), "every row decides somewhere: {rows:?}");
    // Rows meet each other, so that their order matters.
    for pair in [
        ("2", "3"),
        ("3", "4"),
        ("4", "5"),
        ("5", "6"),
        ("6", "7"),
        ("6a", "8"),
        ("7", "8"),
        ("8", "9"),
        ("8", "10"),
        ("9", "10"),
        ("9", "11"),
        ("10", "11"),
    ] {
        assert!(overruled.contains(&pair), "{pair:?}");
    }
}

#[test]
fn a_follow_up_is_exactly_what_is_actionable_or_requires_manual_review() {
    let expected = [Actionability::RequiresManualReview, Actionability::Actionable];
    let found: Vec<_> =
        Actionability::ALL.iter().copied().filter(|status| is_follow_up(*status)).collect();
    assert_eq!(found, expected);
}

/// Every history of up to two late words, a proof, a resolution and a reopening that the ledger
/// records; those that look the same to the rule are told once.
fn histories() -> Vec<Run> {
    let begin = || Story::dispatched("any.operation", 0).lenient();
    let mut ends: Vec<Story> = [
        AdapterDecision::Succeeded,
        AdapterDecision::PartiallySucceeded,
        AdapterDecision::Failed,
        AdapterDecision::Blocked,
        AdapterDecision::Unknown,
    ]
    .map(|decision| begin().reconciled(10, decision))
    .into();
    ends.extend(signalled().map(|outcome| begin().ended_as(10, outcome)));
    let mut runs = vec![begin().run, begin().started(1).run];
    let mut push = |story: &Story| {
        for run in [
            story.run.clone(),
            story.clone().resolved(40).run,
            story.clone().resolved(40).reopened(41).run,
        ] {
            let known = runs.iter().any(|other: &Run| looks(other) == looks(&run));
            if !known {
                runs.push(run);
            }
        }
    };
    for end in &ends {
        for proven in [end.clone(), end.clone().reconciled(15, AdapterDecision::Succeeded)] {
            push(&proven);
            for first in signalled() {
                let once = proven.clone().ended_as(20, first);
                push(&once);
                push(&proven.clone().resolved(19).ended_as(20, first));
                for second in signalled() {
                    let twice = once.clone().ended_as(25, second);
                    push(&twice);
                    push(&twice.reconciled(30, AdapterDecision::Succeeded));
                }
            }
        }
    }
    runs
}

fn signalled() -> impl Iterator<Item = Outcome> {
    Outcome::ALL.iter().copied().filter(|outcome| *outcome != Outcome::Pending)
}

/// All of a run that the rule may look at.
fn looks(run: &Run) -> impl PartialEq + use<> {
    let late: BTreeSet<_> = run.late.iter().map(|late| (late.outcome, late.agrees)).collect();

    (run.outcome, run.is_reconciled(), late, run.proof.is_some(), run.resolution().is_some())
}

/// The run with and without a subject and a fingerprint.
fn correlations(run: &Run) -> [Run; 4] {
    let subject = Some("thing/1".parse().unwrap());
    let fingerprint = Some(name("f1"));
    let with = |subject, fingerprint| Run { subject, fingerprint, ..run.clone() };
    [
        with(None, None),
        with(subject.clone(), None),
        with(None, fingerprint.clone()),
        with(subject, fingerprint),
    ]
}

/// Every policy with every kind of evidence, relative to when the run settled.
fn questions<'a>(
    policies: &'a Catalog,
    run: &Run,
) -> impl Iterator<Item = (Operation<'a>, Evidence)> + use<'a> {
    let settled = run.settled_at.unwrap_or(minute(10));
    let later = settled.plus(runledger_ledger::time::Span::from_micros(1));
    let success = |at| Some(Superseding { run_id: run_id(9), dispatched_at: at, ended_at: at });
    let seen = |state, at| Some(Observation { state, verified_at: at, position: 7 });
    let mut evidence = Vec::new();
    for superseding in [None, success(settled), success(later)] {
        for observation in [
            None,
            seen(SubjectState::Healthy, settled),
            seen(SubjectState::Unhealthy, later),
            seen(SubjectState::Healthy, later),
        ] {
            evidence.push(Evidence { superseding, observation });
        }
    }
    let operations: Vec<_> =
        policies.operations().chain([policies.operation("never.heard.of")]).collect();
    operations
        .into_iter()
        .flat_map(move |operation| evidence.clone().into_iter().map(move |e| (operation, e)))
}

/// A catalog with one operation for every combination of policies.
fn policies() -> Catalog {
    let title = "title = { en = \"T\", de = \"T\" }";
    let mut text = format!("version = 1\n[family.unclassified]\n{title}\n");
    text.push_str(&format!("[operation.\"known.but\"]\nfamily = \"unclassified\"\n{title}\n"));
    for supersession in ["none", "scope", "subject", "fingerprint"] {
        for current_state in ["none", "subject"] {
            for review in ["auto", "manual"] {
                for informational in [false, true] {
                    let family = format!("{supersession}_{current_state}_{review}_{informational}");
                    write!(
                        text,
                        "[family.{family}]\n{title}\nsupersession = \"{supersession}\"\n\
                         current_state = \"{current_state}\"\nreview = \"{review}\"\n\
                         informational = {informational}\n\
                         [operation.\"op.{family}\"]\nfamily = \"{family}\"\n{title}\n"
                    )
                    .unwrap();
                }
            }
        }
    }
    Catalog::parse(&text).unwrap()
}
