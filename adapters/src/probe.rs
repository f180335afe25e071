//! Declarative probes: adapters that are configured, not written.
//!
//! A file names the operation types, where to look, and what each answer means. What is not named
//! means nothing: a value that nobody has given a meaning needs a person. Both probes share this
//! page; where they look is in [`sql`] and [`http`].
//!
//! ```
//! # use runledger_adapters::probe::Probes;
//! let probes = Probes::parse(r#"
//!     [[sql]]
//!     name = "exports"
//!     version = 1
//!     operations = ["policy.bulk.export"]
//!     query = """
//!         SELECT workspace, environment, state, id FROM exports
//!         WHERE workspace = :workspace AND environment = :environment
//!           AND fingerprint = :fingerprint"""
//!     value = "state"
//!     related = { type = "export", from = "id" }
//!     evidence = { state = "state" }
//!
//!     [[sql.means]]
//!     value = "done"
//!     decision = "succeeded"
//!     reason = "export_done"
//! "#)?;
//! # Ok::<(), runledger_adapters::probe::ProbeFault>(())
//! ```

pub mod http;
mod meaning;
mod place;
pub mod sql;
#[cfg(test)]
mod tests;

use serde::Deserialize;

use crate::domain::Domain;
use crate::registry::RegistryBuilder;
use crate::remote::RemoteConfig;
use http::{HttpConfig, HttpProbe};
pub use meaning::{Common, Found, Meaning, ObservesConfig, ProbeEvidence, RelatedFrom};
use place::Place;
use sql::{SqlConfig, SqlProbe};

/// What is wrong with a probe, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeFault {
    /// The file is not of its form.
    #[error("the probes cannot be read: {0}")]
    Form(String),
    /// One probe makes no sense.
    #[error("the probe {probe} cannot be used: {why}")]
    Probe {
        /// Which one.
        probe: String,
        /// Why not, and what to do.
        why: String,
    },
}

/// The probes of a file, and the remote adapters, which are configured there as well.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probes {
    /// Those that ask the domain database.
    #[serde(default)]
    pub sql: Vec<SqlConfig>,
    /// Those that ask a service.
    #[serde(default)]
    pub http: Vec<HttpConfig>,
    /// Programs of their own.
    #[serde(default)]
    pub remote: Vec<RemoteConfig>,
}

impl Probes {
    /// Reads and checks a file, as far as it can be checked without asking anybody.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ProbeFault> {
        // The message alone: the error as a whole repeats the line, which may hold an address.
        let form = |error: toml::de::Error| ProbeFault::Form(error.message().to_owned());
        known_members(&text.parse().map_err(form)?)?;
        let probes: Probes = toml::from_str(text).map_err(form)?;
        for probe in &probes.sql {
            SqlProbe::plan(probe)?;
        }
        for probe in &probes.http {
            HttpProbe::plan(probe)?;
        }
        Ok(probes)
    }

    /// Registers every probe and remote adapter. Without a domain database, those that ask it are idle.
    ///
    /// # Errors
    /// The first probe that cannot be used.
    pub fn register(
        &self,
        mut registry: RegistryBuilder,
        domain: Option<&Domain>,
    ) -> Result<RegistryBuilder, ProbeFault> {
        for probe in &self.sql {
            registry = match domain {
                Some(domain) => registry.with(SqlProbe::new(probe, domain.clone())?),
                None => registry.idle(probe.common.manifest(SQL_READS), crate::built_in::NO_DOMAIN),
            };
        }
        for probe in &self.http {
            registry = registry.with(HttpProbe::new(probe)?);
        }
        Ok(self.remote.iter().fold(registry, |registry, remote| remote.register(registry)))
    }

    /// Lets the domain database prepare every query, so that a wrong one is found at the start.
    ///
    /// # Errors
    /// The first query that it refuses.
    pub async fn check(&self, domain: &Domain) -> Result<(), ProbeFault> {
        for probe in &self.sql {
            SqlProbe::new(probe, domain.clone())?.check().await?;
        }
        Ok(())
    }
}

/// Refuses a member that no probe has: a misspelt one would be passed over.
fn known_members(file: &toml::Table) -> Result<(), ProbeFault> {
    const COMMON: [&str; 9] = [
        "name",
        "version",
        "operations",
        "observes",
        "evidence",
        "related",
        "value",
        "verified_at",
        "means",
    ];
    for (kind, own) in [("sql", &["query"][..]), ("http", &["url", "pointers", "allow_private"])] {
        let probes = file.get(kind).and_then(toml::Value::as_array).into_iter().flatten();
        for member in probes.filter_map(toml::Value::as_table).flat_map(toml::Table::keys) {
            if !COMMON.contains(&member.as_str()) && !own.contains(&member.as_str()) {
                let known = COMMON.iter().chain(own).copied().collect::<Vec<_>>().join(", ");
                let why = format!("`{member}` is no member of a probe; there are {known}");
                return Err(ProbeFault::Form(why));
            }
        }
    }
    Ok(())
}

const SQL_READS: &str = "a query of the domain database";
const HTTP_READS: &str = "a service over HTTP";
