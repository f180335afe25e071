//! Fresh databases and roles for tests.

use std::sync::OnceLock;

use runledger_ledger::clock::{Entropy, NoEntropy};
use runledger_ledger::store::{SetUpError, set_up};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::cluster::{Cluster, Durability};

/// Names the cluster that [`test_database`] uses: the URL of any database on it, with a superuser
/// in it. `cargo test-all` sets it for every test it runs.
pub const TEST_PG: &str = "RUNLEDGER_TEST_PG";

/// The URL of a fresh, empty database. It stays until its cluster goes.
///
/// It is on the cluster that [`TEST_PG`] names. Without one, this process starts a cluster of its
/// own at the first call, with [`Durability::Off`].
///
/// # Panics
/// When there is no cluster or no database to be had: no test can go on without.
pub async fn test_database() -> String {
    let base = std::env::var(TEST_PG).unwrap_or_else(|_| own_cluster().url("postgres"));
    match create_database(&base).await {
        Ok(url) => url,
        Err(error) => panic!("no test database: {error}: {:?}", std::error::Error::source(&error)),
    }
}

/// The role of the services under test, a member of `runledger_app` and of nothing else.
const SERVICE: &str = "rl_service";

/// The URL of a fresh database that is set up as `runledger database setup` does it, signed in as a
/// service that owns nothing in it. [`superuser`] gives the URL of its administrator.
///
/// # Panics
/// When there is none to be had: no test can go on without.
pub async fn ledger_database() -> String {
    let url = test_database().await;
    match prepare(&url).await {
        Ok(url) => url,
        Err(error) => {
            panic!("no database was set up: {error}: {:?}", std::error::Error::source(&error))
        }
    }
}

/// Sets the database at `url`, whose user is a superuser, up for a service, and returns the URL of
/// the service. No event trigger keeps a test from tampering.
///
/// # Errors
/// [`DatabaseError`], when the server refuses.
pub async fn prepare(url: &str) -> Result<String, DatabaseError> {
    let postgres = with_database(url, "postgres");
    let mut one_at_a_time = PgConnection::connect(&postgres).await?;
    let there = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)";
    let there = async |connection: &mut PgConnection| -> sqlx::Result<bool> {
        sqlx::query_scalar(there).bind(SERVICE).fetch_one(connection).await
    };
    if !there(&mut one_at_a_time).await? {
        // Roles belong to the cluster, and tests begin side by side.
        sqlx::query("SELECT pg_advisory_lock(7300)").execute(&mut one_at_a_time).await?;
        if !there(&mut one_at_a_time).await? {
            set_up(url).await?;
            // Constants; no text of a caller is in it.
            let make =
                format!("CREATE ROLE {SERVICE} LOGIN PASSWORD '{SERVICE}' IN ROLE runledger_app");
            sqlx::query(AssertSqlSafe(make)).execute(&mut one_at_a_time).await?;
        }
    }
    one_at_a_time.close().await?;
    set_up(url).await?;
    for guard in ["runledger_guard_ddl", "runledger_guard_drop"] {
        execute(url, format!("DROP EVENT TRIGGER {guard}")).await?;
    }
    Ok(with_user(url, SERVICE, SERVICE))
}

/// The URL of the same database as `url`, on the cluster of [`test_database`], for its superuser.
pub fn superuser(url: &str) -> String {
    let base = std::env::var(TEST_PG).unwrap_or_else(|_| own_cluster().url("postgres"));
    with_database(&base, database(url))
}

/// A connection to the database behind `pool`, as the superuser of the tests' cluster: for what only
/// the owner of the tables can do.
///
/// # Panics
/// When it is not to be had.
pub async fn superuser_of(pool: &sqlx::PgPool) -> PgConnection {
    let base = std::env::var(TEST_PG).unwrap_or_else(|_| own_cluster().url("postgres"));
    let options = pool.connect_options();
    let url = with_database(&base, options.get_database().unwrap_or_default());
    match PgConnection::connect(&url).await {
        Ok(connection) => connection,
        Err(error) => panic!("no superuser: {error}"),
    }
}

/// The same as a pool of connections.
///
/// # Panics
/// When it is not to be had.
pub async fn superuser_pool(pool: &sqlx::PgPool) -> sqlx::PgPool {
    let base = std::env::var(TEST_PG).unwrap_or_else(|_| own_cluster().url("postgres"));
    let options = pool.connect_options();
    let url = with_database(&base, options.get_database().unwrap_or_default());
    match sqlx::PgPool::connect(&url).await {
        Ok(pool) => pool,
        Err(error) => panic!("no superuser: {error}"),
    }
}

/// Makes an empty database beside the one that `url` names, and returns its URL, with the same
/// user. Nothing else, in this process or another, has its name.
///
/// # Errors
/// [`DatabaseError`], when the server cannot be reached or refuses.
pub async fn create_database(url: &str) -> Result<String, DatabaseError> {
    let name = unique_name("rl_db")?;
    // The name is `unique_name`'s letters, digits and underscores: no text of a caller is in it.
    // Nobody is ever connected to template0, so databases can be made side by side.
    execute(url, format!("CREATE DATABASE {name} TEMPLATE template0")).await?;
    Ok(with_database(url, &name))
}

