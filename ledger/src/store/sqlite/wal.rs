//! Brings what is in SQLite's write-ahead log into its file, beside the work and not in it.
//!
//! Left to itself, SQLite does so within the commit that makes the log long, and everybody who wants
//! to write waits for some megabytes to reach the disk. Here another connection does it. While it
//! works, more is written, and SQLite begins its log anew only when all of it is in the file, so the
//! writer brings over the little that came meanwhile.

use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::store::StoreError;

/// Pages in the log at which SQLite does it within a commit after all: this is no part of what is
/// expected, and keeps the log from growing for ever where nobody else does it.
pub(super) const AT_LAST: &str = "32000";
/// The same where nobody looks after the log.
pub(super) const BY_ITSELF: &str = "1000";
/// Pages that are worth it. Those that are written again and again go to the file once.
const WORTH_IT: i64 = 1_000;
/// How long after something was written it is looked at how much it was.
const PAUSE: Duration = Duration::from_millis(250);
/// How often the log is asked for in vain to be brought over whole, and how long is waited each time.
const ATTEMPTS: u32 = 100;
const MOMENT: Duration = Duration::from_millis(100);

const LOOK: &str = "PRAGMA wal_checkpoint(NOOP)";
const BRING_OVER: &str = "PRAGMA wal_checkpoint(PASSIVE)";
const TRUNCATE: &str = "PRAGMA wal_checkpoint(TRUNCATE)";

/// What SQLite answers: whether somebody was in the way, pages in the log, and those of them that
/// are in the file.
type Answer = (i64, i64, i64);

/// Whoever brings the log of one file over.
#[derive(Clone, Debug)]
pub(super) struct Keeper {
    /// Its one connection. The task ends when it is closed.
    own: SqlitePool,
    wrote: watch::Sender<()>,
}

impl Keeper {
    /// Starts to look after the log that `writer` writes, until [`Keeper::close`], or until nobody
    /// has the keeper any more.
    pub(super) fn start(options: SqliteConnectOptions, writer: SqlitePool) -> Self {
        let own = SqlitePoolOptions::new().max_connections(1).connect_lazy_with(options);
        let (wrote, seen) = watch::channel(());
        tokio::spawn(keep(seen, own.clone(), writer));
        Keeper { own, wrote }
    }

    /// Notes that something is about to be written.
    pub(super) fn note(&self) {
        self.wrote.send_replace(());
    }

    /// Waits until nothing is being brought over. Nothing is after it.
    pub(super) async fn close(&self) {
        self.own.close().await;
    }
}

/// Brings over whatever is worth it, whenever something was written.
async fn keep(mut wrote: watch::Receiver<()>, own: SqlitePool, writer: SqlitePool) {
    while wrote.changed().await.is_ok() && !own.is_closed() {
        sleep(PAUSE).await;
        match bring_over(&own, &writer).await {
            Ok(()) | Err(sqlx::Error::PoolClosed) => {}
            Err(error) => tracing::warn!(%error, "the write-ahead log stays as long as it is"),
        }
    }
}

async fn bring_over(own: &SqlitePool, writer: &SqlitePool) -> Result<(), sqlx::Error> {
    let (_, pages, done) = ask(own, LOOK).await?;
    if pages - done >= WORTH_IT {
        ask(own, BRING_OVER).await?;
        ask(writer, BRING_OVER).await?;
    }
    Ok(())
}

/// Brings everything over and leaves nothing in the log, for whoever must know that no trace is left
/// there. Whoever reads or brings over at the moment is waited for.
///
/// # Errors
/// When there was always somebody in the way for ten seconds.
pub(in crate::store) async fn empty(writer: &SqlitePool) -> Result<(), StoreError> {
    for _ in 0..ATTEMPTS {
        let (in_the_way, ..) = ask(writer, TRUNCATE).await?;
        if in_the_way == 0 {
            return Ok(());
        }
        sleep(MOMENT).await;
    }
    let always = "somebody always read from the write-ahead log, so that it could not be emptied";
    Err(StoreError::Unavailable(sqlx::Error::Protocol(always.to_owned())))
}

async fn ask(pool: &SqlitePool, question: &'static str) -> Result<Answer, sqlx::Error> {
    sqlx::query_as(question).fetch_one(pool).await
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::store::sqlite::SqliteStore;

    /// More than is worth bringing over.
    const FILL: &str = "INSERT INTO filled WITH RECURSIVE number (n) AS \
         (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 20) \
         SELECT randomblob(4000) FROM number";

    async fn write(store: &SqliteStore) {
        let mut transaction = store.begin_relaxed().await.unwrap();
        sqlx::query(FILL).execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
    }

    async fn filled() -> (tempfile::TempDir, SqliteStore) {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(Some(&directory.path().join("a.db")), true).await.unwrap();
        sqlx::query("CREATE TABLE filled (bytes BLOB)").execute(store.writer()).await.unwrap();
        (directory, store)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_log_is_begun_anew_under_steady_work_though_no_commit_does_it() {
        let (_directory, store) = filled().await;
        // So that no commit can.
        sqlx::query("PRAGMA wal_autocheckpoint = 0").execute(store.writer()).await.unwrap();
        let (mut longest, mut begun_anew) = (0, 0);
        let started = Instant::now();
        while begun_anew < 3 {
            assert!(started.elapsed().as_secs() < 60, "after {longest} pages it was never anew");
            write(&store).await;
            let (_, pages, _) = ask(store.readers(), LOOK).await.unwrap();
            if pages < longest {
                (begun_anew, longest) = (begun_anew + 1, 0);
            } else {
                longest = pages;
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_emptied_holds_nothing_and_whoever_reads_is_waited_for() {
        let (directory, store) = filled().await;
        write(&store).await;
        let mut reading = store.readers().begin().await.unwrap();
        sqlx::query("SELECT COUNT(*) FROM filled").execute(&mut *reading).await.unwrap();
        write(&store).await;
        let emptied = tokio::spawn({
            let store = store.clone();
            async move { empty(store.writer()).await }
        });
        // It cannot succeed before this.
        reading.commit().await.unwrap();
        emptied.await.unwrap().unwrap();
        let log = directory.path().join("a.db-wal");
        assert_eq!(std::fs::metadata(log).unwrap().len(), 0);
        store.close().await;
    }
}
