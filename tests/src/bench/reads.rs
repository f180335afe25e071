//! Questions to the read models, over a small and over a large history.

use std::time::Duration;

use runledger_ledger::words::{Outcome, Status};
use runledger_projections::{AsOf, PageRequest, Projections, RunFilter};
use tokio::time::Instant;

use super::stand::Site;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// The workspace at a glance.
    Overview,
    /// The newest 50 runs.
    Newest,
    /// The newest 50 that failed: an index serves the filter.
    Failed,
    /// The newest 50 of an operation in an environment: an index serves half of the filter.
    Operation,
    /// 50 runs in whose texts something stands: no index serves the filter.
    Text,
    /// The newest 50 that are completed and in an environment: no index serves the filter.
    Environment,
}

impl Question {
    /// All of them.
    pub const ALL: [Question; 6] = [
        Question::Overview,
        Question::Newest,
        Question::Failed,
        Question::Operation,
        Question::Environment,
        Question::Text,
    ];

    /// Its name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Question::Overview => "overview",
            Question::Newest => "newest runs",
            Question::Failed => "failed runs",
            Question::Operation => "runs of an operation in an environment",
            Question::Environment => "completed runs in an environment",
            Question::Text => "runs found by text",
        }
    }

    fn filter(self) -> RunFilter {
        let name = |text: &str| Some(text.to_owned());
        let all = RunFilter::default();
        match self {
            Question::Overview | Question::Newest => all,
            Question::Failed => RunFilter { outcome: Some(Outcome::Failed), ..all },
            Question::Operation => RunFilter {
                operation: name("inventory.sync"),
                environment: name("production"),
                ..all
            },
            Question::Environment => {
                RunFilter { status: Some(Status::Completed), environment: name("staging"), ..all }
            }
            Question::Text => RunFilter { text: name("connection/42"), ..all },
        }
    }
}

/// Asks `question` `times` times; how long each answer took, sorted.
///
/// # Errors
/// When the database fails.
pub async fn ask(
    site: &Site,
    projections: &Projections,
    question: Question,
    times: usize,
) -> anyhow::Result<Vec<Duration>> {
    let (filter, request) = (question.filter(), PageRequest::first(50));
    let mut taken = Vec::with_capacity(times);
    // The first ones prepare statements and fill caches.
    for number in 0..times + times / 10 {
        let asked = Instant::now();
        let view = projections.view(site.workspace, AsOf::Now).await?;
        match question {
            Question::Overview => drop(view.overview(None).await?),
            _ => drop(view.runs(&filter, &request).await?),
        }
        if number >= times / 10 {
            taken.push(asked.elapsed());
        }
    }
    taken.sort_unstable();
    Ok(taken)
}
