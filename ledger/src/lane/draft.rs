//! A batch in the making: what is known, what is decided, and the rows that follow from it.
//!
//! Nothing here reads or writes a database. A draft is thrown away if the log turns out to be
//! somewhere else.

mod atomic;
mod correlated;
mod runs;
mod within;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use runledger_proof::tile::{self, TileHash};
use serde_json::Value;

use self::correlated::{Claims, run_command};
use super::{Known, workspace_event};
use crate::archive::Archived;
use crate::catalog::Catalog;
use crate::clock::{Entropy, NoEntropy};
use crate::correlation::CorrelationKey;
use crate::event::{AnyEvent, Envelope, Stream, content_hash};
use crate::fact::{EventKind, Fact};
use crate::merkle::Hash;
use crate::run::{ReservationKey, Run, RunCommand, RunRefusal};
use crate::store::{Claim, Head, Identity, KnownId, NewRow};
use crate::submission::{Answer, Command, Receipt, Refusal, ReportId, Submission, UNNAMED_SOURCE};
use crate::time::Moment;
use crate::words::{Name, RunId, WorkspaceId};
use crate::{subject, submission, worker};

/// What became of an id within this batch or before it.
#[derive(Clone, Copy, Debug)]
struct Use {
    position: u64,
    content: Hash,
    run: Option<RunId>,
}

/// See the module's documentation.
pub(super) struct Draft<'a> {
    workspace: WorkspaceId,
    known: Known,
    recorded_at: Moment,
    entropy: Entropy,
    rows: Vec<NewRow>,
    runs: HashMap<RunId, Run>,
    /// Runs of which something is in an archive that cannot be read: nothing is decided on them.
    archived: HashMap<RunId, Archived>,
    sequences: HashMap<Stream, u64>,
    streams: HashSet<Stream>,
    ids: HashMap<(&'a str, &'a str), Option<Use>>,
    keys: HashMap<ReservationKey, Option<RunId>>,
    changed_keys: HashMap<ReservationKey, Option<RunId>>,
    /// What was there before each change of `changed_keys`, so that changes can be put back.
    key_changes: Vec<(ReservationKey, Option<Option<RunId>>)>,
    claims: Claims,
}

fn id_of(submission: &Submission) -> Option<(&str, &str)> {
    let id = submission.id.as_ref()?;
    Some((submission.source.as_ref().map_or(UNNAMED_SOURCE, Name::as_str), id.id.as_str()))
}

impl<'a> Draft<'a> {
    pub(super) fn new(workspace: WorkspaceId, known: Known, entropy: Entropy) -> Self {
        Draft {
            workspace,
            recorded_at: known.head.last_recorded_at,
            known,
            entropy,
            rows: Vec::new(),
            runs: HashMap::new(),
            archived: HashMap::new(),
            sequences: HashMap::new(),
            streams: HashSet::new(),
            ids: HashMap::new(),
            keys: HashMap::new(),
            changed_keys: HashMap::new(),
            key_changes: Vec::new(),
            claims: Claims::default(),
        }
    }

    /// Says when everything in it is recorded: now, and never before what is in the log.
    pub(super) fn stamp(&mut self, now: Moment) {
        self.recorded_at = now.max(self.known.head.last_recorded_at);
    }

    /// Notes what a submission will need to be known beside its run.
    pub(super) fn expect(&mut self, submission: &'a Submission) {
        if let Some(id) = id_of(submission) {
            self.ids.insert(id, None);
        }
        if let Some(RunCommand::Dispatch(dispatch)) = run_command(&submission.command) {
            let operation = self.known.catalog.canonical(dispatch.operation.as_str());
            if let Some(key) = ReservationKey::asked(dispatch, operation) {
                self.keys.insert(key, None);
            }
        }
        match &submission.command {
            Command::Run(..) => {}
            Command::Correlated(correlated) => self.claims.ask(correlated),
            Command::Subject(..) | Command::Worker(..) | Command::Workspace(_) => {
                self.streams.extend(self.stream(&submission.command));
            }
            Command::Decided(decided) => {
                if decided.stream.run_id().is_none() {
                    self.streams.insert(decided.stream);
                }
                if let Some(key) = key_of(decided) {
                    self.keys.insert(key, None);
                }
            }
        }
    }

    /// The stream that a command is about.
    fn stream(&self, command: &Command) -> Result<Stream, Refusal> {
        Ok(match command {
            Command::Run(id, _) => Stream::run(*id),
            Command::Correlated(correlated) => Stream::run(self.run_of(correlated)?),
            Command::Subject(key, _) => Stream::subject(key),
            Command::Worker(key, _) => Stream::worker(key),
            Command::Workspace(_) => Stream::workspace(self.workspace),
            Command::Decided(decided) => decided.stream,
        })
    }

