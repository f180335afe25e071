//! A part of a database that nobody else knows of, for what is played through and thrown away.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{StoreError, StoreUrl};
use crate::clock::{Entropy, NoEntropy};

/// On PostgreSQL a schema of its own in the database that a URL names; anywhere else that place
/// itself. What else is in the database is not touched.
#[derive(Debug)]
pub struct Scratch {
    url: StoreUrl,
    /// The database, and the schema in it.
    schema: Option<(String, String)>,
}

/// Why there is no scratch database, or why it could not be taken away again.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// The database refused.
    #[error("the schema {schema} could not be made or dropped; may this user create schemas?")]
    Refused {
        /// Its name.
        schema: String,
        /// Why not.
        #[source]
        source: StoreError,
    },
    /// It has no name.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

impl Scratch {
    /// Makes one in the database that `url` names.
    pub async fn make(url: &StoreUrl, entropy: &Entropy) -> Result<Self, ScratchError> {
        let StoreUrl::Postgres(database) = url else {
            return Ok(Scratch { url: url.clone(), schema: None });
        };
        let mut random = [0; 8];
        entropy.fill(&mut random)?;
        let schema = format!("runledger_scratch_{}", hex::encode(random));
        execute(database, &schema, format!("CREATE SCHEMA {schema}")).await?;
        let joint = if database.contains('?') { '&' } else { '?' };
        let url = format!("{database}{joint}options[search_path]={schema}");
        let schema = Some((database.clone(), schema));
        Ok(Scratch { url: StoreUrl::Postgres(url), schema })
    }

    /// How it is opened.
    pub const fn url(&self) -> &StoreUrl {
        &self.url
    }

    /// Takes it away, with all that is in it. Whoever has opened it must have closed it.
    pub async fn remove(self) -> Result<(), ScratchError> {
        match self.schema {
            Some((database, schema)) => {
                execute(&database, &schema, format!("DROP SCHEMA {schema} CASCADE")).await
            }
            None => Ok(()),
        }
    }
}

/// Runs one statement on a connection of its own. No text of a caller is in it: the name of the
/// schema is made of letters, digits and underscores, above.
async fn execute(database: &str, schema: &str, statement: String) -> Result<(), ScratchError> {
    let refused = |error: sqlx::Error| ScratchError::Refused {
        schema: schema.to_owned(),
        source: StoreError::from(error),
    };
    let mut connection = PgConnection::connect(database).await.map_err(refused)?;
    sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.map_err(refused)?;
    connection.close().await.map_err(refused)
}
