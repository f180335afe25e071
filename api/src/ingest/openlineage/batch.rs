//! The answer to a batch, in the form that the OpenLineage API gives it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::ingest::ItemError;

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct BatchResponse {
    /// Whether all of it was taken.
    pub status: BatchStatus,
    /// How much of it was.
    pub summary: BatchSummary,
    /// The events that were not taken.
    pub failed_events: Vec<FailedEvent>,
}

/// Whether all of a batch was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchStatus {
    /// All of it.
    Success,
    /// Not all of it.
    PartialSuccess,
}

/// How much of a batch was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct BatchSummary {
    /// Events that came.
    pub received: usize,
    /// Events that were taken, the repeated ones too.
    pub successful: usize,
    /// Events that were not.
    pub failed: usize,
    /// Of those, how many may be taken when they are sent again.
    pub retriable: usize,
    /// And how many will not.
    pub non_retriable: usize,
}

/// An event of a batch that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FailedEvent {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// Why, and what to do.
    pub reason: String,
    /// Whether it may be taken when it is sent again.
    pub retriable: bool,
}

/// Why one event of a batch was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why, and what to do.
    pub reason: String,
    /// Whether it may be taken when it is sent again.
    pub retriable: bool,
}

impl From<&ItemError> for Failure {
    fn from(error: &ItemError) -> Self {
        Failure { reason: error.to_string(), retriable: error.status() >= 500 }
    }
}

impl BatchResponse {
    /// The answer to a batch, from what became of each of its events, in order.
    pub fn of(results: impl IntoIterator<Item = Result<(), Failure>>) -> Self {
        let mut summary = BatchSummary::default();
        let mut failed_events = Vec::new();
        for (index, result) in results.into_iter().enumerate() {
            summary.received += 1;
            let Err(Failure { reason, retriable }) = result else {
                summary.successful += 1;
                continue;
            };
            summary.failed += 1;
            *(if retriable { &mut summary.retriable } else { &mut summary.non_retriable }) += 1;
            failed_events.push(FailedEvent { index, reason, retriable });
        }
        let status = match summary.failed {
            0 => BatchStatus::Success,
            _ => BatchStatus::PartialSuccess,
        };
        BatchResponse { status, summary, failed_events }
    }
}
