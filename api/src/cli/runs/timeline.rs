//! `runledger runs show --timeline`: what was true of a run, from when to when, and what changed it.

use runledger_ledger::words::RunId;
use runledger_projections::{Cause, Period, QueueLife, Timeline};

use super::super::output;
use super::super::table::{Cell, Row, Table};
use super::super::times::absolute;

/// Prints the verdicts on freshness, queue and need of a person.
pub(super) fn print(told: &Timeline) {
    let Timeline { run_id, freshness, actionability, queue, .. } = told;
    periods("FRESHNESS", *run_id, freshness, |was| was.freshness.to_string());
    if let Some(QueueLife { connection, queue, verdicts, told_until, truncated }) = queue {
        let of = connection.iter().map(|connection| format!("{connection}/"));
        let of: String = of.chain([queue.clone()]).collect();
        periods(&format!("QUEUE {of}"), *run_id, verdicts, |was| was.verdict.to_string());
        if let Some(until) = told_until {
            let until = absolute(*until);
            output::line(format!(
                "  nothing is told from {until} on; ask `--as-of` a later moment"
            ));
        }
        if !truncated.is_empty() {
            let words: Vec<&str> = truncated.iter().map(|word| word.as_str()).collect();
            output::note(format!("not everything was looked at: {}", words.join(", ")));
        }
    }
    periods("FOLLOW-UP", *run_id, actionability, |was| {
        let reason = was.verdict.reason.as_ref().map(|reason| format!(" ({reason})"));
        format!("{}{}", was.verdict.status, reason.unwrap_or_default())
    });
}

fn periods<T>(title: &str, of: RunId, periods: &[Period<T>], was: impl Fn(&T) -> String) {
    output::line(Cell::new(title).bold());
    let mut table = Table::new(["FROM", "UNTIL", "WAS", "BECAUSE"]);
    for Period { from, until, was: then, because } in periods {
        let until = until.map_or_else(|| "now".to_owned(), absolute);
        table.row(Row::of([
            Cell::new(absolute(*from)),
            Cell::new(until),
            Cell::new(was(then)),
            Cell::new(cause(because, of)),
        ]));
    }
    table.indented_lines(2).into_iter().for_each(output::line);
}

fn cause(because: &Cause, of: RunId) -> String {
    match because {
        Cause::Event { position, event_type, run_id } => {
            let other = run_id.filter(|run| *run != of).map(|run| format!(" of run {run}"));
            format!("{event_type} at {position}{}", other.unwrap_or_default())
        }
        Cause::Deadline => "time".to_owned(),
        Cause::Elsewhere => "a run elsewhere".to_owned(),
    }
}
