//! Queues: what waits in each, and whether anything picks it up.

use askama::Template;
use axum::response::Html;
use runledger_projections::QueueStanding;
use serde::Deserialize;

use super::fault::{Page, html};
use super::shell::{Asked, Shell};
use super::words;
use crate::problem::{ApiError, ApiResult};
use crate::question::NameOrNone;

/// Which of them is meant.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct QueueQuery {
    queue: Option<String>,
    /// Its connection; the empty name is none.
    connection: Option<NameOrNone>,
    /// A queue spans environments: this only goes along to other pages.
    #[serde(rename = "environment")]
    _environment: Option<NameOrNone>,
}

/// A queue is one that a run or a worker has named.
pub(super) fn known(name: &str, queues: &[QueueStanding]) -> ApiResult<()> {
    if queues.iter().any(|one| one.queue == name) {
        return Ok(());
    }
    let detail = format!("no run and no worker has named a queue called {name:?} here");
    Err(ApiError::not_found("unknown_queue", detail))
}

#[derive(Template)]
#[template(path = "queues.html")]
pub(super) struct QueuesPage {
    pub(super) shell: Shell,
    pub(super) queues: Vec<QueueStanding>,
    /// The queue that is meant, and its connection if that is named.
    pub(super) meant: Option<(String, Option<String>)>,
}

impl QueuesPage {
    /// Whether this is the queue that is meant.
    pub(super) fn means(&self, queue: &QueueStanding) -> bool {
        self.meant.as_ref().is_some_and(|(name, connection)| {
            let of = queue.connection.as_deref().unwrap_or_default();
            *name == queue.queue && connection.as_deref().is_none_or(|meant| meant == of)
        })
    }
}

pub(super) async fn page(
    Asked { shell, view, asked, .. }: Asked<QueueQuery>,
) -> Page<Html<String>> {
    let queues = view.queues().await?;
    if let Some(name) = asked.queue.as_ref().filter(|_| shell.as_of.is_none()) {
        known(name, &queues)?;
    }
    let connection = asked.connection.map(|name| name.0);
    let meant = asked.queue.map(|queue| (queue, connection));
    html(&QueuesPage { shell, queues, meant })
}
