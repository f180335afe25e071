//! Where a store is: what may be said of it, and what may not.

use std::path::PathBuf;

/// How the store is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// A PostgreSQL URL.
    Postgres(String),
    /// A file.
    SqliteFile(PathBuf),
    /// A file that may be lost: for what can be derived again, never for a log.
    SqliteScratch(PathBuf),
    /// Memory, gone with the last connection. For scenarios and tests.
    SqliteMemory,
}

impl std::fmt::Display for StoreUrl {
    /// Where it is. User, password and parameters are nobody's business.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StoreUrl::Postgres(url) => {
                let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
                let rest = rest.split(['?', '#']).next().unwrap_or_default();
                f.write_str(rest.rsplit_once('@').map_or(rest, |(_, place)| place))
            }
            StoreUrl::SqliteFile(path) | StoreUrl::SqliteScratch(path) => path.display().fmt(f),
            StoreUrl::SqliteMemory => f.write_str("in memory"),
        }
    }
}
