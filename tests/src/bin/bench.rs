//! Measures the speed of the ledger and prints one table: `cargo bench-ledger [--quick]
//! [--only NAME]... [--json]`.
//!
//! Everything happens in one sitting on one private PostgreSQL that flushes to disk, and on SQLite
//! files beside it; what is compared is measured in turns, so that a machine that slows down slows
//! all of it down. `specs/0008-performance.md` explains each row.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use runledger_projections::Projections;
use runledger_tests::bench::append::{self, Load, percentile};
use runledger_tests::bench::baseline::{self, Baseline, CROWDS, Crowd};
use runledger_tests::bench::copy::Rows;
use runledger_tests::bench::pages::{PAGES, Visitor};
use runledger_tests::bench::reads::{self, QUESTIONS};
use runledger_tests::bench::report::{Aim, BASELINE, COPY, Report, Unit};
use runledger_tests::bench::server::Served;
use runledger_tests::bench::sizes::Sizes;
use runledger_tests::bench::stand::{Database, Stand};
use runledger_tests::bench::{alike, evidence, fairness, http, lag, project, reconcile, traffic};
use runledger_tests::database::drop_database;
use tokio::time::Instant;

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
    /// How many runs the large history has
    #[arg(long, value_name = "NUMBER")]
    runs: Option<usize>,
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
    /// Events over HTTP, and what the server needs of memory
    Http,
    /// How far the read models are behind at half of the maximum
    Lag,
    /// Acknowledgements of a quiet workspace beside a noisy one
    Fairness,
    /// Answers about what is foreign and about what is not there
    Alike,
    /// Deriving the read models again
    Rebuild,
    /// The overview and lists over a small and a large history
    Reads,
    /// Pages of the dashboard over a small and a large history: first byte and weight
    Pages,
    /// Stale runs, judged from a domain database
    Reconcile,
    /// The tree: what it costs, proofs, and verification from packs and databases
    Evidence,
}

const CALLERS: [u64; 4] = [1, 8, 64, 256];

