//! A person's word on a run, as somebody says it here: taken where it is offered (DESIGN section 7),
//! refused with the reason where it is not.
//!
//! What a source reports of a person's word comes in as an event and is recorded as it was said.

use axum::http::StatusCode;
use runledger_ledger::run::{FollowUpAction, FollowUpCommand, RunCommand};
use runledger_ledger::submission::{Command, Submission};
use runledger_ledger::words::{RunId, WorkspaceId};
use runledger_projections::rules::actions::{ActionKey, ActionReason};
use runledger_projections::texts::{Language, Texts};

use crate::access::Access;
use crate::answer::ItemResult;
use crate::app::App;
use crate::problem::{ApiError, ApiResult};
use crate::when;

/// What became of a word.
#[derive(Debug)]
pub(crate) enum Said {
    /// The ledger decided on it: it is recorded, was said before by the same person for the same
    /// reason, or is refused for a cause that is no action's.
    Decided(Box<ItemResult>),
    /// It is not offered.
    NotOffered(ActionReason),
}

/// Says a word on a run, if it is offered. What a person did meanwhile is seen by the ledger itself,
/// however many speak at once; what made the run good, by the read models.
pub(crate) async fn say(
    app: &App,
    access: &Access,
    workspace: WorkspaceId,
    run: RunId,
    word: FollowUpCommand,
) -> ApiResult<Said> {
    let view = when::latest(app, workspace).await?.seen_with(access.sight().clone());
    let standing = view.run(run).await?;
    let key = match word.action {
        FollowUpAction::Resolve => ActionKey::Resolve,
        FollowUpAction::Reopen => ActionKey::Reopen,
    };
    let actions = standing.iter().flat_map(|standing| &standing.now.actions);
    let against = actions.filter(|one| one.key == key && !one.offered).map(|one| one.reason).next();
    if let Some(reason @ (ActionReason::MadeGood | ActionReason::NothingToDo)) = against {
        return Ok(Said::NotOffered(reason));
    }
    let word = FollowUpCommand { unless_resolved: true, ..word };
    let submission = Submission::new(Command::Run(run, RunCommand::FollowUp(word)));
    let submission = submission.by(access.actor().clone()).within(access.within());
    let result = app.submit_one(workspace, submission).await?;
    let refused = result.problem.as_ref().and_then(|problem| problem.code.parse().ok());
    Ok(refused.map_or_else(|| Said::Decided(Box::new(result)), Said::NotOffered))
}

/// The refusal of what is not offered: its code is the reason.
pub(crate) fn not_offered(reason: ActionReason) -> ApiError {
    let why = Texts::of(Language::En).action_reason(reason);
    let detail = format!("this is not offered. {why} `actions` of the run says what is");
    ApiError::new(StatusCode::CONFLICT, reason.as_str(), detail)
}