    pub(super) fn knows_run(&self, id: RunId) -> bool {
        self.runs.contains_key(&id)
    }

    pub(super) fn give_run(&mut self, id: RunId, run: Run) {
        self.runs.insert(id, run);
    }

    pub(super) fn give_archived(&mut self, id: RunId, archived: Archived) {
        self.archived.insert(id, archived);
    }

    pub(super) fn streams_to_count(&self) -> Vec<Stream> {
        self.streams.iter().copied().collect()
    }

    pub(super) fn give_sequences(&mut self, sequences: Vec<(Stream, u64)>) {
        self.sequences.extend(sequences);
    }

    pub(super) fn ids_to_know(&self) -> Vec<(Name, Name)> {
        let name = |text: &str| Name::new(text).ok();
        self.ids.keys().filter_map(|(source, id)| Some((name(source)?, name(id)?))).collect()
    }

    pub(super) fn give_known(&mut self, known: &[KnownId]) {
        let known: HashMap<(&str, &str), &KnownId> =
            known.iter().map(|known| ((known.source.as_str(), known.id.as_str()), known)).collect();
        for (id, slot) in &mut self.ids {
            if let Some(KnownId { position, content, run, .. }) = known.get(id) {
                *slot = Some(Use { position: *position, content: *content, run: *run });
            }
        }
    }

    pub(super) fn keys_to_know(&self) -> Vec<ReservationKey> {
        self.keys.keys().copied().collect()
    }

    pub(super) fn give_holders(&mut self, holders: Vec<(ReservationKey, RunId)>) {
        for (key, run) in holders {
            self.keys.insert(key, Some(run));
        }
    }

    pub(super) fn external_ids_to_know(&self) -> Vec<CorrelationKey> {
        self.claims.keys_to_know()
    }

    pub(super) fn give_claims(&mut self, claims: &[Claim]) {
        self.claims.give(claims);
    }

    /// The external ids that runs claim from now on, and those that they do not any more.
    pub(super) fn claims(&self) -> (Vec<Claim>, Vec<Claim>) {
        self.claims.changed()
    }

    pub(super) fn rows(&self) -> &[NewRow] {
        &self.rows
    }

    /// The head that the log has once the rows are in it, and the hashes of tiles that they
    /// complete.
    pub(super) fn next_head(&self) -> (Head, Vec<TileHash>) {
        let mut frontier = self.known.head.frontier.clone();
        let mut tiles = Vec::new();
        for row in &self.rows {
            tile::push(&mut frontier, row.leaf_hash, &mut tiles);
        }
        (Head { frontier, last_recorded_at: self.recorded_at }, tiles)
    }

    /// The keys that are held from now on, and those that are free from now on.
    pub(super) fn reservations(&self) -> (Vec<(ReservationKey, RunId)>, Vec<ReservationKey>) {
        let mut taken = Vec::new();
        let mut freed = Vec::new();
        for (key, holder) in &self.changed_keys {
            match holder {
                Some(run) => taken.push((*key, *run)),
                None => freed.push(*key),
            }
        }
        (taken, freed)
    }

    /// What is known once the rows are in the log.
    pub(super) fn into_parts(mut self) -> (Known, HashMap<RunId, Run>) {
        if !self.rows.is_empty() {
            (self.known.head, _) = self.next_head();
        }
        self.runs.retain(|_, run| run.exists());
        (self.known, self.runs)
    }

    /// Decides on one request, in order.
    pub(super) fn request(
        &mut self,
        submissions: &'a [Submission],
        atomic: bool,
    ) -> Result<Vec<Answer>, NoEntropy> {
        let before = atomic.then(|| self.before(submissions));
        let mut answers = Vec::with_capacity(submissions.len());
        for submission in submissions {
            answers.push(self.submission(submission)?);
        }
        let refused =
            |answer: &Answer| matches!(answer, Answer::Refused(_) | Answer::Conflict { .. });
        if let Some(before) = before.filter(|_| answers.iter().any(refused)) {
            self.put_back(before);
            for answer in answers.iter_mut().filter(|answer| !refused(answer)) {
                *answer = Answer::Refused(Refusal::NotAlone);
            }
        }
        Ok(answers)
    }

