//! The lane of one workspace: everything that waits is decided together and written together.
//!
//! While one batch is on its way to the disk, the next one gathers; there is no timer and no fixed
//! delay, so a lone caller waits for nothing but its own write. What the lane believes (the head,
//! the runs that it wrote lately) is checked by the compare-and-set of the append: if another
//! server wrote meanwhile, nothing is recorded, the lane catches up and decides again. So any
//! number of servers may write one log, and none of them holds a lock while it thinks. Only a lane
//! that has lost several times in a row, against servers that need not catch up, asks the database
//! for its turn.

mod cache;
mod draft;
mod jobs;
mod prepare;
mod rounds;
mod stored;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;

use self::cache::RunCache;
use self::draft::Draft;
use self::jobs::Jobs;
use self::rounds::{Part, rounds};
pub(crate) use self::stored::{decode, fold_runs};
use self::waiting::Waiting;
use crate::catalog::Catalog;
use crate::event::{AggregateType, AnyEvent, Stream};
use crate::fact::{EventType, Fact};
use crate::ledger::{Inner, LogGrew, SubmitError};
use crate::pace::Pace;
use crate::store::{Appended, Batch, Head, StoreError, Turn};
use crate::submission::{Answer, Submission};
use crate::words::{RunId, WorkspaceId};
use crate::workspace::{Workspace, WorkspaceEvent};

/// Submissions that are decided together at most; a larger request goes alone.
const BATCH: usize = 4_096;
/// How long a lane stays without work before it gives its memory back.
const IDLE: Duration = Duration::from_secs(300);
/// How often a failed write is looked into before its callers are told.
const ATTEMPTS: u32 = 5;
/// The first pause between two such attempts; it doubles.
const PAUSE: Duration = Duration::from_millis(50);
/// How often another server may write first before a lane asks for its turn.
const PATIENCE: u32 = 2;
/// How far another server may have come before forgetting everything is cheaper than catching up.
const CATCH_UP: u64 = 2_000;

/// A request that waits for its answers.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) submissions: Vec<Submission>,
    pub(crate) atomic: bool,
    pub(crate) answer: oneshot::Sender<Result<Vec<Answer>, SubmitError>>,
    pub(crate) _room: OwnedSemaphorePermit,
    /// What the caller's memory is counted by. A caller may go away, and its job stays.
    pub(crate) _held: Vec<OwnedSemaphorePermit>,
}

/// Serves `waiting` until nobody can send any more, or nothing has come for a while.
pub(crate) async fn run(
    inner: Arc<Inner>,
    workspace: WorkspaceId,
    mut waiting: mpsc::Receiver<Job>,
) {
    let mut lane =
        Lane { inner, workspace, known: None, runs: RunCache::default(), pace: Pace::default() };
    let mut expected = 0;
    loop {
        let first = match tokio::time::timeout(IDLE, waiting.recv()).await {
            Ok(Some(job)) => job,
            Ok(None) => return,
            Err(_) => {
                // Whoever comes after this finds the lane closed and opens a new one.
                waiting.close();
                match waiting.recv().await {
                    Some(job) => job,
                    None => return,
                }
            }
        };
        let mut jobs = Jobs::default();
        jobs.add(first);
        let most = if lane.is_shared() { lane.pace.most() } else { BATCH };
        jobs.gather(&mut waiting, expected, most).await;
        let answered = jobs.len();
        lane.serve(jobs.into_inner()).await;
        expected = waiting.len() + answered;
    }
}

/// What the lane knows of its log.
#[derive(Clone, Debug)]
struct Known {
    head: Head,
    workspace: Arc<Workspace>,
    catalog: Arc<Catalog>,
}

struct Lane {
    inner: Arc<Inner>,
    workspace: WorkspaceId,
    known: Option<Known>,
    runs: RunCache,
    pace: Pace,
}

impl Lane {
    /// Serves jobs in as many rounds as it takes. Each is answered when its last part is durable.
    async fn serve(&mut self, jobs: Vec<Job>) {
        let shared = self.is_shared();
        let most = if shared { self.pace.most() } else { usize::MAX };
        let sizes: Vec<(usize, bool)> =
            jobs.iter().map(|job| (job.submissions.len(), job.atomic)).collect();
        let mut waiting: Vec<Waiting> = jobs.into_iter().map(Waiting::new).collect();
        for parts in rounds(&sizes, most) {
            let count = parts.iter().map(|part| part.range.len()).sum();
            let begun = Instant::now();
            self.serve_round(&mut waiting, parts).await;
            if shared {
                let loud = self.inner.crowd.is_loud(self.workspace, self.inner.clock.now());
                tokio::time::sleep(self.pace.learn(count, begun.elapsed(), loud)).await;
            }
        }
    }

    /// Whether another workspace has had work lately: then turns are short (specs/0023).
    fn is_shared(&self) -> bool {
        self.inner.crowd.is_beside(self.workspace, self.inner.clock.now())
    }

