//! What belongs to an environment: its runs, and what was seen of subjects in it.

use std::collections::HashSet;

use anyhow::{Context, bail};
use runledger_ledger::event::{AggregateType, Recorded};
use runledger_ledger::store::{Store, StoredEvent};
use runledger_ledger::words::{Name, RunId, WorkspaceId};
use serde::Deserialize;

use super::PAGE;

/// The runs of an environment. A run of which a signal told first may say late where it belongs, so they
/// are known only when all events were read.
#[derive(Debug)]
pub(super) struct OfEnvironment {
    name: String,
    runs: HashSet<RunId>,
}

/// Where an event says that it belongs: itself, or by what it filled in.
#[derive(Deserialize)]
struct Said {
    data: Data,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    environment: Option<Name>,
    fills: Filled,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Filled {
    environment: Option<Name>,
}

impl OfEnvironment {
    /// Looks for what belongs to an environment in the first `size` events of a log.
    ///
    /// # Errors
    /// If nothing does, or the log cannot be read.
    pub(super) async fn find(
        store: &Store,
        workspace: WorkspaceId,
        size: u64,
        name: &str,
    ) -> anyhow::Result<OfEnvironment> {
        let mut found = OfEnvironment { name: name.to_owned(), runs: HashSet::new() };
        let (mut next, mut is_there) = (0, false);
        while next < size {
            let page = store.log(workspace, next, size, PAGE).await?;
            let last = page.last().context("the log ends too early; verify it first")?;
            next = last.position + 1;
            for stored in &page {
                if found.says(stored) {
                    is_there = true;
                    found.runs.extend(Recorded::decode(&stored.body)?.stream.run_id());
                }
            }
        }
        if !is_there {
            bail!("nothing of an environment {name:?} is in the log");
        }
        Ok(found)
    }

    fn says(&self, stored: &StoredEvent) -> bool {
        let Ok(Said { data }) = serde_json::from_slice(&stored.body) else { return false };
        let named = [data.environment, data.fills.environment];
        named.iter().flatten().any(|environment| environment.as_str() == self.name)
    }

    /// Whether an event is of a run of it, or of a subject in it.
    pub(super) fn holds(&self, stored: &StoredEvent, event: &Recorded) -> bool {
        match event.stream.kind {
            AggregateType::Run => event.stream.run_id().is_some_and(|run| self.runs.contains(&run)),
            AggregateType::Subject => self.says(stored),
            _ => false,
        }
    }
}
