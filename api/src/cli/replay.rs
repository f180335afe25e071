//! `runledger replay`: history under another catalog.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use runledger_ledger::catalog::Catalog;
use runledger_ledger::clock::Clock;
use runledger_projections::{Differing, Sides, Simulation};
use serde::Serialize;

use super::maintenance::{Database, Which};
use super::progress::Bar;
use super::table::{Cell, Row, Table};
use super::{Answer, Unusable, block_on, output, reading, times};
use crate::problem::ApiError;
use crate::when;

/// Replay history under another catalog, and list what would have been judged differently.
///
/// The log is replayed from its first event into scratch files: once as it was, and once as if the
/// other catalog had been in force all the time, its windows and aliases at every dispatch, its
/// policies at every verdict. Then every run is judged by both at one moment. What was recorded,
/// also by adapters, stays as it was.
///
/// A server may run meanwhile. Nothing of the ledger is changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  runledger replay --catalog stricter.toml
  runledger replay --catalog stricter.toml --workspace main --as-of 2026-01-31T12:00:00Z --json

Exit codes: 0 nothing would have been judged differently; 1 something would have been, or it failed; 2
the command line, a setting or the catalog cannot be used")]
pub(super) struct Replay {
    /// The other catalog, a TOML file
    #[arg(long, value_name = "FILE")]
    catalog: PathBuf,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    database: Database,
    /// Judge as of then: a time, how long ago, a position of the log, or a checkpoint (size:EVENTS or
    /// root:HEX) [default: now]
    #[arg(long, value_name = "WHEN")]
    as_of: Option<String>,
    /// List at most so many runs of a workspace
    #[arg(long, value_name = "RUNS", default_value_t = 1_000)]
    limit: usize,
    /// One JSON object, for programs
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct All {
    catalog: String,
    workspaces: Vec<One>,
}

#[derive(Serialize)]
struct One {
    workspace: String,
    #[serde(flatten)]
    simulation: Simulation,
}

pub(super) fn run(replay: &Replay) -> anyhow::Result<Answer> {
    let catalog = Arc::new(read(&replay.catalog)?);
    let when = replay.as_of.as_deref();
    let when = when.map(|when| reading::moment(when, "--as-of", &Clock::system())).transpose()?;
    let unusable = |error: ApiError| Unusable(error.detail().to_owned());
    let said = when::as_of(when.as_deref()).map_err(unusable)?;
    block_on(async {
        let projections = replay.database.open().await?;
        let mut workspaces = Vec::new();
        for (id, workspace) in replay.which.find(projections.ledger().store()).await? {
            let store = projections.ledger().store();
            let as_of = when::moment(store, id, said).await.map_err(unusable)?;
            let bar = Bar::new(&workspace);
            let progress = |done, of| bar.at(done, of);
            let simulated =
                projections.simulate(id, as_of, &catalog, replay.limit, &progress).await;
            let simulation =
                simulated.with_context(|| format!("{workspace} could not be replayed"))?;
            drop(bar);
            let one = One { workspace, simulation };
            if !replay.json {
                one.print();
            }
            workspaces.push(one);
        }
        projections.ledger().store().close().await;
        let same = workspaces.iter().all(|one| one.simulation.differing == 0);
        if replay.json {
            let catalog = replay.catalog.display().to_string();
            output::line(serde_json::to_string_pretty(&All { catalog, workspaces })?);
        }
        Ok(if same { Answer::Yes } else { Answer::No })
    })
}

fn read(path: &Path) -> anyhow::Result<Catalog> {
    let name = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Unusable(format!("{name} cannot be read: {error}")))?;
    Ok(Catalog::parse(&text).map_err(|errors| {
        let check = format!("`runledger catalog check {name}` lists what is wrong");
        Unusable(format!("{name} is no catalog: {errors} ({check})"))
    })?)
}

impl One {
    fn print(&self) {
        let One { workspace, simulation } = self;
        let Simulation { at, events, runs, present, other, differing, .. } = simulation;
        let at = times::absolute(*at);
        output::line(format!("{workspace}: {events} events replayed, {runs} runs judged at {at}"));
        if *differing == 0 {
            return output::line("  none would have been judged differently");
        }
        let one = if *differing == 1 { "run" } else { "runs" };
        output::line(format!("  {differing} {one} would have been judged differently"));
        for (what, present, other) in [
            ("runs that need a person", present.follow_ups, other.follow_ups),
            ("runs past their window", present.stale, other.stale),
        ] {
            output::line(format!("  {what}: {present} as it was, {other} under the other catalog"));
        }
        let heads = ["RUN", "OPERATION", "WHAT", "AS IT WAS", "UNDER THE OTHER"];
        let mut table = Table::new(heads).with_sentences("WHY");
        for run in &simulation.differences {
            rows(run).into_iter().for_each(|row| table.row(row));
        }
        table.indented_lines(2).into_iter().for_each(output::line);
        if simulation.more > 0 {
            output::line(format!("  and {} more runs; --limit lists more", simulation.more));
        }
    }
}

/// A row for each thing that differs; what is the same for all of them stands in the first.
fn rows(run: &Differing) -> Vec<Row> {
    let side = |side: &Option<String>| Cell::maybe(side.as_deref());
    let row = |(place, sides): (usize, &Sides)| {
        let first = |text: String| Cell::new(if place == 0 { text } else { String::new() });
        let named = [first(run.run_id.to_string()), first(run.operation.clone())];
        let told = [Cell::new(&*sides.field), side(&sides.present), side(&sides.other)];
        let row = Row::of(named.into_iter().chain(told));
        if place == 0 { row.saying(Cell::new(why(run)).dim()) } else { row }
    };
    run.differences.iter().enumerate().map(row).collect()
}

/// What of the rules for a run differs.
fn why(run: &Differing) -> String {
    if run.why.is_empty() {
        return "other runs of its queue or operation are judged differently".to_owned();
    }
    let told = |sides: &Sides| {
        let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "none".to_owned());
        format!("{} {} → {}", sides.field, side(&sides.present), side(&sides.other))
    };
    run.why.iter().map(told).collect::<Vec<_>>().join(", ")
}
