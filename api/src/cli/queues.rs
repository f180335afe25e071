//! `runledger queues`.

use runledger_ledger::time::{Moment, Span};
use runledger_projections::QueueStanding;
use runledger_projections::rules::guidance::Severity;
use runledger_projections::rules::queue::QueueVerdict;
use serde::Deserialize;

use super::reading::{Query, Reading, rfc3339};
use super::table::{Cell, Row, Table};
use super::times::{length, relative};
use super::{Answer, block_on, output};

/// Show every queue: what waits in it, and whether anything picks it up.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 shown; 1 failed; 2 the command line or a setting cannot be used; 3 the server cannot
be reached, or refused")]
pub(super) struct Queues {
    #[command(flatten)]
    reading: Reading,
}

#[derive(Deserialize)]
struct Found {
    #[serde(deserialize_with = "rfc3339")]
    at: Moment,
    items: Vec<QueueStanding>,
}

pub(super) fn run(queues: &Queues) -> anyhow::Result<Answer> {
    block_on(async {
        let reader = queues.reading.begin().await?;
        let Some(found) = reader.ask::<Found>(&["queues"], Query::new()).await? else {
            return Ok(Answer::Yes);
        };
        if found.items.is_empty() {
            output::note("no run and no worker has named a queue yet");
            return Ok(Answer::Yes);
        }
        let mut table = Table::new([
            "QUEUE",
            "NOW",
            "WAITING",
            "OLDEST",
            "WORKERS",
            "LAST START",
            "WAIT P50",
            "WAIT P95",
        ]);
        for queue in &found.items {
            let truth = &queue.truth;
            let name = match &queue.connection {
                Some(connection) => format!("{connection}/{}", queue.queue),
                None => queue.queue.clone(),
            };
            let verdict = reader.texts.queue(truth.verdict);
            let length_of = |span: Option<Span>| Cell::maybe(span.map(length));
            table.row(Row::of([
                Cell::new(name).bold(),
                Cell::new(verdict).loud(severity(truth.verdict)),
                Cell::new(truth.waiting.to_string()),
                length_of(queue.oldest_wait),
                Cell::new(truth.live_workers.to_string()),
                Cell::maybe(truth.last_start.map(|start| relative(start, found.at))),
                length_of(truth.wait_p50),
                length_of(truth.wait_p95),
            ]));
        }
        table.lines().iter().for_each(output::line);
        Ok(Answer::Yes)
    })
}

/// As loud as what is told about a run that waits there.
pub(super) fn severity(verdict: QueueVerdict) -> Severity {
    match verdict {
        QueueVerdict::NoWorker | QueueVerdict::Stalled => Severity::Warning,
        QueueVerdict::Slow => Severity::Notice,
        QueueVerdict::Moving | QueueVerdict::Unknown => Severity::Calm,
        QueueVerdict::Empty => Severity::Done,
    }
}
