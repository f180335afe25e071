//! What bears on a run: its own events, those of runs that may supersede it, what was seen of its
//! subject since it ended, and what the workspace as a whole was told.

use std::collections::BTreeMap;
use std::time::Duration;

use runledger_ledger::catalog::Catalog;
use runledger_ledger::event::{AnyEvent, Recorded, Stream};
use runledger_ledger::fact::Fact;
use runledger_ledger::run::Run;
use runledger_ledger::store::{Store, StoredEvent};
use runledger_ledger::subject::SubjectKey;
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, Outcome, RunId, WorkspaceId};
use uuid::Uuid;

use super::{Story, Timeline, tell};
use crate::db::Tx;
use crate::projections::Projections;
use crate::projector::{Checkpoint, ProjectionError};
use crate::query::Statement;
use crate::rules::actionability::{KeyValue, supersession_key};
use crate::rules::blind::BlindTime;
use crate::sight::Sight;
use crate::tables::{Model, code};
use crate::view::ViewError;

/// How long the read models may take to get there.
const PATIENCE: Duration = Duration::from_secs(5);
/// Events read at a time.
const PAGE: u32 = 1_000;
/// Successes that are looked at, those dispatched first. The one that was named at some moment is
/// among them unless as many, dispatched before it, ended after it.
const SUCCESSES: i64 = 50;

impl Projections {
    /// The life of a run from the first `size` events of its workspace's log, as it was known at
    /// `at`. None if nothing is recorded of it there. The queue that it waited in is left out.
    pub async fn timeline(
        &self,
        workspace: WorkspaceId,
        id: RunId,
        size: u64,
        at: Moment,
    ) -> Result<Option<Timeline>, ViewError> {
        Ok(self.read_timeline(workspace, id, size, at).await?.map(|(told, ..)| told))
    }

    /// The same with the queue that it waited in, as a reader may see it.
    pub async fn whole_timeline(
        &self,
        workspace: WorkspaceId,
        id: RunId,
        (size, at): (u64, Moment),
        sight: &Sight,
    ) -> Result<Option<Timeline>, ViewError> {
        let Some((mut told, events, live)) = self.read_timeline(workspace, id, size, at).await?
        else {
            return Ok(None);
        };
        told.queue = self.queue_life(&live, sight, (id, &events), (size, at)).await?;
        Ok(Some(sight.of_timeline(told)))
    }

    async fn read_timeline(
        &self,
        workspace: WorkspaceId,
        id: RunId,
        size: u64,
        at: Moment,
    ) -> Result<Option<(Timeline, Vec<Recorded>, Checkpoint)>, ViewError> {
        let store = self.store();
        let own = whole(store, workspace, Stream::run(id), size).await?;
        let mut run = Run::default();
        let mut settled = None;
        for event in &own {
            let Fact { occurred_at, recorded_at, event } = event.fact.clone();
            if let AnyEvent::Run(event) = event {
                run.apply(&Fact { occurred_at, recorded_at, event });
                settled = settled.or(run.settled_at);
            }
        }
        if own.is_empty() {
            return Ok(None);
        }
        // The runs that may supersede it are looked up in the read models: they must be there.
        self.wait(workspace, size.saturating_sub(1), PATIENCE).await?;
        let live = self.inner.live(workspace).await?;
        let Some(live) = live.filter(|live| live.position >= size) else {
            return Err(ViewError::Preparing { size });
        };
        let mut events = own;
        events.extend(whole(store, workspace, Stream::workspace(workspace), size).await?);
        if let Some(settled) = settled {
            if let Some(subject) = &run.subject {
                let key =
                    SubjectKey { environment: run.environment.clone(), subject: subject.clone() };
                let stream = Stream::subject(&key);
                let after = last_before(store, workspace, stream, settled).await?;
                events.extend(rest(store, workspace, stream, after, size).await?);
            }
            let successes = self.successes(&live, id, &run, settled).await?;
            let loaded = store.load_streams(workspace, &successes).await?;
            for stored in loaded.iter().filter(|stored| stored.position < size) {
                events.push(decode(stored)?);
            }
        }
        events.sort_by_key(|event| event.position);
        let story = Story {
            id,
            run: Run::default(),
            others: Default::default(),
            observation: None,
            catalog: Catalog::built_in(),
            blind: BlindTime::default(),
        };
        Ok(Some((tell(story, &events, at)?, events, live)))
    }

