//! What a database says of itself: whether its indexes hold what its tables hold, and whether the
//! directory of workspaces names what the logs say.

use sqlx::PgPool;
use uuid::Uuid;

use super::{Scope, Store, StoreError};
use crate::event::{AnyEvent, Recorded, Stream};
use crate::fact::EventType;
use crate::time::Moment;
use crate::words::WorkspaceId;
use crate::workspace::WorkspaceEvent;

/// What a check of the database itself found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Integrity {
    /// What is wrong, in the words of the database.
    pub problems: Vec<String>,
    /// Why its indexes could not be checked, and what to do, if they could not.
    pub unchecked: Option<String>,
}

/// One statement, so that both are of one moment.
const END: &str = "SELECT head.size, head.last_recorded_at, \
     (SELECT max(position) FROM events WHERE workspace_id = head.workspace_id), \
     (SELECT recorded_at FROM events WHERE workspace_id = head.workspace_id \
      AND position = head.size - 1) \
     FROM heads AS head WHERE head.workspace_id = $1";
const UNNAMED_LOGS: &str = "SELECT workspace_id FROM heads UNION SELECT workspace_id FROM events \
     UNION SELECT workspace_id FROM checkpoints UNION SELECT workspace_id FROM tile_hashes \
     EXCEPT SELECT workspace_id FROM workspaces";
const MADE: &str = "SELECT workspace_id, name, created_at FROM workspaces ORDER BY name";
const HAS_AMCHECK: &str = "SELECT to_regprocedure('bt_index_check(regclass,boolean)') IS NOT NULL";
const INDEXES: &str = "\
SELECT i.indexrelid::bigint, i.indexrelid::regclass::text
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS a ON a.oid = c.relam
WHERE a.amname = 'btree' AND c.relkind = 'i' AND c.relpersistence = 'p' AND i.indisvalid
  AND c.relnamespace = current_schema()::regnamespace ORDER BY 2";
const CHECK_INDEX: &str = "SELECT bt_index_check($1::oid::regclass, true)";
const NO_AMCHECK: &str = "PostgreSQL's extension amcheck is not installed in this database; \
     `CREATE EXTENSION amcheck` makes it possible";
const NOT_ALLOWED: &str = "this role may not use PostgreSQL's extension amcheck; grant it EXECUTE \
     on bt_index_check(regclass, boolean)";

impl Store {
    /// Asks the database whether its indexes hold what its tables hold. What is read by an index
    /// that does not would be answered wrongly, though every event is whole.
    ///
    /// # Errors
    /// When the database fails. What it finds damaged is no error.
    pub async fn check_indexes(&self) -> Result<Integrity, StoreError> {
        match self {
            Store::Postgres(store) => on_postgres(store.pool()).await,
            Store::Sqlite(store) => {
                let checked: Result<Vec<String>, sqlx::Error> =
                    sqlx::query_scalar("PRAGMA integrity_check").fetch_all(store.readers()).await;
                let mut problems = match checked.map_err(StoreError::from) {
                    Ok(lines) => lines,
                    // Damage that keeps it from looking any further.
                    Err(StoreError::Corrupt(problem)) => vec![problem],
                    Err(error) => return Err(error),
                };
                problems.retain(|line| line != "ok");
                Ok(Integrity { problems, unchecked: None })
            }
        }
    }

