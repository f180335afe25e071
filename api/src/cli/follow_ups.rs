//! `runledger follow-ups`.

use runledger_projections::rules::actionability::{Actionability, is_follow_up};
use runledger_projections::texts::Texts;
use runledger_projections::{FollowUpItem, Page};

use super::reading::{Query, Reading, push, words};
use super::runs::{first, short};
use super::table::{Cell, Row, Table};
use super::times::relative;
use super::{Answer, block_on, output};

/// List what needs a person: things to do, each with how often it was seen.
///
/// LATEST is the end of the id of the run that it was seen in last; `runs show` takes it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  runledger follow-ups --environment prod
  runledger follow-ups --actionability requires_manual_review --json

Exit codes: 0 listed, be it empty; 1 failed; 2 the command line or a setting cannot be used; 3 the
server cannot be reached, or refused")]
pub(super) struct FollowUps {
    /// To be done, or to be looked at
    #[arg(long, value_parser = words(follow_ups()))]
    actionability: Option<String>,
    /// Environment; '' is the workspace's own runs
    #[arg(long, short, value_name = "NAME")]
    environment: Option<String>,
    /// Operation type, or an alias of one
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// Family of operations
    #[arg(long, value_name = "NAME")]
    family: Option<String>,
    /// Which comes first
    #[arg(long, value_parser = ["newest", "oldest"])]
    sort: Option<String>,
    /// At most so many
    #[arg(long, short = 'n', value_name = "NUMBER", default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: u16,
    /// Where the list goes on, as the page before said
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    /// Whole ids, and nothing cut or broken to fit the terminal
    #[arg(long)]
    wide: bool,
    #[command(flatten)]
    reading: Reading,
}

pub(super) fn run(follow_ups: &FollowUps) -> anyhow::Result<Answer> {
    block_on(follow_ups.print())
}

impl FollowUps {
    async fn print(&self) -> anyhow::Result<Answer> {
        let reader = self.reading.begin().await?;
        let mut query = Query::new();
        for (name, value) in [
            ("actionability", &self.actionability),
            ("environment", &self.environment),
            ("operation", &self.operation),
            ("family", &self.family),
            ("sort", &self.sort),
            ("cursor", &self.cursor),
        ] {
            push(&mut query, name, value.as_ref());
        }
        push(&mut query, "limit", Some(&self.limit));
        let Some(page) = reader.ask::<Page<FollowUpItem>>(&["follow-ups"], query).await? else {
            return Ok(Answer::Yes);
        };
        let table = table(&page.items, reader.texts, self.wide || !output::is_terminal());
        if table.is_empty() {
            output::note("nothing needs a person");
        } else {
            let lines = if self.wide { table.whole_lines() } else { table.lines() };
            lines.iter().for_each(output::line);
        }
        output::page_goes_on(page.next.as_deref(), page.scanned_to);
        Ok(Answer::Yes)
    }
}

fn table(items: &[FollowUpItem], texts: &Texts, whole_ids: bool) -> Table {
    let mut table =
        Table::new(["OPERATION", "SUBJECT", "ENV", "VERDICT", "SEEN", "SINCE", "LATEST"])
            .with_sentences("WHY");
    for item in items {
        let latest = item.latest.first();
        let since = latest.map(|run| relative(item.first_settled_at, run.now.at));
        let id = latest.map(|run| run.run_id.to_string());
        let id = id.as_deref().map(|id| if whole_ids { id } else { short(id) });
        let reason = latest.and_then(|run| texts.reason(&run.now.actionability));
        let row = Row::of([
            Cell::new(&item.operation).bold(),
            Cell::maybe(item.subject.as_ref().map(ToString::to_string)),
            Cell::maybe(item.environment.as_deref()),
            Cell::new(texts.actionability(item.actionability)).loud(item.guidance.severity),
            Cell::new(format!("{}×", item.occurrences)),
            Cell::maybe(since),
            Cell::maybe(id),
        ]);
        // The verdict has its column: the reason says more than the sentence of the verdict.
        let why = reason.unwrap_or_else(|| item.guidance.text.clone());
        let first = latest.map(|run| first(&run.now, whole_ids)).unwrap_or_default();
        table.row(row.saying(Cell::new(first + &why)));
    }
    table
}

/// The verdicts under which something is on the list.
fn follow_ups() -> impl Iterator<Item = &'static str> {
    Actionability::ALL.iter().filter(|status| is_follow_up(**status)).map(|status| status.as_str())
}
