//! A domain database: the documented example, and the role that adapters read it with.

use sqlx::{AssertSqlSafe, PgPool};

use crate::database::{DatabaseError, create_role};

/// The documented example in a database of its own.
#[derive(Clone, Debug)]
pub struct DomainDatabase {
    /// The application's own connections: they may write.
    pub pool: PgPool,
    /// What adapters sign in with. The role may only read.
    pub url: String,
}

impl DomainDatabase {
    /// Makes the example's tables in the empty database that `url` names.
    ///
    /// # Errors
    /// [`DatabaseError`], when the server cannot be reached or refuses.
    pub async fn in_database(url: &str) -> Result<Self, DatabaseError> {
        let role = create_role(url).await?;
        let pool = PgPool::connect(url).await?;
        // Roles belong to the cluster: this one has another name, and exists already.
        let example = include_str!("../../adapters/examples/domain.sql")
            .replace(
                "CREATE ROLE runledger_reader LOGIN PASSWORD 'change-me' CONNECTION LIMIT 16;",
                "",
            )
            .replace("runledger_reader", &role.name);
        // The text is a file of this repository and a name of `create_role`'s.
        sqlx::raw_sql(AssertSqlSafe(example)).execute(&pool).await?;
        Ok(DomainDatabase { pool, url: role.url })
    }
}
