//! `runledger verify`.

use anyhow::Context;
use runledger_projections::{Verification, VerifyProgress, VerifyStep};
use serde::Serialize;

use super::maintenance::{Database, Which};
use super::progress::Bar;
use super::table::Cell;
use super::{Answer, block_on, output};

/// Recompute the tree and every read model from the log, and say where anything differs.
///
/// A server may run meanwhile. Nothing of the ledger is changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  runledger verify
  runledger verify --workspace main --database-url postgres://runledger@db/ledger --json

Exit codes: 0 all is intact; 1 something differs, or it failed; 2 the command line or a setting
cannot be used")]
pub(super) struct Verify {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    database: Database,
    /// One JSON object, for programs
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Found {
    workspace: String,
    #[serde(flatten)]
    verification: Verification,
}

#[derive(Serialize)]
struct All {
    intact: bool,
    workspaces: Vec<Found>,
}

pub(super) fn run(verify: &Verify) -> anyhow::Result<Answer> {
    block_on(async {
        let projections = verify.database.open().await?;
        let mut workspaces = Vec::new();
        for (id, workspace) in verify.which.find(projections.ledger().store()).await? {
            let bar = Bar::new(&workspace);
            let verification = projections
                .verify(id, &|progress| show(&bar, &workspace, progress))
                .await
                .with_context(|| format!("the workspace {workspace} could not be verified"))?;
            drop(bar);
            let found = Found { workspace, verification };
            if !verify.json {
                print(&found);
            }
            workspaces.push(found);
        }
        projections.ledger().store().close().await;
        let intact = workspaces.iter().all(|found| found.verification.is_intact());
        if verify.json {
            output::line(serde_json::to_string_pretty(&All { intact, workspaces })?);
        }
        Ok(if intact { Answer::Yes } else { Answer::No })
    })
}

fn show(bar: &Bar, workspace: &str, progress: VerifyProgress) {
    let step = match progress.step {
        VerifyStep::Log => "checking the log",
        VerifyStep::Derive => "deriving the read models",
        VerifyStep::Compare => "comparing rows",
    };
    bar.step(format!("{workspace}: {step}"));
    bar.at(progress.done, progress.of);
}

fn print(Found { workspace, verification }: &Found) {
    let Verification { events, root, rows, differences, more } = verification;
    if verification.is_intact() {
        let rows = rows.unwrap_or_default();
        output::line(format!(
            "{workspace}: intact; {events} events, and {rows} rows of read models that follow from \
             them"
        ));
        output::line(Cell::new(format!("  root {root}")).dim());
        return;
    }
    for difference in differences {
        output::line(Cell::new(format!("{workspace}: {difference}")));
    }
    if *more > 0 {
        output::line(format!("{workspace}: and {more} more differences"));
    }
    if rows.is_none() {
        output::note(format!(
            "{workspace}: the read models were not compared: nothing can follow from a damaged log"
        ));
    }
    let all = u64::try_from(differences.len()).unwrap_or(u64::MAX).saturating_add(*more);
    output::note(format!("{workspace}: differs in {all} places, of {events} events"));
}