    /// The streams of the successes that may ever have superseded a run: those of its operation and
    /// scope that were dispatched since it settled, contradicted or not.
    async fn successes(
        &self,
        live: &Checkpoint,
        id: RunId,
        run: &Run,
        settled: Moment,
    ) -> Result<Vec<Stream>, ViewError> {
        let operation = run.operation.as_ref().map_or("", Name::as_str);
        let operation = live.catalog.operation(operation);
        let key = supersession_key(run, &operation);
        let by_fingerprint =
            key.as_ref().filter(|key| matches!(key.value, KeyValue::Fingerprint(_)));
        let mut tx = Tx::read(self.store(), live.model.workspace).await?;
        let mut found: Vec<Uuid> = Vec::new();
        let statements = match by_fingerprint {
            Some(key) => FINGERPRINT
                .into_iter()
                .map(|only| {
                    let mut statement = Statement::select("SELECT run_id FROM runs", live.model);
                    statement.push(only).push(" AND key = ").bind(key.digest().to_vec());
                    statement
                })
                .collect(),
            None => vec![by_subject(live.model, run)],
        };
        for mut statement in statements {
            statement.push(" AND outcome = ").bind(code(Outcome::ALL, &Outcome::Succeeded));
            statement.push(" AND dispatched_at > ").bind(settled.micros());
            statement.push(" ORDER BY dispatched_at, run_id LIMIT ").bind(SUCCESSES);
            let rows: Vec<(Uuid,)> = statement.fetch(&mut tx).await?;
            found.extend(rows.into_iter().map(|(other,)| other));
        }
        found.sort_unstable();
        found.dedup();
        Ok(found
            .into_iter()
            .filter(|other| *other != id.0)
            .map(|id| Stream::run(RunId(id)))
            .collect())
    }
}

/// The predicates of the indexes on `key`: plain successes, and contradicted ones, which are open
/// or superseded themselves.
const FINGERPRINT: [&str; 3] = [
    " AND success AND key IS NOT NULL",
    " AND open AND superseded_by IS NULL AND key IS NOT NULL",
    " AND superseded_by IS NOT NULL",
];

/// The runs of the same operation and environment that have the same subject, or none either.
fn by_subject(model: Model, run: &Run) -> Statement {
    let text = |name: &Option<Name>| name.as_ref().map_or_else(String::new, Name::to_string);
    let mut statement = Statement::select("SELECT run_id FROM runs", model);
    statement.push(" AND operation = ").bind(text(&run.operation));
    statement.push(" AND environment = ").bind(text(&run.environment));
    match &run.subject {
        Some(subject) => {
            statement.push(" AND subject <> '' AND subject = ").bind(subject.to_string());
        }
        None => {
            statement.push(" AND subject = ''");
        }
    }
    statement
}

async fn whole(
    store: &Store,
    workspace: WorkspaceId,
    stream: Stream,
    size: u64,
) -> Result<Vec<Recorded>, ViewError> {
    rest(store, workspace, stream, 0, size).await
}

/// The events of a stream after sequence `after`, those among the first `size` of the log.
async fn rest(
    store: &Store,
    workspace: WorkspaceId,
    stream: Stream,
    mut after: u64,
    size: u64,
) -> Result<Vec<Recorded>, ViewError> {
    let mut events = Vec::new();
    loop {
        let page = store.stream(workspace, stream, after, PAGE).await?;
        for stored in &page {
            if stored.position >= size {
                return Ok(events);
            }
            events.push(decode(stored)?);
        }
        let Some(last) = events.last().filter(|_| page.len() as u64 == u64::from(PAGE)) else {
            return Ok(events);
        };
        after = last.sequence;
    }
}

