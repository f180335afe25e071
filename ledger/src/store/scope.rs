//! What a transaction may see (specs/0019). On PostgreSQL row-level security holds it to that; on
//! SQLite each statement names its workspace, as it does on PostgreSQL too.

use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};

use crate::words::WorkspaceId;

/// What a transaction may see, and change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The rows of one workspace.
    Workspace(WorkspaceId),
    /// What spans workspaces by its nature: their directory, where their heads are, how far their
    /// read models have come (to read), leases and the mark of listening. No event and no run.
    Service,
}

impl From<WorkspaceId> for Scope {
    fn from(workspace: WorkspaceId) -> Self {
        Scope::Workspace(workspace)
    }
}

/// How a transaction begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Committed means on the disk.
    Durable,
    /// Nobody waits for the disk: for what can be derived again.
    Relaxed,
    /// To read.
    Reading,
    /// To read, and everything is of one moment of the database.
    Snapshot,
}

impl Begin {
    const fn statement(self) -> &'static str {
        match self {
            Begin::Durable => "BEGIN",
            Begin::Relaxed => "BEGIN; SET LOCAL synchronous_commit TO OFF",
            Begin::Reading => "BEGIN READ ONLY",
            Begin::Snapshot => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }
}

/// Begins a transaction that sees `scope` and nothing else, in one round trip. Whoever gives up
/// waiting for it leaves nothing behind.
pub(super) async fn begin(
    pool: &PgPool,
    how: Begin,
    scope: Scope,
) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let begin = how.statement();
    // Only constants, and an id as we write it: no text of a caller is in it.
    let begin = match scope {
        Scope::Workspace(WorkspaceId(id)) => {
            format!("{begin}; SET LOCAL runledger.workspace = '{}'", id.hyphenated())
        }
        Scope::Service => format!("{begin}; SET LOCAL runledger.service = 'on'"),
    };
    let pool = pool.clone();
    // In a task of its own, which nobody drops. A connection whose BEGIN was sent and not awaited
    // goes back to its pool within a transaction, and whoever gets it next inherits what that one
    // may see and do: the driver rolls back only what it knows to have begun.
    let begun = tokio::spawn(async move { pool.begin_with(AssertSqlSafe(begin)).await });
    // It ends early only with the whole program.
    begun.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}