fn main() -> ExitCode {
    // The server that is measured is this program, in a process of its own.
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return runledger::cli::run();
    }
    match measure(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn measure(arguments: Arguments) -> anyhow::Result<()> {
    let mut sizes = if arguments.quick { Sizes::QUICK } else { Sizes::FULL };
    sizes.repetitions = arguments.repetitions.unwrap_or(sizes.repetitions);
    sizes.folded = arguments.folded.unwrap_or(sizes.folded);
    sizes.runs[1] = arguments.runs.unwrap_or(sizes.runs[1]);
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
            if wanted(Part::Http) || wanted(Part::Lag) {
                over_http(&stand, database, &sizes, &mut report).await?;
            }
        }
    }
    for database in Database::ALL {
        if wanted(Part::Lag) {
            say("watching the read models");
            lag(&stand, database, &sizes, &mut report).await?;
        }
    }
    if wanted(Part::Fairness) {
        for database in Database::ALL {
            say(&format!("listening through the noise on {}", database.name()));
            fair(&stand, database, &sizes, &mut report).await?;
        }
    }
    if wanted(Part::Alike) {
        for database in Database::ALL {
            say(&format!("asking about foreign things on {}", database.name()));
            alike::foreign_and_missing(&stand, database, &sizes, &mut report).await?;
        }
    }
    if wanted(Part::Rebuild) {
        say("rebuilding");
        rebuilds(&stand, &sizes, &mut report).await?;
    }
    if wanted(Part::Reconcile) {
        say("judging stale runs");
        reconciled(&stand, &sizes, &mut report).await?;
    }
    if wanted(Part::Evidence) {
        for database in Database::ALL {
            say(&format!("proving and verifying from {}", database.name()));
            evidence(&stand, database, &sizes, &mut report).await?;
        }
    }
    let asked = Asked { questions: wanted(Part::Reads), pages: wanted(Part::Pages) };
    if asked.questions || asked.pages {
        for database in Database::ALL {
            say(&format!("reading from {}", database.name()));
            reads(&stand, database, &sizes, asked, &mut report).await?;
        }
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
    // A service may make no tables.
    if let Some(url) = &site.admin {
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
    let p99 = millis(percentile(&load.latencies, 99));
    report.add(format!("{name}, p99"), Unit::Millis, p99);
}

fn http_batch(database: Database) -> String {
    format!("{}: HTTP, 1,000 events a request, 4 connections", database.name())
}

/// The server follows its log all the while, as it always does.
async fn over_http(
    stand: &Stand,
    database: Database,
    sizes: &Sizes,
    report: &mut Report,
) -> anyhow::Result<()> {
    let served = Served::start(stand, database).await?;
    let (server, ledger) = (&served.server, &served.site.ledger);
    let idle = format!("{}: memory of the server, idle", database.name());
    report.add(&idle, Unit::Megabytes, served.memory()?.0);
    report.aim(&idle, Aim::AtMost(40.0));
    let load = http::batches(server, ledger, 4, sizes.rows, 1_000).await?;
    let name = http_batch(database);
    add(report, &name, &load);
    if database == Database::Postgres {
        report.aim(&name, Aim::OfCopy(0.5));
    }
    let load = http::singles(server, ledger, 64, sizes.time).await?;
    add(report, &format!("{}: HTTP, single events, 64 connections", database.name()), &load);
    let full = format!("{}: memory of the server, most under full load", database.name());
    report.add(&full, Unit::Megabytes, served.memory()?.1);
    report.aim(&full, Aim::AtMost(200.0));
    served.stop().await?.close().await
}

async fn lag(
    stand: &Stand,
    database: Database,
    sizes: &Sizes,
    report: &mut Report,
) -> anyhow::Result<()> {
    let most = report.median(&http_batch(database)).context("no maximum was measured")?;
    let site = stand.site(database).await?;
    let lags = lag::lags(&site, most / 2.0, sizes.watched).await?;
    for percent in [50, 99] {
        let name = format!("{}: lag at half of the HTTP maximum, p{percent}", database.name());
        report.add(&name, Unit::Millis, millis(percentile(&lags, percent)));
        if percent == 99 {
            report.aim(&name, Aim::AtMost(100.0));
        }
    }
    site.close().await
}

/// The p99 of the quiet workspace beside the noise, by its p99 alone, both of one run.
async fn fair(
    stand: &Stand,
    database: Database,
    sizes: &Sizes,
    report: &mut Report,
) -> anyhow::Result<()> {
    let name = |what: &str| format!("{}: fairness, {what}", database.name());
    for _ in 0..sizes.repetitions {
        let served = Served::start(stand, database).await?;
        let measured = fairness::measure(&served, sizes.watched).await?;
        let of = |taken: &[Duration], percent| millis(percentile(taken, percent));
        for (whose, taken) in [("alone", &measured.alone), ("beside a noisy one", &measured.beside)]
        {
            for percent in [50, 99] {
                let what = name(&format!("quiet workspace {whose}, p{percent}"));
                report.add(what, Unit::Millis, of(taken, percent));
            }
        }
        let times = of(&measured.beside, 99) / of(&measured.alone, 99);
        report.add(name("beside by alone, p99"), Unit::Times, times);
        report.add(name("events of the noisy workspace"), Unit::Rate, measured.noise);
        served.stop().await?.close().await?;
    }
    report.aim(&name("beside by alone, p99"), Aim::AtMost(2.0));
    Ok(())
}

/// What is read over a history: filling a large one takes longest, so it is filled once for both.
#[derive(Clone, Copy)]
struct Asked {
    questions: bool,
    pages: bool,
}

async fn reads(
    stand: &Stand,
    database: Database,
    sizes: &Sizes,
    what: Asked,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut site = stand.site(database).await?;
    let mut there = 0;
    for runs in sizes.runs {
        let filled = Instant::now();
        project::fill(&site, (runs - there) * traffic::SIGNALS, there as u64).await?;
        let appended = filled.elapsed();
        Projections::new(site.ledger.clone())?.catch_up(site.workspace).await?;
        there = runs;
        say(&format!("{runs} runs: {appended:.1?} to append, {:.1?} in all", filled.elapsed()));
        let served = Served::over(stand, site).await?;
        if what.pages {
            pages(&served, database, runs, sizes, report).await?;
        }
        for (question, path) in QUESTIONS.into_iter().filter(|_| what.questions) {
            let taken = reads::ask(&served.server, path, sizes.reads).await?;
            for percent in [50, 99] {
                let name = asked(database, question, runs, percent);
                report.add(name, Unit::Millis, millis(percentile(&taken, percent)));
            }
            if runs == sizes.runs[1] {
                judge(report, database, question, sizes);
            }
        }
        if what.questions && runs == sizes.runs[1] {
            let name = format!("{}: memory of the server, most at {runs} runs", database.name());
            report.add(&name, Unit::Megabytes, served.memory()?.1);
            report.aim(&name, Aim::AtMost(200.0));
        }
        site = served.stop().await?;
    }
    site.close().await
}

/// Opens every page, and adds how soon its first byte came and what it weighs.
async fn pages(
    served: &Served,
    database: Database,
    runs: usize,
    sizes: &Sizes,
    report: &mut Report,
) -> anyhow::Result<()> {
    let visitor = Visitor::sign_in(&served.server).await?;
    for (page, path) in PAGES {
        let seen = visitor.open(path, sizes.reads / 10).await?;
        let name = |what: &str| format!("{}: page {page}, {runs} runs, {what}", database.name());
        for percent in [50, 99] {
            let name = name(&format!("first byte, p{percent}"));
            report.add(name, Unit::Millis, millis(percentile(&seen.first_byte, percent)));
        }
        let weight = f64::from(u32::try_from(seen.bytes)?) / 1_024.0;
        report.add(name("weight with assets"), Unit::Kilobytes, weight);
        report.aim(&name("first byte, p50"), Aim::AtMost(20.0));
        report.aim(&name("weight with assets"), Aim::AtMost(150.0));
    }
    Ok(())
}

fn asked(database: Database, question: &str, runs: usize, percent: usize) -> String {
    format!("{}: {question}, {runs} runs, p{percent}", database.name())
}

/// What is aimed at over the large history: by itself, and by the small one.
fn judge(report: &mut Report, database: Database, question: &str, sizes: &Sizes) {
    let [small, large] = sizes.runs.map(|runs| report.median(&asked(database, question, runs, 50)));
    report.aim(&asked(database, question, sizes.runs[1], 99), Aim::AtMost(10.0));
    let times = large.zip(small).map_or(f64::NAN, |(large, small)| large / small);
    let name = format!("{}: {question}, large by small history, p50", database.name());
    report.add(&name, Unit::Times, times);
    report.aim(&name, Aim::AtMost(2.0));
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
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

async fn reconciled(stand: &Stand, sizes: &Sizes, report: &mut Report) -> anyhow::Result<()> {
    for database in Database::ALL {
        let name = format!("{}: {} stale runs judged", database.name(), sizes.judged);
        for _ in 0..sizes.repetitions {
            let judged = reconcile::judge(stand, database, sizes.judged).await?;
            report.add(&name, Unit::Runs, judged.rate);
            let asked = format!("{name}, queries of the domain database");
            report.add(asked, Unit::PerThousand, judged.queries);
        }
    }
    Ok(())
}

/// The tree over a large log: what it costs, how fast it proves, how fast all of it is verified.
async fn evidence(
    stand: &Stand,
    database: Database,
    sizes: &Sizes,
    report: &mut Report,
) -> anyhow::Result<()> {
    let (name, site) = (database.name(), stand.site(database).await?);
    let (begun, events) = (Instant::now(), sizes.proved);
    project::fill(&site, events, 0).await?;
    let with = append::per_second(events, begun.elapsed());
    let alone = evidence::tree_alone(events);
    report.add("tree alone, in memory, one core", Unit::Rate, alone);
    report.add(format!("{name}: append with the tree"), Unit::Rate, with);
    let without = evidence::without_tree(with, alone);
    report.add(format!("{name}: append without the tree (computed)"), Unit::Rate, without);
    let reads = u64::try_from(sizes.reads)?;
    let proofs = evidence::proofs(&site, reads).await?;
    for (kind, taken) in ["inclusion", "consistency"].iter().zip(&proofs) {
        for percent in [50, 99] {
            let row = format!("{name}: {kind} proof, {events} events, p{percent}");
            report.add(row, Unit::Millis, millis(percentile(taken, percent)));
        }
    }
    let packed = evidence::packed(stand, &site).await?;
    let exported = append::per_second(events, packed.exported);
    report.add(format!("{name}: export of a pack"), Unit::Rate, exported);
    let from_pack = "verify from a pack, one core";
    for _ in 0..sizes.repetitions {
        report.add(from_pack, Unit::Rate, packed.verify()?);
        let row = format!("{name}: verify the log in the database");
        report.add(row, Unit::Rate, evidence::verify_database(&site).await?);
    }
    report.aim(from_pack, Aim::AtLeast(300_000.0));
    site.close().await
}

fn say(line: &str) {
    // With standard error gone, there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
}
