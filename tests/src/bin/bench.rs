//! Measures the speed of the ledger and prints one table: `cargo bench-ledger [--quick]
//! [--only NAME]... [--json]`.
//!
//! Everything happens in one sitting on one private PostgreSQL that flushes to disk, and on SQLite
//! files beside it; what is compared is measured in turns, so that a machine that slows down slows
//! all of it down. `specs/0008-performance.md` explains each row.

use std::io::Write;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use runledger_tests::bench::append::{self, Load, percentile};
use runledger_tests::bench::baseline::{self, Baseline, CROWDS, Crowd};
use runledger_tests::bench::copy::Rows;
use runledger_tests::bench::report::{Aim, BASELINE, COPY, Report, Unit};
use runledger_tests::bench::sizes::Sizes;
use runledger_tests::bench::stand::{Database, Stand};
use runledger_tests::bench::{project, traffic};
use runledger_tests::database::drop_database;

#[derive(Parser)]
#[command(about = "Measures the speed of the ledger and prints one table")]
struct Arguments {
    /// Small sizes, for seeing that everything runs, in about a minute
    #[arg(long)]
    quick: bool,
    /// Only these measurements
    #[arg(long, value_name = "NAME")]
    only: Vec<Part>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// How often each measurement is repeated
    #[arg(long, value_name = "NUMBER")]
    repetitions: Option<usize>,
    /// How many events are folded in a rebuild
    #[arg(long, value_name = "NUMBER")]
    folded: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// COPY of the same rows
    Copy,
    /// `execute` of postgres-es on the same server: the baseline
    PostgresEs,
    /// Commands in process, one event each
    Append,
    /// Commands in process, 1,000 events each
    Batch,
    /// Deriving the read models again
    Rebuild,
}

const CALLERS: [u64; 4] = [1, 8, 64, 256];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut sizes = if arguments.quick { Sizes::QUICK } else { Sizes::FULL };
    sizes.repetitions = arguments.repetitions.unwrap_or(sizes.repetitions);
    sizes.folded = arguments.folded.unwrap_or(sizes.folded);
    let wanted = |part: Part| arguments.only.is_empty() || arguments.only.contains(&part);
    let postgres_es = match wanted(Part::PostgresEs) {
        true => Some(Baseline::build().await?),
        false => None,
    };
    let stand = Stand::start()?;
    let mut report = Report::default();
    for repetition in 1..=sizes.repetitions {
        say(&format!("writing, {repetition} of {}", sizes.repetitions));
        if wanted(Part::Copy) {
            copy(&stand, &sizes, &mut report).await?;
        }
        if let Some(postgres_es) = &postgres_es {
            baseline(&stand, postgres_es, &sizes, &mut report).await?;
        }
        for database in Database::ALL {
            if wanted(Part::Append) {
                singles(&stand, database, &sizes, &mut report).await?;
            }
            if wanted(Part::Batch) {
                batches(&stand, database, &sizes, &mut report).await?;
            }
        }
    }
    if wanted(Part::Rebuild) {
        say("rebuilding");
        rebuilds(&stand, &sizes, &mut report).await?;
    }
    let text = match arguments.json {
        true => serde_json::to_string_pretty(&report.rows())?,
        false => report.to_string(),
    };
    writeln!(std::io::stdout(), "{text}")?;
    Ok(())
}

async fn copy(stand: &Stand, sizes: &Sizes, report: &mut Report) -> anyhow::Result<()> {
    let site = stand.site(Database::Postgres).await?;
    project::fill(&site, sizes.rows, 0).await?;
    let rows = Rows::of(&site).await?;
    if let runledger_ledger::store::StoreUrl::Postgres(url) = &site.url {
        report.add(COPY, Unit::Rate, rows.copy_into(url).await?);
    }
    site.close().await
}

async fn baseline(
    stand: &Stand,
    postgres_es: &Baseline,
    sizes: &Sizes,
    report: &mut Report,
) -> anyhow::Result<()> {
    let site = stand.site(Database::Postgres).await?;
    project::fill(&site, 1_000, 0).await?;
    let bytes = baseline::event_bytes(&site).await?;
    site.close().await?;
    for crowd in CROWDS {
        let url = stand.postgres().await?;
        let measured = postgres_es.measure(&url, crowd, bytes, sizes.time).await?;
        drop_database(&url).await?;
        let Crowd { callers, connections } = crowd;
        let name = format!("{BASELINE}, {callers} callers over {connections} connections");
        report.add(&name, Unit::Rate, measured.events_per_second);
        let p99 = Duration::from_micros(measured.p99_us).as_secs_f64() * 1_000.0;
        report.add(format!("{name}, p99"), Unit::Millis, p99);
    }
    Ok(())
}

async fn singles(
    stand: &Stand,
    database: Database,
    sizes: &Sizes,
    report: &mut Report,
) -> anyhow::Result<()> {
    for callers in CALLERS {
        let site = stand.site(database).await?;
        let load = append::single(&site, callers, sizes.time).await?;
        let name = format!("{}: commands, {callers} callers", database.name());
        add(report, &name, &load);
        if (database, callers) == (Database::Postgres, 64) {
            report.aim(&name, Aim::TimesBaseline(5.0));
        }
        site.close().await?;
    }
    Ok(())
}

async fn batches(
    stand: &Stand,
    database: Database,
    sizes: &Sizes,
    report: &mut Report,
) -> anyhow::Result<()> {
    for callers in [1, 4] {
        let site = stand.site(database).await?;
        let requests = traffic::requests(&site.ledger, sizes.rows, 1_000, 0)?;
        let load = append::batches(&site, callers, requests).await?;
        let name = format!("{}: commands of 1,000 events, {callers} callers", database.name());
        add(report, &name, &load);
        site.close().await?;
    }
    Ok(())
}

fn add(report: &mut Report, name: &str, load: &Load) {
    report.add(name, Unit::Rate, load.rate);
    let p99 = percentile(&load.latencies, 99).as_secs_f64() * 1_000.0;
    report.add(format!("{name}, p99"), Unit::Millis, p99);
}

async fn rebuilds(stand: &Stand, sizes: &Sizes, report: &mut Report) -> anyhow::Result<()> {
    for database in Database::ALL {
        let site = stand.site(database).await?;
        project::fill(&site, sizes.folded, 0).await?;
        let name = format!("{}: rebuild", database.name());
        for _ in 0..sizes.repetitions {
            report.add(&name, Unit::Rate, project::rebuild(&site).await?);
        }
        report.aim(&name, Aim::AtLeast(100_000.0));
        site.close().await?;
    }
    Ok(())
}

fn say(line: &str) {
    // With standard error gone, there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
}