    /// Why the head of a log is not where its events end; none if it is, or if there is no head.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn check_end(&self, id: WorkspaceId) -> Result<Option<String>, StoreError> {
        let row: Option<(i64, i64, Option<i64>, Option<i64>)> = on_both!(read self, id, |connection| {
            sqlx::query_as(END).bind(id.0).fetch_optional(connection).await?
        });
        let Some((size, at, last, recorded_at)) = row else { return Ok(None) };
        let events = last.map_or(0, |last| last + 1);
        if events != size {
            return Ok(Some(format!(
                "its head counts {size} events, and its rows end at {events}"
            )));
        }
        let recorded_at = recorded_at.unwrap_or_default();
        Ok((size > 0 && recorded_at != at).then(|| {
            format!("its head says that the last event was recorded at {at}, and the event {recorded_at}")
        }))
    }

    /// What is wrong with the directory of workspaces: a name that is not the one in the log, and
    /// a log that no name leads to.
    pub async fn check_directory(&self) -> Result<Vec<String>, StoreError> {
        let mut problems = Vec::new();
        for (id, name) in self.workspaces().await? {
            match self.name_in_log(id).await? {
                Ok(said) if said == name => {}
                // Its server died between the two: the next one that makes it takes it over.
                Err(_)
                    if self
                        .head(id)
                        .await
                        .is_ok_and(|head| head.is_some_and(|h| h.size() == 0)) => {}
                Ok(said) => problems.push(format!(
                    "the workspace {id} is called {name}, and its log says that it is {said}"
                )),
                Err(problem) => problems.push(format!("the workspace {name} ({id}): {problem}")),
            }
        }
        let unnamed: Vec<(Uuid,)> = on_both!(read self, Scope::Service, |connection| {
            sqlx::query_as(UNNAMED_LOGS).fetch_all(connection).await?
        });
        let made: Vec<(Uuid, String, i64)> = on_both!(read self, Scope::Service, |connection| {
            sqlx::query_as(MADE).fetch_all(connection).await?
        });
        problems
            .extend(made.into_iter().filter_map(|(id, name, at)| made_otherwise(id, &name, at)));
        for (id,) in unnamed {
            let id = WorkspaceId(id);
            let said = self.name_in_log(id).await?.ok();
            let said = said.map(|name| format!(", which was made as {name}")).unwrap_or_default();
            problems.push(format!("there is a log of the workspace {id}{said}, and no name of it"));
        }
        Ok(problems)
    }

    /// The name that a log gives its workspace, or why it gives none.
    async fn name_in_log(&self, id: WorkspaceId) -> Result<Result<String, String>, StoreError> {
        let created = EventType::WorkspaceCreated;
        let Some(event) = self.last_of_type(id, Stream::workspace(id), created).await? else {
            let nothing = "its log has no workspace.created".to_owned();
            return Ok(Err(nothing));
        };
        Ok(match Recorded::decode(&event.body).map(|event| event.fact.event) {
            Ok(AnyEvent::Workspace(WorkspaceEvent::Created(created))) => {
                Ok(created.name.to_string())
            }
            Ok(_) => Err("what should be its workspace.created is something else".to_owned()),
            Err(error) => Err(format!("its workspace.created cannot be read: {error}")),
        })
    }
}

/// The id of a workspace, which stands in each of its events, holds the millisecond in which it was made.
fn made_otherwise(id: Uuid, name: &str, at: i64) -> Option<String> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    let millis = i64::try_from(seconds).ok()?.checked_mul(1_000)? + i64::from(nanos / 1_000_000);
    let (said, stored) = (Moment::from_micros(millis.checked_mul(1_000)?), Moment::from_micros(at));
    (at.div_euclid(1_000) != millis).then(|| {
        format!(
            "the workspace {name} ({id}) was made at {said}, as its id says, and the column \
             created_at says {stored}"
        )
    })
}

async fn on_postgres(pool: &PgPool) -> Result<Integrity, StoreError> {
    let there: bool = sqlx::query_scalar(HAS_AMCHECK).fetch_one(pool).await?;
    if !there {
        return Ok(Integrity { unchecked: Some(NO_AMCHECK.to_owned()), ..Integrity::default() });
    }
    let mut found = Integrity::default();
    let indexes: Vec<(i64, String)> = sqlx::query_as(INDEXES).fetch_all(pool).await?;
    for (index, name) in indexes {
        let checked = sqlx::query(CHECK_INDEX).bind(index).execute(pool).await;
        let Err(error) = checked else { continue };
        let code = error.as_database_error().and_then(|error| error.code());
        let code = code.unwrap_or_default();
        match &error {
            // Internal errors, of which XX001 and XX002 are damaged data and a damaged index.
            sqlx::Error::Database(said) if code.starts_with("XX") => {
                found.problems.push(format!("the index {name}: {}", said.message()));
            }
            _ if code == "42501" => {
                found.unchecked = Some(NOT_ALLOWED.to_owned());
                break;
            }
            _ => return Err(error.into()),
        }
    }
    Ok(found)
}
