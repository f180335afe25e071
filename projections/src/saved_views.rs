//! Lists of runs that people gave a name: the filters of a list as its URL has them. They are kept
//! for everybody who looks at the workspace, and say nothing of any run.

use runledger_ledger::store::StoreError;
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, WorkspaceId};

use crate::db::{Tx, on_tx};
use crate::projections::Projections;

/// A list of runs with a name.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct SavedView {
    /// Its name, unique in the workspace.
    pub name: String,
    /// The filters, as the query of a URL.
    pub query: String,
    /// Who saved it.
    pub saved_by: String,
}

impl SavedView {
    /// Most of them in a workspace.
    pub const MOST: usize = 50;
    /// Most characters of a name.
    pub const NAME: usize = 60;
    /// Most bytes of the filters.
    pub const QUERY: usize = 2_000;
}

/// What became of a view that was to be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is there, in place of an older one of its name if there was one.
    Saved,
    /// There are [`SavedView::MOST`] others.
    Full,
    /// Somebody else saved the one of this name, and it stays as it is.
    OfAnother,
}

const LIST: &str =
    "SELECT name, query, saved_by FROM saved_views WHERE workspace_id = $1 ORDER BY name";
/// One of the same person may be replaced; a new one has to find room.
const SAVE: &str = "INSERT INTO saved_views (workspace_id, name, query, saved_by, saved_at) \
     SELECT $1, $2, $3, $4, $5 WHERE (SELECT count(*) FROM saved_views \
     WHERE workspace_id = $1 AND name <> $2) < $6 \
     ON CONFLICT (workspace_id, name) DO UPDATE SET query = excluded.query, \
     saved_at = excluded.saved_at WHERE saved_views.saved_by = excluded.saved_by";
const FORGET: &str = "DELETE FROM saved_views WHERE workspace_id = $1 AND name = $2 \
     AND saved_by = $3";
const THERE: &str = "SELECT count(*) FROM saved_views WHERE workspace_id = $1 AND name = $2";

impl Projections {
    /// The saved views of a workspace, by name. One statement.
    pub async fn saved_views(&self, workspace: WorkspaceId) -> Result<Vec<SavedView>, StoreError> {
        let mut tx = Tx::read(self.store(), workspace).await?;
        Ok(on_tx!(&mut tx, |connection| {
            sqlx::query_as::<Db, SavedView>(LIST).bind(workspace.0).fetch_all(connection).await?
        }))
    }

    /// Saves a view, in place of one of the same name that `by` has saved.
    pub async fn save_view(
        &self,
        workspace: WorkspaceId,
        name: &str,
        query: &str,
        by: &Name,
        at: Moment,
    ) -> Result<Kept, StoreError> {
        let most = i64::try_from(SavedView::MOST).unwrap_or(i64::MAX);
        let mut tx = Tx::begin(self.store(), workspace).await?;
        let saved = on_tx!(&mut tx, |connection| {
            let statement = sqlx::query::<Db>(SAVE).bind(workspace.0).bind(name).bind(query);
            let statement = statement.bind(by.to_string()).bind(at.micros()).bind(most);
            statement.execute(connection).await?.rows_affected()
        });
        let there = saved == 0 && is_there(&mut tx, workspace, name).await?;
        tx.commit().await?;
        Ok(match (saved, there) {
            (0, true) => Kept::OfAnother,
            (0, false) => Kept::Full,
            _ => Kept::Saved,
        })
    }

    /// Forgets a view, if there is one of this name that `saved_by` saved. False if one of this name stays.
    pub async fn forget_view(
        &self,
        workspace: WorkspaceId,
        name: &str,
        saved_by: &str,
    ) -> Result<bool, StoreError> {
        let mut tx = Tx::begin(self.store(), workspace).await?;
        on_tx!(&mut tx, |connection| {
            let statement = sqlx::query::<Db>(FORGET).bind(workspace.0).bind(name);
            statement.bind(saved_by).execute(connection).await?;
        });
        let stays = is_there(&mut tx, workspace, name).await?;
        tx.commit().await?;
        Ok(!stays)
    }
}

async fn is_there(tx: &mut Tx, workspace: WorkspaceId, name: &str) -> Result<bool, StoreError> {
    let found: i64 = on_tx!(tx, |connection| {
        let statement = sqlx::query_scalar::<Db, i64>(THERE).bind(workspace.0).bind(name);
        statement.fetch_one(connection).await?
    });
    Ok(found > 0)
}
