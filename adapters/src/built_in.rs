//! The adapters that come with the product. One line each.

use crate::domain::Domain;
use crate::lifecycle::GiveUp;
use crate::registry::{Registry, RegistryBuilder};
use crate::restore::RestoreExecute;
use crate::review::ReviewCompose;

/// Why the domain adapters judge nothing without a database.
pub(crate) const NO_DOMAIN: &str =
    "no domain database is configured; name one to have these runs judged";

/// Every adapter of the product. Without a domain database, those that read it are idle.
pub fn built_in(domain: Option<&Domain>) -> RegistryBuilder {
    let registry = Registry::builder().with(GiveUp::new());
    match domain {
        Some(domain) => registry
            .with(RestoreExecute::new(domain.clone()))
            .with(ReviewCompose::new(domain.clone())),
        None => registry
            .idle(RestoreExecute::describe(), NO_DOMAIN)
            .idle(ReviewCompose::describe(), NO_DOMAIN),
    }
}