    async fn serve_round(&mut self, waiting: &mut [Waiting], mut parts: Vec<Part>) {
        parts.retain(|part| waiting[part.request].is_unanswered());
        let requests: Vec<(&[Submission], bool)> =
            parts.iter().map(|part| waiting[part.request].part(part)).collect();
        match self.round(&requests).await {
            Ok(answers) => {
                for (part, answers) in parts.iter().zip(answers) {
                    waiting[part.request].take(answers);
                }
            }
            // One request that the database cannot take must not harm those that came with it.
            Err(Failure::Store(error))
                if parts.len() > 1 && !matches!(*error, StoreError::Unavailable(_)) =>
            {
                for part in parts {
                    let answers = self.round(&[waiting[part.request].part(&part)]).await;
                    match answers.map(|mut all| all.pop().unwrap_or_default()) {
                        Ok(answers) => waiting[part.request].take(answers),
                        Err(failure) => waiting[part.request].fail(failure.into_error()),
                    }
                }
            }
            Err(failure) => {
                tracing::error!(workspace = %self.workspace, ?failure, "append failed");
                for part in parts {
                    waiting[part.request].fail(failure.clone().into_error());
                }
            }
        }
    }

    /// Decides and writes until it is done: a head that moved is no failure.
    async fn round(
        &mut self,
        requests: &[(&[Submission], bool)],
    ) -> Result<Vec<Vec<Answer>>, Failure> {
        let (mut moved, mut conflicts) = (0, 0);
        let mut turn = None;
        loop {
            let known = self.known().await?;
            let mut draft = self.prepare(&known, requests).await?;
            // Only now: whatever was loaded or waited for before is no part of the time between
            // the stamp and the log.
            draft.stamp(self.inner.clock.now());
            let answers: Vec<Vec<Answer>> = requests
                .iter()
                .map(|(submissions, atomic)| draft.request(submissions, *atomic))
                .collect::<Result<_, _>>()?;
            match self.write(&known, &draft, turn.take()).await {
                Ok(Appended::Done) => {
                    self.keep(draft);
                    return Ok(answers);
                }
                Ok(Appended::HeadMoved) => {
                    moved += 1;
                    if moved >= PATIENCE {
                        turn = self.turn().await;
                    }
                    self.catch_up(known.head.size()).await?;
                }
                // The backstop fired: something that this lane believed is not so.
                Err(StoreError::Conflict(_)) if conflicts < ATTEMPTS => {
                    conflicts += 1;
                    self.forget();
                }
                Err(error) => {
                    self.forget();
                    return Err(error.into());
                }
            }
        }
    }

    /// From here until the turn is used or dropped, nobody else appends to this log.
    async fn turn(&self) -> Option<Turn> {
        match self.inner.store.take_turn(self.workspace).await {
            Ok(turn) => Some(turn),
            // The next attempt is as good as the last one, without it.
            Err(error) => {
                tracing::warn!(workspace = %self.workspace, %error, "no turn to be had");
                None
            }
        }
    }

    /// Writes a draft. One without events has nothing to write, but its answers hold only if the
    /// log is still where the lane thinks.
    async fn write(
        &self,
        known: &Known,
        draft: &Draft<'_>,
        mut turn: Option<Turn>,
    ) -> Result<Appended, StoreError> {
        if draft.rows().is_empty() {
            let head = self.inner.store.head(self.workspace).await?;
            let same = head.is_some_and(|head| head.size() == known.head.size());
            return Ok(if same { Appended::Done } else { Appended::HeadMoved });
        }
        let (head, tiles) = draft.next_head();
        let (taken, freed) = draft.reservations();
        let (claimed, dropped) = draft.claims();
        let batch = Batch {
            workspace: self.workspace,
            expected_size: known.head.size(),
            head: &head,
            rows: draft.rows(),
            tiles: &tiles,
            taken: &taken,
            freed: &freed,
            claimed: &claimed,
            dropped: &dropped,
        };
        let mut pause = PAUSE;
        let mut attempt = 1;
        loop {
            match self.attempt(&batch, turn.take(), attempt > 1).await {
                Err(StoreError::Unavailable(error)) if attempt < ATTEMPTS => {
                    tracing::warn!(workspace = %self.workspace, attempt, %error, "append unanswered");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    attempt += 1;
                }
                answered => return answered,
            }
        }
    }

    /// Sends a batch. If an earlier attempt had no answer, it may be the batch itself that moved
    /// the head.
    async fn attempt(
        &self,
        batch: &Batch<'_>,
        turn: Option<Turn>,
        again: bool,
    ) -> Result<Appended, StoreError> {
        match self.inner.store.append(batch, turn).await? {
            Appended::HeadMoved if again => self.fate(batch).await,
            appended => Ok(appended),
        }
    }

    /// Whether a batch whose answer was lost is in the log.
    async fn fate(&self, batch: &Batch<'_>) -> Result<Appended, StoreError> {
        let last = batch.expected_size + batch.rows.len() as u64 - 1;
        let there = self.inner.store.log(self.workspace, last, last + 1, 1).await?;
        // Each event holds 16 random bytes, so equal hashes are the same event.
        let ours = there.first().zip(batch.rows.last());
        let same = ours.is_some_and(|(there, ours)| there.leaf_hash == ours.leaf_hash);
        Ok(if same { Appended::Done } else { Appended::HeadMoved })
    }

