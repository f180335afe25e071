//! Adapters of every kind behind one type. Their evidence crosses as JSON, so that a decision can
//! be made again from what was kept of it; and no panic of theirs comes through.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use runledger_ledger::run::{Run, RunEvent};
use runledger_ledger::words::words;
use serde_json::Value;

use crate::adapter::{Adapter, Case, Decision, Wake};
use crate::conformance::{ErasedSpecimens, Specimens};
use crate::source::{SourceClass, SourceError};

/// An adapter whose evidence is JSON.
#[async_trait]
pub(super) trait Erased: Send + Sync {
    fn handle(&self, event: &RunEvent, run: &Run) -> Wake;
    async fn gather(&self, cases: &[Case]) -> Result<Vec<Value>, SourceError>;
    fn decide(&self, case: &Case, evidence: &Value) -> Result<Decision, SourceError>;
    fn specimens(&self) -> ErasedSpecimens;
}

#[async_trait]
impl<A: Adapter + Specimens> Erased for A {
    fn handle(&self, event: &RunEvent, run: &Run) -> Wake {
        Adapter::handle(self, event, run)
    }

    async fn gather(&self, cases: &[Case]) -> Result<Vec<Value>, SourceError> {
        let evidence = Adapter::gather(self, cases).await?;
        if evidence.len() != cases.len() {
            let what = "the adapter did not answer for each case";
            return Err(SourceError::new(SourceClass::Broken, what));
        }
        let to_json = |found: &A::Evidence| {
            serde_json::to_value(found).map_err(|_| {
                SourceError::new(SourceClass::Broken, "the evidence has no serialised form")
            })
        };
        evidence.iter().map(to_json).collect()
    }

    fn decide(&self, case: &Case, evidence: &Value) -> Result<Decision, SourceError> {
        let what = "the evidence cannot be read back";
        let evidence = serde::Deserialize::deserialize(evidence)
            .map_err(|_| SourceError::new(SourceClass::Malformed, what))?;
        Ok(Adapter::decide(self, case, &evidence))
    }

    fn specimens(&self) -> ErasedSpecimens {
        ErasedSpecimens::of(Specimens::specimens(self))
    }
}

pub(super) fn handle(adapter: &dyn Erased, event: &RunEvent, run: &Run) -> Wake {
    catch_unwind(AssertUnwindSafe(|| adapter.handle(event, run))).unwrap_or(Wake::Ignore)
}

pub(super) fn decide(
    adapter: &dyn Erased,
    case: &Case,
    evidence: &Value,
) -> Result<Decision, SourceError> {
    catch_unwind(AssertUnwindSafe(|| adapter.decide(case, evidence))).unwrap_or_else(|_| {
        Err(SourceError::new(SourceClass::Broken, "the adapter panicked while it decided"))
    })
}

words! {
    /// What the source of an adapter under test does instead of answering.
    Fault {
        /// It never answers.
        Hangs = "hangs",
        /// It fails.
        Fails = "fails",
        /// It makes the adapter panic.
        Panics = "panics",
        /// It answers for fewer cases than were asked of it.
        Forgets = "forgets",
    }
}

/// An adapter whose source has a fault.
pub(super) struct Faulty {
    pub(super) adapter: Arc<dyn Erased>,
    pub(super) fault: Fault,
}

#[async_trait]
impl Erased for Faulty {
    fn handle(&self, event: &RunEvent, run: &Run) -> Wake {
        self.adapter.handle(event, run)
    }

    async fn gather(&self, _: &[Case]) -> Result<Vec<Value>, SourceError> {
        match self.fault {
            Fault::Hangs => std::future::pending().await,
            Fault::Fails => Err(SourceError::new(SourceClass::Unavailable, "a fault of the kit")),
            // As a panic, but without the message of one.
            Fault::Panics => resume_unwind(Box::new("a fault of the kit")),
            Fault::Forgets => Ok(Vec::new()),
        }
    }

    fn decide(&self, case: &Case, evidence: &Value) -> Result<Decision, SourceError> {
        self.adapter.decide(case, evidence)
    }

    fn specimens(&self) -> ErasedSpecimens {
        self.adapter.specimens()
    }
}
