//! How text is sorted. The rules are those of a library of the machine, every index over text rests on
//! them, and an upgrade of the machine, or a copy to another one, may bring other ones.

use sqlx::PgPool;

use super::super::{Danger, Trust};
use crate::store::StoreError;

/// The version of the rules when the database was made, and that of those in use. Neither is there where
/// the rules have none, as those of the collation C.
const VERSIONS: &str = "SELECT datcollversion, pg_database_collation_actual_version(oid) \
     FROM pg_database WHERE datname = current_database()";

/// An index that was built by other rules does not find what is in it: an id that was reported before
/// would be taken for a new one, and what was recorded for ever would be recorded twice.
pub(super) async fn look(pool: &PgPool, trust: &mut Trust) -> Result<(), StoreError> {
    let versions: (Option<String>, Option<String>) =
        sqlx::query_as(VERSIONS).fetch_one(pool).await?;
    if let (Some(made), Some(used)) = versions
        && made != used
    {
        trust.fault(
            Danger::Durability,
            format!(
                "the indexes over text were built by version {made} of the collation of this database, \
                 and the machine has version {used}, so they may not find a report that is there, and \
                 it would be recorded twice; as the database's owner run REINDEX DATABASE, and then \
                 ALTER DATABASE ... REFRESH COLLATION VERSION"
            ),
        );
    }
    Ok(())
}
