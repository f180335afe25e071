//! The reconciler: how fast stale runs are judged from a domain database, and what that asks of it.

use std::time::Duration;

use anyhow::ensure;
use runledger::reconciler::Reconciler;
use runledger_adapters::built_in;
use runledger_adapters::domain::{Domain, DomainSettings};
use runledger_ledger::catalog::Catalog;
use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::run::{Dispatch, Named, Origin, RunCommand};
use runledger_ledger::submission::{Answer, Command, Submission};
use runledger_ledger::time::Span;
use runledger_ledger::words::Name;
use runledger_projections::Projections;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::time::Instant;

use super::append::per_second;
use super::stand::{Database, Site, Stand};
use crate::database::drop_database;
use crate::domain::DomainDatabase;

const OPERATION: &str = "environment.review.compose";
/// More than a run of the operation may wait.
const STALE: Span = Span::from_secs(3_600);
/// How long the domain database may take to say what it was asked.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of judging.
#[derive(Clone, Copy, Debug)]
pub struct Judged {
    /// Runs that were asked about, decided and recorded in a second.
    pub rate: f64,
    /// Transactions of the domain database for 1,000 runs; each reads with one query.
    pub queries: f64,
}

/// Judges `runs` stale runs of one workspace, each of which has a review that is ready.
///
/// # Errors
/// When a run is not decided.
pub async fn judge(stand: &Stand, database: Database, runs: usize) -> anyhow::Result<Judged> {
    let url = stand.postgres().await?;
    let domain = DomainDatabase::in_database(&url).await?;
    compose(&domain.pool, runs).await?;
    let clock = Clock::manual(Clock::system().now());
    let site = stand.site_at(database, clock.clone()).await?;
    let projections = Projections::new(site.ledger.clone())?;
    let (stop, stopped) = watch::channel(false);
    let follower = projections.clone();
    let following = tokio::spawn(async move { follower.follow(stopped).await });
    dispatch(&site, runs).await?;

    let read = Domain::new(&DomainSettings::new(&domain.url))?;
    let registry = built_in(Some(&read)).build(&Catalog::built_in())?;
    let reconciler = Reconciler::new(projections.clone(), registry, Entropy::system());
    let listen = async || site.ledger.store().note_listening(clock.now()).await;
    listen().await?;
    // Their deadlines are noted while they are fresh, as in life.
    reconciler.look().await?;
    clock.advance(STALE);
    listen().await?;
    let before = size(&site).await?;
    let began = Instant::now();
    while reconciler.look().await?.is_some() {}
    let took = began.elapsed();
    let decided = size(&site).await? - before;
    ensure!(decided == runs as u64, "{decided} of {runs} runs were decided");

    // The connections end with their last owner, and then the database has counted everything.
    drop((reconciler, read));
    let asked = transactions(&domain.pool).await?;
    // Nobody follows any more: that is as good.
    let _ = stop.send(true);
    following.await?;
    site.close().await?;
    domain.pool.close().await;
    drop_database(&url).await?;
    #[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
    let queries = asked as f64 * 1_000.0 / runs as f64;
    Ok(Judged { rate: per_second(runs, took), queries })
}

/// What the applications did: a review for each fingerprint.
async fn compose(pool: &PgPool, runs: usize) -> anyhow::Result<()> {
    const REVIEWS: &str = "INSERT INTO environment_reviews \
         (id, workspace, environment, fingerprint, status) \
         SELECT 100000 + n, 'main', 'production', 'f' || n, 'ready' \
         FROM generate_series(1, $1) AS n";
    sqlx::query(REVIEWS).bind(i64::try_from(runs)?).execute(pool).await?;
    sqlx::query("ANALYZE environment_reviews").execute(pool).await?;
    Ok(())
}

async fn dispatch(site: &Site, runs: usize) -> anyhow::Result<()> {
    const PIECE: usize = 1_000;
    let mut numbers = 1..=runs;
    loop {
        let piece: Vec<usize> = numbers.by_ref().take(PIECE).collect();
        if piece.is_empty() {
            return Ok(());
        }
        let mut submissions = Vec::with_capacity(piece.len());
        for number in piece {
            let named = Named {
                environment: Some(Name::new("production")?),
                fingerprint: Some(Name::new(format!("f{number}"))?),
                ..Named::default()
            };
            let dispatch = Dispatch {
                correlation_version: 1,
                operation: Name::new(OPERATION)?,
                named,
                origin: Origin::default(),
                unique: None,
            };
            let command = RunCommand::Dispatch(Box::new(dispatch));
            submissions.push(Submission::new(Command::Run(site.ledger.new_run_id()?, command)));
        }
        let answers = site.ledger.submit(site.workspace, submissions, false).await?;
        let recorded = answers.iter().all(|answer| matches!(answer, Answer::Recorded(_)));
        ensure!(recorded, "a run was not recorded");
    }
}

async fn size(site: &Site) -> anyhow::Result<u64> {
    let head = site.ledger.store().head(site.workspace).await?;
    Ok(head.map_or(0, |head| head.size()))
}

/// How many transactions the readers began: each is rolled back, and nobody else's is.
async fn transactions(pool: &PgPool) -> anyhow::Result<i64> {
    const READERS: &str = "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name = 'runledger'";
    const ROLLED_BACK: &str =
        "SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()";
    let began = Instant::now();
    loop {
        let (readers,): (i64,) = sqlx::query_as(READERS).fetch_one(pool).await?;
        if readers == 0 {
            let (rolled_back,): (i64,) = sqlx::query_as(ROLLED_BACK).fetch_one(pool).await?;
            return Ok(rolled_back);
        }
        ensure!(began.elapsed() < PATIENCE, "the readers stay connected");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