    /// After a write: what was decided is now what is known.
    fn keep(&mut self, draft: Draft<'_>) {
        let grew = !draft.rows().is_empty();
        let erasing = draft.rows().iter().any(|row| row.stream.kind == AggregateType::Erasure);
        let (known, runs) = draft.into_parts();
        let size = known.head.size();
        for (id, run) in runs {
            self.runs.put(id, run);
        }
        self.known = Some(known);
        if erasing {
            // What it remembers of runs may be what is to be forgotten.
            self.forget();
        }
        if grew {
            // Nobody listening is no failure: followers also look for themselves.
            let _ = self.inner.appended.send(LogGrew { workspace: self.workspace, size });
        }
    }

    async fn known(&mut self) -> Result<Known, Failure> {
        if let Some(known) = &self.known {
            return Ok(known.clone());
        }
        let head = self.inner.store.head(self.workspace).await?.ok_or(Failure::NoWorkspace)?;
        let (workspace, catalog) = catalog_in_force(&self.inner, self.workspace).await?;
        let known = Known { head, workspace: Arc::new(workspace), catalog };
        self.known = Some(known.clone());
        Ok(known)
    }

    /// Another server wrote: forgets what it wrote of, and takes its head.
    async fn catch_up(&mut self, from: u64) -> Result<(), Failure> {
        let store = &self.inner.store;
        let Some(head) = store.head(self.workspace).await? else {
            self.forget();
            return Err(Failure::NoWorkspace);
        };
        let behind = head.size().saturating_sub(from);
        if behind > CATCH_UP {
            self.forget();
            return Ok(());
        }
        let limit = u32::try_from(CATCH_UP).unwrap_or(u32::MAX);
        for event in store.log(self.workspace, from, head.size(), limit).await? {
            let stream = decode(&event)?.stream;
            match stream.kind {
                AggregateType::Run => drop(self.runs.take(RunId(stream.id))),
                // What is loaded anew is that of a later head, and the runs must not be older.
                // Nor must anything be remembered that was erased.
                AggregateType::Workspace | AggregateType::Erasure => {
                    self.forget();
                    return Ok(());
                }
                AggregateType::Subject | AggregateType::Worker | AggregateType::Archive => {}
            }
        }
        if let Some(known) = &mut self.known {
            known.head = head;
        }
        Ok(())
    }

    fn forget(&mut self) {
        self.known = None;
        self.runs = RunCache::default();
    }
}

/// Why a whole round has no answers.
#[derive(Clone, Debug)]
enum Failure {
    NoWorkspace,
    NoEntropy,
    Store(Arc<StoreError>),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Store(Arc::new(error))
    }
}

impl From<crate::clock::NoEntropy> for Failure {
    fn from(_: crate::clock::NoEntropy) -> Self {
        Failure::NoEntropy
    }
}

impl Failure {
    fn into_error(self) -> SubmitError {
        match self {
            Failure::NoWorkspace => SubmitError::NoWorkspace,
            Failure::NoEntropy => SubmitError::Entropy(crate::clock::NoEntropy),
            Failure::Store(error) => SubmitError::Store(error),
        }
    }
}

/// The workspace's own state and its catalog, as far as decisions need them. A workspace without
/// a catalog (there is none but while it is being made) has the built-in one.
pub(crate) async fn catalog_in_force(
    inner: &Inner,
    id: WorkspaceId,
) -> Result<(Workspace, Arc<Catalog>), StoreError> {
    let stream = Stream::workspace(id);
    let mut workspace = Workspace::default();
    for kind in [EventType::WorkspaceCreated, EventType::CatalogPublished] {
        let Some(event) = inner.store.last_of_type(id, stream, kind).await? else { continue };
        let Fact { occurred_at, recorded_at, event } = decode(&event)?.fact;
        if let AnyEvent::Workspace(event) = event {
            workspace.apply(&Fact { occurred_at, recorded_at, event });
        }
    }
    let catalog = match &workspace.catalog {
        Some(text) => inner.parsed_catalog(text)?,
        None => Catalog::built_in(),
    };
    Ok((workspace, catalog))
}

impl Inner {
    /// The catalog of `text`, parsed once per process.
    pub(crate) fn parsed_catalog(&self, text: &str) -> Result<Arc<Catalog>, StoreError> {
        let lock = || self.catalogs.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(catalog) = lock().get(text) {
            return Ok(Arc::clone(catalog));
        }
        let catalog = Catalog::parse(text).map_err(|errors| {
            StoreError::Corrupt(format!("a published catalog cannot be read: {errors}"))
        })?;
        let catalog = Arc::new(catalog);
        lock().insert(text.to_owned(), Arc::clone(&catalog));
        Ok(catalog)
    }
}

/// The workspace event of a fact, if it is one.
fn workspace_event(event: &AnyEvent) -> Option<&WorkspaceEvent> {
    match event {
        AnyEvent::Workspace(event) => Some(event),
        _ => None,
    }
}
