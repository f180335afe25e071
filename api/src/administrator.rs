//! What the log says of the administrator's token, which is in no database.

use runledger_ledger::access::{AccessChange, Role, TokenCreated};
use runledger_ledger::clock::Entropy;
use runledger_ledger::ledger::Ledger;
use runledger_ledger::submission::{Answer, Command, Submission};
use runledger_ledger::words::{Name, Note};
use runledger_ledger::workspace::WorkspaceCommand;

use crate::server;
use crate::workspaces::WorkspaceName;

/// Who holds it.
pub(crate) const NAME: &str = "administrator";
/// Why there is a new one.
const MADE: &str =
    "the server began, found no file admin-token in its data directory, and made one";

/// Has the log of `workspace` say that a server has made another token for its administrator: whoever
/// can remove the file gets a new one from the next start, and that shall not stay unseen.
///
/// # Errors
/// If the database cannot be asked.
pub(crate) async fn tell_of_new(
    ledger: &Ledger,
    workspace: &WorkspaceName,
    entropy: &Entropy,
) -> anyhow::Result<()> {
    let workspace = ledger.store().workspace_by_name(workspace.as_str()).await?;
    let Some(workspace) = workspace else { return Ok(()) };
    let created = AccessChange::TokenCreated(TokenCreated {
        token: entropy.uuid_v7(ledger.now())?,
        holder: Name::new(NAME)?,
        role: Role::Owner,
        environments: None,
        expires_at: None,
        replaces: None,
        reason: Note::new(MADE)?,
    });
    let command = Command::Workspace(WorkspaceCommand::NoteAccess(created));
    let submission = Submission::new(command).by(server::itself()?);
    match ledger.submit(workspace, vec![submission], true).await.as_deref() {
        Ok([Answer::Recorded(_)]) => {}
        // A log that is not what was signed takes nothing, and the server says so itself.
        other => tracing::warn!(?other, "that the administrator's token is new was not recorded"),
    }
    Ok(())
}