    fn submission(&mut self, submission: &'a Submission) -> Result<Answer, NoEntropy> {
        if submission.source.as_ref().is_some_and(|source| source.as_str() == UNNAMED_SOURCE) {
            return Ok(Answer::Refused(Refusal::ReservedSource));
        }
        let stream = self.stream(&submission.command);
        if let Some(answer) = self.unreadable(submission, stream.as_ref().ok().copied()) {
            return Ok(answer);
        }
        if let Some(refusal) = self.outside(submission, stream.as_ref().ok().copied()) {
            return Ok(Answer::Refused(refusal));
        }
        let decided = stream.clone().and_then(|stream| self.decide(submission, stream));
        // Identity comes first: a report of another run than the id's is no duplicate of it.
        if let Err(refusal @ Refusal::Run(RunRefusal::IdentityMismatch { .. })) = decided {
            return Ok(Answer::Refused(refusal));
        }
        let identity = match self.identify(submission) {
            Ok(identity) => identity,
            Err(answer) => return Ok(answer),
        };
        let (stream, facts) = match (stream, decided) {
            (Ok(stream), Ok(Decided::Record(facts))) => (stream, facts),
            (_, Ok(Decided::Answer(answer))) => return Ok(answer),
            (Err(refusal), _) | (_, Err(refusal)) => return Ok(Answer::Refused(refusal)),
        };
        match self.seal(submission, stream, &facts, identity.clone())? {
            Err(refusal) => Ok(Answer::Refused(refusal)),
            Ok(receipt) => {
                self.apply(stream, facts);
                if let (Some(slot), Some(identity)) = (id_of(submission), identity) {
                    let run = stream.run_id();
                    let used = Use { position: receipt.position, content: identity.content, run };
                    self.ids.insert(slot, Some(used));
                }
                Ok(Answer::Recorded(receipt))
            }
        }
    }

    /// The answer to a report on a run of which something is in an archive that cannot be read, if it
    /// is on one. What came before with the same id is known all the same.
    fn unreadable(&self, submission: &'a Submission, stream: Option<Stream>) -> Option<Answer> {
        let id = stream?.run_id()?;
        let archived = self.archived.get(&id)?;
        if submission.within.is_some() {
            // Whether it is of an environment that its author may know of cannot be told.
            return Some(Answer::Refused(RunRefusal::UnknownRun(id).into()));
        }
        let known = self.identify(submission).err();
        Some(known.unwrap_or_else(|| Answer::Refused(Refusal::Archived(archived.clone()))))
    }

    /// The identity of a report that is not known yet; the answer to one that is.
    fn identify(&self, submission: &'a Submission) -> Result<Option<Identity>, Answer> {
        let (Some(slot), Some(report)) = (id_of(submission), &submission.id) else {
            return Ok(None);
        };
        let content = hashed_content(report, &self.known.catalog)
            .map_err(|error| Answer::Refused(Refusal::Seal(error.into())))?;
        match self.ids.get(&slot).copied().flatten() {
            Some(used) if used.content == content => {
                Err(Answer::Duplicate { position: Some(used.position), run: used.run })
            }
            Some(used) => Err(Answer::Conflict { position: used.position }),
            None => {
                let source = submission.source.clone();
                let source = source.or_else(|| Name::new(UNNAMED_SOURCE).ok());
                Ok(source.map(|source| Identity { source, id: report.id.clone(), content }))
            }
        }
    }

    fn decide(&mut self, submission: &Submission, stream: Stream) -> Result<Decided, Refusal> {
        let recorded_at = self.recorded_at;
        let occurred_at = submission.occurred_at.unwrap_or(recorded_at);
        match &submission.command {
            Command::Run(id, command) => Ok(self.decide_run(*id, command, submission)?),
            Command::Correlated(correlated) => {
                let run = self.decide_run(RunId(stream.id), correlated.command(), submission);
                run.map_err(|refusal| match refusal {
                    RunRefusal::UnknownRun(_) => {
                        Refusal::UnknownExternalId(correlated.correlation().clone())
                    }
                    refusal => refusal.into(),
                })
            }
            Command::Subject(key, observe) => {
                let fact = subject::observe(key, observe, occurred_at, recorded_at);
                Ok(Decided::Record(vec![fact.any()]))
            }
            Command::Worker(key, report) => {
                let fact = worker::report(key, report, occurred_at, recorded_at);
                Ok(Decided::Record(vec![fact.any()]))
            }
            Command::Workspace(command) => {
                let fact = self.known.workspace.decide(command, occurred_at, recorded_at)?;
                Ok(fact.map_or(
                    Decided::Answer(Answer::Duplicate { position: None, run: None }),
                    |fact| Decided::Record(vec![fact.any()]),
                ))
            }
            Command::Decided(decided) => {
                let found = self.sequence(decided.stream);
                if found != decided.expected_sequence {
                    let expected = decided.expected_sequence;
                    return Err(Refusal::Sequence { expected, found });
                }
                // Its decider could not look for another run that holds the key.
                if let Some(holder) = key_of(decided).and_then(|key| self.held(&key)) {
                    return Ok(Decided::Answer(Answer::Existing(holder)));
                }
                let stamp = |fact: &Fact<AnyEvent>| Fact { recorded_at, ..fact.clone() };
                Ok(Decided::Record(decided.facts.iter().map(stamp).collect()))
            }
        }
    }

