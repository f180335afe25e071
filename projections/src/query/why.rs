//! The why of one run's standing, for a page that shows it.

use runledger_ledger::words::{Name, RunId};

use super::operations::FamilyView;
use crate::rules::why::FreshnessWhy;
use crate::view::{View, ViewError};

/// What decides on a run, beside its own history: windows, deadlines, and the policy in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// What decides on its freshness.
    pub freshness: FreshnessWhy,
    /// The policy that decides on its follow-up: its family, by the catalog in force.
    pub family: FamilyView,
    /// Which version of the catalog that is.
    pub catalog: u32,
}

impl View {
    /// The why of a run's standing; none if nothing is recorded of it. One statement.
    pub async fn why(&self, id: RunId) -> Result<Option<Why>, ViewError> {
        let mut reading = self.read().await?;
        let Some(row) = reading.rows(&[id.0]).await?.pop() else { return Ok(None) };
        let run = row.run()?;
        let catalog = &reading.checkpoint.catalog;
        let operation = catalog.operation(run.operation.as_ref().map_or("", Name::as_str));
        Ok(Some(Why {
            freshness: FreshnessWhy::of(&run, &reading.checkpoint.blind, reading.at),
            family: FamilyView::of(&operation, reading.texts),
            catalog: catalog.version(),
        }))
    }

    /// What people call a family, by the catalog in force. No statement.
    pub fn family_title(&self, name: &str) -> Option<String> {
        let family = self.checkpoint.catalog.family(name)?;
        Some(self.texts().title(&family.title).to_owned())
    }
}
