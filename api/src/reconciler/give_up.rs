//! Giving up silent runs without a registry: what a scenario does, which has its own clock and no
//! domain.

use runledger_adapters::lifecycle;
use runledger_ledger::run::RunCommand;
use runledger_ledger::submission::{Answer, Command, Submission};
use runledger_ledger::time::Moment;
use runledger_ledger::words::WorkspaceId;
use runledger_projections::Projections;

use super::{PAGE, ReconcileError};

/// Gives up the runs of a workspace that are due at `now`, as far as its read models know of them,
/// and returns how many decisions were recorded. A run that has moved since is left to the next
/// look.
///
/// Called again once the read models have folded what it recorded, it records nothing.
pub async fn act(
    projections: &Projections,
    workspace: WorkspaceId,
    now: Moment,
) -> Result<usize, ReconcileError> {
    let mut decisions = Vec::new();
    for due in projections.overdue(workspace, now, PAGE).await? {
        match lifecycle::abandon(&due.run, due.due_at, now) {
            Ok(None) => {}
            Ok(Some(decision)) => {
                let command = RunCommand::Reconcile(Box::new(decision));
                decisions.push(Submission::new(Command::Run(due.run_id, command)));
            }
            Err(error) => {
                tracing::error!(%workspace, run = %due.run_id, %error, "a decision was dropped");
            }
        }
    }
    let answers = projections.ledger().submit(workspace, decisions, false).await?;
    Ok(answers.iter().filter(|answer| matches!(answer, Answer::Recorded(_))).count())
}