/// The events of a stream after a sequence, at most so many, those among the first `size` of the log.
pub(super) async fn page(
    store: &Store,
    workspace: WorkspaceId,
    stream: Stream,
    (after, limit): (u64, u32),
    size: u64,
) -> Result<Vec<Recorded>, ViewError> {
    let events = store.stream(workspace, stream, after, limit).await?;
    let events = events.iter().filter(|stored| stored.position < size);
    Ok(events.map(decode).collect::<Result<_, _>>()?)
}

/// Of each stream the sequence of its last event before `position`; 0 if there is none. All of them
/// are halved together, so that many cost as many statements as one.
pub(super) async fn sequences_before(
    store: &Store,
    workspace: WorkspaceId,
    streams: &[Stream],
    position: u64,
) -> Result<Vec<u64>, ViewError> {
    const AT: &str = "SELECT aggregate_id, position FROM events WHERE workspace_id = ";
    let Some(kind) = streams.first().map(|stream| stream.kind) else { return Ok(Vec::new()) };
    let lasts = store.last_sequences(workspace, streams).await?;
    let mut between: BTreeMap<Uuid, (u64, u64)> =
        lasts.into_iter().map(|(stream, last)| (stream.id, (0, last + 1))).collect();
    let mut tx = Tx::read(store, workspace).await?;
    loop {
        let open = between.iter().filter(|(_, (before, from))| before + 1 < *from);
        let asked: Vec<(Uuid, i64)> = open
            .map(|(id, (before, from))| {
                (*id, i64::try_from(before.midpoint(*from)).unwrap_or(i64::MAX))
            })
            .collect();
        if asked.is_empty() {
            break;
        }
        let mut statement = Statement::new(AT);
        statement.bind(workspace.0).push(" AND aggregate_type = ").bind(kind.number());
        statement.push(" AND (aggregate_id, sequence) IN ").places(&asked);
        let rows: Vec<(Uuid, i64)> = statement.fetch(&mut tx).await?;
        let found: BTreeMap<Uuid, i64> = rows.into_iter().collect();
        for (id, _) in asked {
            let Some((before, from)) = between.get_mut(&id) else { continue };
            let middle = before.midpoint(*from);
            let is_before =
                found.get(&id).is_some_and(|at| u64::try_from(*at).is_ok_and(|at| at < position));
            *(if is_before { before } else { from }) = middle;
        }
    }
    let before = |stream: &Stream| between.get(&stream.id).map_or(0, |(before, _)| *before);
    Ok(streams.iter().map(before).collect())
}

/// The sequence of the last event of a stream that was recorded before `moment`; 0 if there is none.
/// Recorded times never decrease, so that a few events of a long stream tell.
async fn last_before(
    store: &Store,
    workspace: WorkspaceId,
    stream: Stream,
    moment: Moment,
) -> Result<u64, ViewError> {
    let sequences = store.last_sequences(workspace, &[stream]).await?;
    let (mut before, mut from) = (0, sequences.first().map_or(0, |(_, last)| last + 1));
    while before + 1 < from {
        let middle = before.midpoint(from);
        let found = store.stream(workspace, stream, middle - 1, 1).await?;
        match found.first() {
            Some(event) if event.recorded_at < moment.micros() => before = middle,
            _ => from = middle,
        }
    }
    Ok(before)
}

fn decode(stored: &StoredEvent) -> Result<Recorded, ProjectionError> {
    Recorded::decode(&stored.body).map_err(|error| ProjectionError::Parked {
        position: stored.position,
        problem: error.to_string(),
    })
}
