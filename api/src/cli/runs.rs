//! `runledger runs`.

mod show;
mod timeline;

use clap::builder::PossibleValuesParser;
use runledger_ledger::clock::Clock;
use runledger_ledger::words::{Outcome, Status};
use runledger_projections::Page;
use runledger_projections::rules::actionability::Actionability;
use runledger_projections::rules::freshness::Freshness;
use runledger_projections::rules::related::{Leads, leads};
use runledger_projections::rules::standing::{Now, Standing};
use runledger_projections::texts::Texts;

use super::reading::{Query, Reading, moment, push, words};
use super::table::{Cell, Row, Table};
use super::times::relative;
use super::{Answer, block_on, output};

/// What may be asked about runs.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    List(Box<List>),
    Show(Box<show::Show>),
}

/// List runs, the newest first.
///
/// RUN is the end of the run's id; `runs show` takes it, and --wide shows it whole.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  runledger runs list --follow-up --environment prod
  runledger runs list --freshness stale_running --json
  runledger runs list --operation backup.create --since 7d
  runledger runs list --as-of 2026-01-31T12:00:00Z

Exit codes: 0 listed, be it empty; 1 failed; 2 the command line or a setting cannot be used; 3 the
server cannot be reached, or refused")]
pub(super) struct List {
    #[command(flatten)]
    filter: Filter,
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

/// Which runs: those for which everything that is given is true.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Which runs")]
struct Filter {
    /// Where it stands in its life
    #[arg(long, value_parser = of(Status::ALL, |word| word.as_str()))]
    status: Option<String>,
    /// How it ended, as recorded
    #[arg(long, value_parser = of(Outcome::ALL, |word| word.as_str()))]
    outcome: Option<String>,
    /// Whether it is inside its window
    #[arg(long, value_parser = of(Freshness::ALL, |word| word.as_str()))]
    freshness: Option<String>,
    /// Only active ones past their deadline (or, with `=false`, inside it)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    overdue: Option<bool>,
    /// Whether it needs a person, and if not, why not
    #[arg(long, value_parser = of(Actionability::ALL, |word| word.as_str()))]
    actionability: Option<String>,
    /// Only those that need a person now (or, with `=false`, only the others)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    follow_up: Option<bool>,
    /// Operation type, or an alias of one
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// Family of operations
    #[arg(long, value_name = "NAME")]
    family: Option<String>,
    /// Environment; '' is the workspace's own runs
    #[arg(long, short, value_name = "NAME")]
    environment: Option<String>,
    /// What it acts on
    #[arg(long, value_name = "TYPE/ID")]
    subject: Option<String>,
    /// The queue that it names
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// That queue's connection; '' is none
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    /// A part of an id, a name, a reason or a message's code
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Dispatched then or later: a time, or how long ago (6h)
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Dispatched before then
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
}

pub(super) fn run(command: &Command) -> anyhow::Result<Answer> {
    block_on(async {
        match command {
            Command::List(list) => list.print().await,
            Command::Show(show) => show.print().await,
        }
    })
}

impl List {
    async fn print(&self) -> anyhow::Result<Answer> {
        let mut query = self.filter.query()?;
        let everything = query.is_empty();
        let reader = self.reading.begin().await?;
        push(&mut query, "limit", Some(&self.limit));
        push(&mut query, "cursor", self.cursor.as_ref());
        let Some(page) = reader.ask::<Page<Standing>>(&["runs"], query).await? else {
            return Ok(Answer::Yes);
        };
        let whole = self.wide || !output::is_terminal();
        let table = table(&page.items, reader.texts, whole);
        if table.is_empty() {
            output::note(if everything {
                "no runs are recorded yet"
            } else {
                "no run fits; leave a filter out to see more"
            });
        } else {
            let lines = if self.wide { table.whole_lines() } else { table.lines() };
            lines.iter().for_each(output::line);
        }
        output::page_goes_on(page.next.as_deref(), page.scanned_to);
        Ok(Answer::Yes)
    }
}

impl Filter {
    fn query(&self) -> anyhow::Result<Query> {
        let mut query = Query::new();
        for (name, value) in [
            ("status", &self.status),
            ("outcome", &self.outcome),
            ("freshness", &self.freshness),
            ("actionability", &self.actionability),
            ("operation", &self.operation),
            ("family", &self.family),
            ("environment", &self.environment),
            ("subject", &self.subject),
            ("queue", &self.queue),
            ("connection", &self.connection),
            ("text", &self.text),
        ] {
            push(&mut query, name, value.as_ref());
        }
        push(&mut query, "follow_up", self.follow_up.as_ref());
        push(&mut query, "overdue", self.overdue.as_ref());
        let clock = Clock::system();
        for (name, flag, value) in
            [("since", "--since", &self.since), ("until", "--until", &self.until)]
        {
            let moment = value.as_deref().map(|when| moment(when, flag, &clock)).transpose()?;
            push(&mut query, name, moment.as_ref());
        }
        Ok(query)
    }
}

/// Runs as a table: history in its columns, and beside them what is true now.
pub(super) fn table(runs: &[Standing], texts: &Texts, whole_ids: bool) -> Table {
    let mut table = Table::new(["RUN", "OPERATION", "SUBJECT", "ENV", "ASKED FOR", "RECORDED"]);
    for Standing { run_id, recorded, now } in runs {
        let ended = recorded.completed_at.is_some();
        let truth =
            if ended { texts.outcome(recorded.outcome) } else { texts.status(recorded.status) };
        let id = run_id.to_string();
        let row = Row::of([
            Cell::new(if whole_ids { id.as_str() } else { short(&id) }),
            Cell::new(&recorded.operation).bold(),
            Cell::maybe(recorded.subject.as_ref().map(ToString::to_string)),
            Cell::maybe(recorded.environment.as_ref().map(ToString::to_string)),
            Cell::new(relative(recorded.dispatched_at, now.at)),
            Cell::new(truth),
        ]);
        let guidance = format!("{}{}", first(now, whole_ids), now.guidance.text);
        let guidance = Cell::new(guidance).loud(now.guidance.severity);
        table.row(row.saying(guidance));
    }
    table
}

/// The thing to look at first, before a sentence.
pub(super) fn first(now: &Now, whole_ids: bool) -> String {
    let Some(thing) = &now.related else { return String::new() };
    match leads(thing) {
        Leads::Run(run) if !whole_ids => {
            format!("-> {}/{}: ", thing.kind, short(&run.to_string()))
        }
        _ => format!("-> {thing}: "),
    }
}

/// So many runs.
pub(super) fn counted(number: u64) -> String {
    format!("{number} run{}", if number == 1 { "" } else { "s" })
}

/// The end of an id: enough to tell runs apart. Its beginning is a time, and the same for many.
pub(super) fn short(id: &str) -> &str {
    id.get(id.len().saturating_sub(8)..).unwrap_or(id)
}

fn of<T: Copy>(all: &'static [T], word: fn(T) -> &'static str) -> PossibleValuesParser {
    words(all.iter().map(move |one| word(*one)))
}
