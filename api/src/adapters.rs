//! The adapters of this server, put together from its settings and checked before anything runs.

use std::path::PathBuf;

use runledger_adapters::built_in;
use runledger_adapters::domain::{Domain, DomainFault, DomainSettings, NoDomainUrl};
use runledger_adapters::probe::{ProbeFault, Probes};
use runledger_adapters::registry::{Registry, RegistryErrors};
use runledger_ledger::catalog::Catalog;

use crate::settings::AdapterSettings;

/// The adapters, and what they read.
#[derive(Clone, Debug)]
pub struct Adapters {
    /// Which adapter judges what.
    pub registry: Registry,
    /// The domain database, if one is configured.
    pub domain: Option<Domain>,
    probes: Probes,
}

/// Why there are no adapters as configured.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// The domain database has no URL that can be read.
    #[error("the adapters have no domain database")]
    Domain(#[from] NoDomainUrl),
    /// The file of the probes cannot be read.
    #[error("the probes {} cannot be read", .0.display())]
    Unreadable(PathBuf, #[source] std::io::Error),
    /// A probe is wrong.
    #[error("the probes are wrong")]
    Probe(#[from] ProbeFault),
    /// The adapters do not fit each other or the catalog.
    #[error("the adapters do not fit")]
    Registry(#[from] RegistryErrors),
}

/// What a source says when it is asked whether it is there.
#[derive(Debug, thiserror::Error)]
pub enum SourceFault {
    /// The domain database.
    #[error("the domain database cannot be used")]
    Domain(#[from] DomainFault),
    /// A probe.
    #[error("the probes do not fit the domain database")]
    Probe(#[from] ProbeFault),
}

impl SourceFault {
    /// Whether it is right as it is configured, and only not there at the moment.
    pub const fn may_pass(&self) -> bool {
        matches!(self, SourceFault::Domain(DomainFault::Source(_)))
    }
}

impl Adapters {
    /// The adapters of these settings, checked against `catalog`. Nothing is connected to yet; it
    /// must be called where connections can be made later.
    ///
    /// # Errors
    /// What does not fit, and what to do about it.
    pub fn set_up(settings: &AdapterSettings, catalog: &Catalog) -> Result<Self, AdapterError> {
        let url = settings.domain_url.as_deref();
        let domain = url.map(|url| Domain::new(&DomainSettings::new(url))).transpose()?;
        let probes = match &settings.probes {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| AdapterError::Unreadable(path.clone(), error))?;
                Probes::parse(&text)?
            }
            None => Probes::default(),
        };
        let registry = probes.register(built_in(domain.as_ref()), domain.as_ref())?;
        Ok(Adapters { registry: registry.build(catalog)?, domain, probes })
    }

    /// Asks the sources whether they are there, and whether more is allowed there than may be.
    ///
    /// # Errors
    /// The first that cannot be used.
    pub async fn check(&self) -> Result<(), SourceFault> {
        if let Some(domain) = &self.domain {
            domain.check().await?;
            self.probes.check(domain).await?;
        }
        Ok(())
    }
}