    fn held(&self, key: &ReservationKey) -> Option<RunId> {
        *self.changed_keys.get(key).or_else(|| self.keys.get(key))?
    }

    /// Adds the rows of `facts`, or none of them. The identity belongs to the last one.
    fn seal(
        &mut self,
        submission: &Submission,
        stream: Stream,
        facts: &[Fact<AnyEvent>],
        mut identity: Option<Identity>,
    ) -> Result<Result<Receipt, Refusal>, NoEntropy> {
        let first_position = self.known.head.size() + self.rows.len() as u64;
        let first_row = self.rows.len();
        let mut sequence = self.sequence(stream);
        let mut receipt = None;
        for (index, fact) in facts.iter().enumerate() {
            sequence += 1;
            let position = first_position + index as u64;
            let mut nonce = [0; 16];
            self.entropy.fill(&mut nonce)?;
            let last = index + 1 == facts.len();
            let envelope = Envelope {
                workspace: self.workspace,
                position,
                stream,
                sequence,
                actor: submission.actor.as_ref(),
                sender: submission.sender.as_ref(),
                source: submission.source.as_ref(),
                event_id: submission.id.as_ref().filter(|_| last).map(|report| &report.id),
                nonce,
            };
            let sealed = match envelope.seal(fact) {
                Ok(sealed) => sealed,
                Err(error) => {
                    self.rows.truncate(first_row);
                    return Ok(Err(error.into()));
                }
            };
            receipt = Some(Receipt {
                first_position,
                position,
                leaf_hash: sealed.leaf_hash,
                recorded_at: fact.recorded_at,
                event_type: fact.event.event_type(),
                run: stream.run_id(),
            });
            self.rows.push(NewRow {
                stream,
                sequence,
                event_type: fact.event.event_type(),
                body: sealed.body,
                leaf_hash: sealed.leaf_hash,
                identity: if last { identity.take() } else { None },
            });
        }
        let nothing = Refusal::Sequence { expected: sequence, found: sequence };
        Ok(receipt.ok_or(nothing))
    }

    fn sequence(&self, stream: Stream) -> u64 {
        match stream.run_id().and_then(|id| self.runs.get(&id)) {
            Some(run) => u64::from(run.events),
            None => self.sequences.get(&stream).copied().unwrap_or_default(),
        }
    }

    /// Takes what was decided for true, for what is decided after it in the same batch.
    fn apply(&mut self, stream: Stream, facts: Vec<Fact<AnyEvent>>) {
        if let Some(count) = self.sequences.get_mut(&stream) {
            *count += facts.len() as u64;
        }
        for Fact { occurred_at, recorded_at, event } in facts {
            match event {
                AnyEvent::Run(event) => {
                    let id = RunId(stream.id);
                    let fact = Fact { occurred_at, recorded_at, event };
                    self.apply_to_run(id, &fact);
                }
                event => {
                    if let Some(event) = workspace_event(&event) {
                        let fact = Fact { occurred_at, recorded_at, event: event.clone() };
                        Arc::make_mut(&mut self.known.workspace).apply(&fact);
                        if let Some(Ok(catalog)) =
                            self.known.workspace.catalog.as_deref().map(Catalog::parse)
                        {
                            self.known.catalog = Arc::new(catalog);
                        }
                    }
                }
            }
        }
    }
}

/// The key that decided facts take, if they dispatch a run that asks for one.
fn key_of(decided: &submission::Decided) -> Option<ReservationKey> {
    let first = decided.facts.first().filter(|_| decided.expected_sequence == 0)?;
    let AnyEvent::Run(event) = &first.event else { return None };
    let mut run = Run::default();
    run.apply(&Fact {
        occurred_at: first.occurred_at,
        recorded_at: first.recorded_at,
        event: event.clone(),
    });
    ReservationKey::of_run(&run)
}

enum Decided {
    Record(Vec<Fact<AnyEvent>>),
    Answer(Answer),
}

/// The hash of what a report says, with the canonical name of its operation: an alias is the same.
fn hashed_content(
    report: &ReportId,
    catalog: &Catalog,
) -> Result<Hash, crate::canonical::CanonicalError> {
    let operation = report.content.pointer("/data/operation").and_then(Value::as_str);
    match operation.map(|name| (name, catalog.canonical(name))) {
        Some((given, canonical)) if given != canonical => {
            let canonical = Value::from(canonical);
            let mut content = report.content.clone();
            if let Some(slot) = content.pointer_mut("/data/operation") {
                *slot = canonical;
            }
            content_hash(&content)
        }
        _ => content_hash(&report.content),
    }
}
