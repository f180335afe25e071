//! Adapters of every kind behind one type. Their evidence crosses as JSON, so that a decision can
//! be made again from what was kept of it; and no panic of theirs comes through.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use runledger_ledger::run::{Run, RunEvent};
use runledger_ledger::words::words;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::adapter::{Adapter, Case, Decision, Observation, Wake, Watched};
use crate::conformance::{ErasedSpecimens, Specimens};
use crate::source::{SourceClass, SourceError};

/// An adapter whose evidence is JSON.
#[async_trait]
pub(super) trait Erased: Send + Sync {
    fn handle(&self, event: &RunEvent, run: &Run) -> Wake;
    async fn gather(&self, cases: &[Case]) -> Result<Vec<Value>, SourceError>;
    fn decide(&self, case: &Case, evidence: &Value) -> Result<Decision, SourceError>;
    async fn survey(&self, watched: &[Watched]) -> Result<Vec<Value>, SourceError>;
    fn observe(
        &self,
        watched: &Watched,
        evidence: &Value,
    ) -> Result<Option<Observation>, SourceError>;
    fn specimens(&self) -> ErasedSpecimens;
}

#[async_trait]
impl<A: Adapter + Specimens> Erased for A {
    fn handle(&self, event: &RunEvent, run: &Run) -> Wake {
        Adapter::handle(self, event, run)
    }

    async fn gather(&self, cases: &[Case]) -> Result<Vec<Value>, SourceError> {
        stored(&Adapter::gather(self, cases).await?, cases.len())
    }

    fn decide(&self, case: &Case, evidence: &Value) -> Result<Decision, SourceError> {
        Ok(Adapter::decide(self, case, &read_back(evidence)?))
    }

    async fn survey(&self, watched: &[Watched]) -> Result<Vec<Value>, SourceError> {
        stored(&Adapter::survey(self, watched).await?, watched.len())
    }

    fn observe(
        &self,
        watched: &Watched,
        evidence: &Value,
    ) -> Result<Option<Observation>, SourceError> {
        Ok(Adapter::observe(self, watched, &read_back(evidence)?))
    }

    fn specimens(&self) -> ErasedSpecimens {
        ErasedSpecimens::of(Specimens::specimens(self))
    }
}

fn stored<E: Serialize>(evidence: &[E], asked: usize) -> Result<Vec<Value>, SourceError> {
    let broken = |what| SourceError::new(SourceClass::Broken, what);
    if evidence.len() != asked {
        return Err(broken("the adapter did not answer for each case"));
    }
    let to_json = |found| {
        serde_json::to_value(found).map_err(|_| broken("the evidence has no serialised form"))
    };
    evidence.iter().map(to_json).collect()
}

fn read_back<E: DeserializeOwned>(evidence: &Value) -> Result<E, SourceError> {
    let what = "the evidence cannot be read back";
    E::deserialize(evidence).map_err(|_| SourceError::new(SourceClass::Malformed, what))
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

pub(super) fn observe(
    adapter: &dyn Erased,
    watched: &Watched,
    evidence: &Value,
) -> Result<Option<Observation>, SourceError> {
    catch_unwind(AssertUnwindSafe(|| adapter.observe(watched, evidence))).unwrap_or_else(|_| {
        Err(SourceError::new(SourceClass::Broken, "the adapter panicked while it observed"))
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
        self.fault.meet().await
    }

    async fn survey(&self, _: &[Watched]) -> Result<Vec<Value>, SourceError> {
        self.fault.meet().await
    }

    fn observe(
        &self,
        watched: &Watched,
        evidence: &Value,
    ) -> Result<Option<Observation>, SourceError> {
        self.adapter.observe(watched, evidence)
    }

    fn decide(&self, case: &Case, evidence: &Value) -> Result<Decision, SourceError> {
        self.adapter.decide(case, evidence)
    }

    fn specimens(&self) -> ErasedSpecimens {
        self.adapter.specimens()
    }
}

impl Fault {
    async fn meet(self) -> Result<Vec<Value>, SourceError> {
        match self {
            Fault::Hangs => std::future::pending().await,
            Fault::Fails => Err(SourceError::new(SourceClass::Unavailable, "a fault of the kit")),
            // As a panic, but without the message of one.
            Fault::Panics => resume_unwind(Box::new("a fault of the kit")),
            Fault::Forgets => Ok(Vec::new()),
        }
    }
}
