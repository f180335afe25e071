//! `runledger log`.

use std::time::Duration;

use anyhow::Context;
use runledger_projections::{Health, Overview};

use super::events::{Line, row_of_log};
use super::reading::{Query, Reading};
use super::table::Table;
use super::{Answer, block_on, output};

/// How often the server is asked for what is new.
const PACE: Duration = Duration::from_secs(1);
/// Events that are asked for at a time.
const PAGE: u64 = 1_000;

/// What may be asked of the log.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Tail(Box<Tail>),
}

/// Show the last events of the log, and with -f those that come.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  runledger log tail -f
  runledger log tail --from 0 --json            all of it, one event a line, as it is stored

Exit codes: 0 shown; 1 failed; 2 the command line or a setting cannot be used; 3 the server cannot
be reached, or refused")]
pub(super) struct Tail {
    /// So many of the last events
    #[arg(long, short = 'n', value_name = "NUMBER", default_value_t = 20)]
    number: u64,
    /// All from this position on instead
    #[arg(long, value_name = "POSITION", conflicts_with = "number")]
    from: Option<u64>,
    /// Wait for more, until interrupted
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    reading: Reading,
}

pub(super) fn run(command: &Command) -> anyhow::Result<Answer> {
    let Command::Tail(tail) = command;
    block_on(tail.print())
}

impl Tail {
    async fn print(&self) -> anyhow::Result<Answer> {
        let reader = self.reading.begin().await?;
        let mut from = match self.from {
            Some(from) => from,
            None => {
                let overview: Overview = reader.look(&["overview"], Query::new()).await?;
                let Health { events, lag, .. } = overview.health;
                let size = events.unwrap_or_default() + lag.unwrap_or_default();
                size.saturating_sub(self.number)
            }
        };
        loop {
            let query = vec![("from", from.to_string()), ("limit", PAGE.to_string())];
            let text = reader.text(&["log"], query).await?;
            let seen = u64::try_from(text.lines().count()).unwrap_or(PAGE);
            if self.reading.json {
                output::body(&text);
            } else {
                show(&text)?;
            }
            if !output::is_heard() {
                return Ok(Answer::Yes);
            }
            from += seen;
            if seen < PAGE {
                if !self.follow {
                    return Ok(Answer::Yes);
                }
                tokio::time::sleep(PACE).await;
            }
        }
    }
}

fn show(text: &str) -> anyhow::Result<()> {
    // Without headings, so that what comes later lines up below what came before.
    let mut table = Table::new([""; 4]).with_least([6, 20, 15, 8]);
    for line in text.lines() {
        let line: Line = serde_json::from_str(line).context("an event cannot be understood")?;
        table.row(row_of_log(&line));
    }
    table.lines().iter().for_each(output::line);
    Ok(())
}