/// Drops the database that `url` names, whoever is still connected to it.
///
/// # Errors
/// [`DatabaseError`], when the server cannot be reached or refuses.
pub async fn drop_database(url: &str) -> Result<(), DatabaseError> {
    let quoted = database(url).replace('"', "\"\"");
    // The name is quoted as an identifier, so it cannot be anything else.
    let statement = format!("DROP DATABASE \"{quoted}\" WITH (FORCE)");
    execute(&with_database(url, "postgres"), statement).await
}

/// A role that may sign in and has no other right.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its name, unique on the cluster; it needs no quoting.
    pub name: String,
    /// The database that was given to [`create_role`], signed in as this role.
    pub url: String,
}

/// Makes a role on the cluster of `database_url`. Its rights are for the caller to grant: a new
/// role owns nothing and may only connect. Roles belong to the cluster, not to a database, so each
/// test makes its own.
///
/// # Errors
/// [`DatabaseError`], when the server cannot be reached or refuses.
pub async fn create_role(database_url: &str) -> Result<Role, DatabaseError> {
    let name = unique_name("rl_role")?;
    let password = unique_name("secret")?;
    // Both are `unique_name`'s letters, digits and underscores: no text of a caller is in them.
    execute(database_url, format!("CREATE ROLE {name} LOGIN PASSWORD '{password}'")).await?;
    let url = with_user(database_url, &name, &password);
    Ok(Role { name, url })
}

/// Why there is no database or role.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The test server cannot be reached, or refused the statement.
    #[error(
        "the test PostgreSQL did not run a statement; check that it is up and what {TEST_PG} names"
    )]
    Server(#[from] sqlx::Error),
    /// There was no unique name.
    #[error("could not make a unique name")]
    Name(#[from] NoEntropy),
    /// It could not be set up for a service.
    #[error("the test database was not set up for a service")]
    SetUp(#[from] SetUpError),
}

/// The cluster of this process. A process never drops it: its guard does when the process ends.
fn own_cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| match Cluster::start(Durability::Off) {
        Ok(cluster) => cluster,
        Err(error) => panic!("no test PostgreSQL: {error}"),
    })
}

/// Runs one statement on a connection of its own. The statement must hold no text of a caller.
async fn execute(url: &str, statement: String) -> Result<(), DatabaseError> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

fn unique_name(prefix: &str) -> Result<String, NoEntropy> {
    let mut random = [0; 12];
    Entropy::system().fill(&mut random)?;
    Ok(format!("{prefix}_{}", hex::encode(random)))
}

/// The database in the path of `url`.
fn database(url: &str) -> &str {
    let (server, _) = split(url);
    url[server.len()..].trim_start_matches('/').split('?').next().unwrap_or_default()
}

/// `url` with another database in its path.
fn with_database(url: &str, database: &str) -> String {
    let (server, query) = split(url);
    format!("{server}/{database}{query}")
}

/// `url` with another user and password.
fn with_user(url: &str, user: &str, password: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let authority = rest.find(['/', '?']).map_or(rest, |end| &rest[..end]);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{user}:{password}@{host}{}", &rest[authority.len()..])
}

/// What stands before the path of `url`, and what stands after it, with its `?`.
fn split(url: &str) -> (&str, &str) {
    let (before, query) = url.find('?').map_or((url, ""), |at| url.split_at(at));
    let authority = before.find("://").map_or(0, |at| at + 3);
    let server = before[authority..].find('/').map_or(before, |at| &before[..authority + at]);
    (server, query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_of_a_url_is_replaced() {
        for (url, expected) in [
            (
                "postgres://a:b@host:5432/old?sslmode=disable",
                "postgres://a:b@host:5432/new?sslmode=disable",
            ),
            ("postgres://postgres@%2Ftmp%2Fx/postgres", "postgres://postgres@%2Ftmp%2Fx/new"),
            ("postgres://host", "postgres://host/new"),
            ("postgres://host?host=/tmp/x", "postgres://host/new?host=/tmp/x"),
        ] {
            assert_eq!(with_database(url, "new"), expected);
        }
    }

    #[test]
    fn only_the_user_of_a_url_is_replaced() {
        for (url, expected) in [
            (
                "postgres://a:b@host:5432/db?sslmode=disable",
                "postgres://r:p@host:5432/db?sslmode=disable",
            ),
            ("postgres://%2Ftmp%2Fx/db", "postgres://r:p@%2Ftmp%2Fx/db"),
            ("postgres://host?application_name=a@b", "postgres://r:p@host?application_name=a@b"),
        ] {
            assert_eq!(with_user(url, "r", "p"), expected);
        }
    }
}
