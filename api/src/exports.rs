//! Audit packs that are made in the background, for those who ask over HTTP.
//!
//! An export is a run like any other: asked for, started, alive, ended, in the workspace's own log, as the operation
//! [`OPERATION`]. The files lie in the data directory of the server that made them, with a note
//! beside each; they are removed after [`KEPT`]. A server that ends takes its exports with it: the
//! next one says so, in the answer and in the log.

pub mod past;

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use runledger_ledger::event::Actor;
use runledger_ledger::run::{
    Dispatch, Fields, Named, Origin, Report, RunCommand, Scalar, SignalReport,
};
use runledger_ledger::submission::{Command, Submission};
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::{Name, Note, Outcome, RunId, WorkspaceId};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use crate::answer::ItemStatus;
use crate::app::App;
use crate::pack::{self, Made, Order};
use crate::private;
use crate::signing_key::KeySource;

/// The operation that an export is recorded as. A catalog may give it a family.
pub const OPERATION: &str = "runledger.audit_pack.export";
/// How long a pack is kept.
pub const KEPT: Span = Span::from_secs(24 * 3_600);
/// Exports that go on at a time; others wait for their turn.
const AT_ONCE: usize = 1;
/// Exports that go on or wait, at most.
const PENDING: usize = 4;
/// How often an export that goes on says that it is alive.
const SIGN_OF_LIFE: Duration = Duration::from_secs(60);

/// The exports of a server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Exports {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    source: KeySource,
    turns: Semaphore,
    known: Mutex<BTreeMap<RunId, Export>>,
}

/// One export, as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Export {
    /// The run that it is in the workspace's log, and how it is asked for.
    #[schema(value_type = Uuid)]
    pub id: RunId,
    /// The workspace.
    #[schema(value_type = Uuid)]
    pub workspace: WorkspaceId,
    /// How far it is.
    pub state: State,
    /// Who asked for it.
    pub requester: String,
    /// Which events; nothing is the whole log.
    pub scope: BTreeMap<String, String>,
    /// Events of the log when it was asked for: those of the checkpoint that the pack is of.
    pub size: u64,
    /// When it was asked for (RFC 3339).
    pub asked_at: String,
    /// When it ended (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// When the file is removed (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Events in the pack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
    /// Bytes of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// SHA-256 of its manifest, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Why there is no pack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// How far an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Others are before it.
    Waiting,
    /// It is being made.
    Running,
    /// It can be downloaded.
    Ready,
    /// It was not made; `problem` says why.
    Failed,
    /// The server ended before it was made. Ask for it again.
    Interrupted,
    /// It was made, and its file was removed: its time was over, or something was erased since.
    Expired,
}

impl State {
    const fn is_pending(self) -> bool {
        matches!(self, State::Waiting | State::Running)
    }
}

/// Why no export was begun.
#[derive(Debug, thiserror::Error)]
pub enum NoExport {
    /// Too many are pending.
    #[error("{PENDING} exports are pending on this server already; ask again when one is done")]
    Full,
    /// It could not be written down.
    #[error("the export could not be begun")]
    Failed(#[source] anyhow::Error),
}

impl Exports {
    /// The exports in `directory`, signed with the keys of `source`. Those that an earlier server
    /// did not end are marked as interrupted.
    ///
    /// # Errors
    /// If the directory cannot be made or read.
    pub fn open(directory: PathBuf, source: KeySource, now: Moment) -> io::Result<Self> {
        private::directory(&directory)?;
        let mut known = BTreeMap::new();
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("json") => {}
                // Half a pack is none.
                Some("part") => {
                    std::fs::remove_file(&path)?;
                    continue;
                }
                _ => continue,
            }
            let Ok(mut export) = serde_json::from_slice::<Export>(&std::fs::read(&path)?) else {
                tracing::warn!(path = %path.display(), "this is no note of an audit pack");
                continue;
            };
            if export.state.is_pending() {
                export.state = State::Interrupted;
                export.ended_at = Some(now.to_string());
                export.problem =
                    Some("the server ended before the pack was made; ask for it again".to_owned());
            }
            known.insert(export.id, export);
        }
        let (turns, known) = (Semaphore::new(AT_ONCE), Mutex::new(known));
        Ok(Exports { inner: Arc::new(Inner { directory, source, turns, known }) })
    }

    /// Says in the log that exports were interrupted, those of which it was not said yet.
    pub async fn tell_interrupted(&self, app: &App) {
        let interrupted: Vec<Export> = {
            let known = self.known();
            known.values().filter(|one| one.state == State::Interrupted).cloned().collect()
        };
        for export in interrupted {
            // Said again, it is a duplicate, and no event.
            let told = fail(app, &export, "interrupted", "the server ended").await;
            let told = told.and_then(|()| self.keep(&export));
            if let Err(error) = told {
                tracing::warn!(export = %export.id, %error, "an interrupted export was not told");
            }
        }
    }

    /// One export of a workspace, if it was asked for on this server.
    pub fn find(&self, workspace: WorkspaceId, id: RunId, now: Moment) -> Option<Export> {
        self.sweep(now);
        self.known().get(&id).filter(|export| export.workspace == workspace).cloned()
    }

    /// The exports of a workspace, the latest first.
    pub fn list(&self, workspace: WorkspaceId, now: Moment) -> Vec<Export> {
        self.sweep(now);
        let known = self.known();
        known.values().rev().filter(|export| export.workspace == workspace).cloned().collect()
    }

    /// The file of a pack.
    pub fn file(&self, id: RunId) -> PathBuf {
        self.inner.directory.join(format!("{id}.zip"))
    }

    /// Begins to make a pack of `order`, of which there is a checkpoint.
    ///
    /// # Errors
    /// If too many are pending, or it cannot be recorded.
    pub async fn ask(&self, app: &App, order: Order, actor: Actor) -> Result<Export, NoExport> {
        let now = app.ledger().now();
        self.sweep(now);
        let failed = |error: anyhow::Error| NoExport::Failed(error);
        let id = RunId(app.ledger().process_id().map_err(|error| failed(error.into()))?);
        let export = Export {
            id,
            workspace: order.workspace,
            state: State::Waiting,
            requester: order.requester.clone(),
            scope: order.scope.words(),
            size: order.size.unwrap_or_default(),
            asked_at: now.to_string(),
            ended_at: None,
            expires_at: None,
            events: None,
            bytes: None,
            manifest: None,
            problem: None,
        };
        {
            let mut known = self.known();
            if known.values().filter(|export| export.state.is_pending()).count() >= PENDING {
                return Err(NoExport::Full);
            }
            known.insert(id, export.clone());
        }
        let begun = match self.keep(&export) {
            Ok(()) => dispatch(app, &export, actor).await,
            Err(error) => Err(error),
        };
        if let Err(error) = begun {
            self.known().remove(&id);
            let _ = std::fs::remove_file(self.note(id));
            return Err(failed(error));
        }
        let (exports, app, begun) = (self.clone(), app.clone(), export.clone());
        tokio::spawn(async move { exports.make(&app, begun, order).await });
        Ok(export)
    }

    /// Makes a pack, and says how it went: in the log, in the note and to who asks.
    async fn make(&self, app: &App, mut export: Export, order: Order) {
        // The semaphore is never closed.
        let _turn = self.inner.turns.acquire().await;
        export.state = State::Running;
        self.change(&export);
        let started = Report::Started { attempt: None, worker: None };
        if let Err(error) = signal(app, &export, started).await {
            tracing::warn!(export = %export.id, %error, "the start of an export was not recorded");
        }
        let alive = async {
            loop {
                tokio::time::sleep(SIGN_OF_LIFE).await;
                let beat = Report::Heartbeat { progress: None };
                if let Err(error) = signal(app, &export, beat).await {
                    tracing::warn!(export = %export.id, %error, "an export's heartbeat was lost");
                }
            }
        };
        let made = tokio::select! {
            made = self.write(app, export.id, order) => made,
            () = alive => return,
        };
        let now = app.ledger().now();
        export.ended_at = Some(now.to_string());
        let told = match made {
            Ok((made, bytes)) => {
                export.state = State::Ready;
                export.expires_at = Some(now.plus(KEPT).to_string());
                (export.events, export.bytes) = (Some(made.events), Some(bytes));
                export.manifest = Some(made.manifest);
                signal(
                    app,
                    &export,
                    Report::Succeeded { artifacts: Vec::new(), summary: summary(&export) },
                )
                .await
            }
            Err(error) => {
                tracing::error!(export = %export.id, error = format!("{error:#}"), "no audit pack was made");
                export.state = State::Failed;
                export.problem = Some(error.to_string());
                let _ = std::fs::remove_file(self.part(export.id));
                fail(app, &export, "export_failed", "the pack was not made").await
            }
        };
        if let Err(error) = told {
            tracing::warn!(export = %export.id, %error, "the end of an export was not recorded");
        }
        self.change(&export);
    }

    /// Writes the file, on a thread that may wait for the disk.
    async fn write(&self, app: &App, id: RunId, order: Order) -> anyhow::Result<(Made, u64)> {
        let keys = self.inner.source.load()?;
        let (store, part, file) = (app.ledger().store().clone(), self.part(id), self.file(id));
        let runtime = tokio::runtime::Handle::current();
        let made = tokio::task::spawn_blocking(move || {
            let mut out = BufWriter::new(private::create(&part).context("no file could be made")?);
            let made = runtime.block_on(pack::export(&store, &keys, &order, &mut out))?;
            out.flush()?;
            out.get_ref().sync_all()?;
            std::fs::rename(&part, &file)?;
            let bytes = std::fs::metadata(&file)?.len();
            anyhow::Ok((made, bytes))
        });
        made.await.context("the export was cut off")?
    }

    /// Removes the packs of a workspace that were asked for before something was erased in it: they
    /// may still hold it.
    pub fn forget(&self, workspace: WorkspaceId, erased: Moment) {
        let ready: Vec<Export> = {
            let known = self.known();
            let is_older = |export: &&Export| {
                let asked = export.asked_at.parse().unwrap_or(Moment::EPOCH);
                let is_here = export.workspace == workspace && export.state == State::Ready;
                is_here && asked <= erased
            };
            known.values().filter(is_older).cloned().collect()
        };
        for export in ready {
            self.expire(export);
        }
    }

    /// Removes the files whose time is over.
    fn sweep(&self, now: Moment) {
        let over: Vec<Export> = {
            let known = self.known();
            let is_over = |export: &&Export| {
                let expires = export.expires_at.as_ref().and_then(|at| at.parse().ok());
                export.state == State::Ready && expires.is_some_and(|at: Moment| now >= at)
            };
            known.values().filter(is_over).cloned().collect()
        };
        for export in over {
            self.expire(export);
        }
    }

    fn expire(&self, mut export: Export) {
        export.state = State::Expired;
        match std::fs::remove_file(self.file(export.id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(export = %export.id, %error, "an old audit pack was not removed");
            }
            _ => self.change(&export),
        }
    }

    /// Whoever asks sees it from now on, also after a restart.
    fn change(&self, export: &Export) {
        if let Err(error) = self.keep(export) {
            tracing::warn!(export = %export.id, %error, "the note of an export was not written");
        }
        self.known().insert(export.id, export.clone());
    }

    fn keep(&self, export: &Export) -> anyhow::Result<()> {
        let (note, new) =
            (self.note(export.id), self.inner.directory.join(format!("{}.new", export.id)));
        write_whole(&new, &serde_json::to_vec_pretty(export)?)?;
        Ok(std::fs::rename(new, note)?)
    }

    fn note(&self, id: RunId) -> PathBuf {
        self.inner.directory.join(format!("{id}.json"))
    }

    fn part(&self, id: RunId) -> PathBuf {
        self.inner.directory.join(format!("{id}.part"))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<RunId, Export>> {
        self.inner.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = private::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn summary(export: &Export) -> Fields {
    let number = |count: u64| i64::try_from(count).ok().map(Scalar::Number);
    let told = [
        ("events", export.events.and_then(number)),
        ("log_size", number(export.size)),
        (
            "manifest_sha256",
            export.manifest.as_ref().and_then(|hash| Note::new(hash).ok()).map(Scalar::Text),
        ),
    ];
    told.into_iter().filter_map(|(name, value)| Some((Name::new(name).ok()?, value?))).collect()
}

async fn dispatch(app: &App, export: &Export, actor: Actor) -> anyhow::Result<()> {
    let mut labels = BTreeMap::new();
    for (name, word) in &export.scope {
        labels.insert(Name::new(name)?, Note::new(word)?);
    }
    labels.insert(Name::new("checkpoint_size")?, Note::new(export.size.to_string())?);
    let initiator = Name::new(&export.requester).ok();
    let dispatch = Dispatch {
        correlation_version: 1,
        operation: Name::new(OPERATION)?,
        named: Named::default(),
        origin: Origin { initiator, labels, ..Origin::default() },
        unique: None,
    };
    submit(app, export, RunCommand::Dispatch(Box::new(dispatch)), actor).await
}

async fn signal(app: &App, export: &Export, report: Report) -> anyhow::Result<()> {
    let signal = SignalReport { named: Named::default(), origin: Origin::default(), report };
    submit(app, export, RunCommand::Signal(Box::new(signal)), exporter()?).await
}

async fn fail(app: &App, export: &Export, reason: &str, message: &str) -> anyhow::Result<()> {
    let report = Report::Failed {
        message: Some(Note::new(message)?),
        outcome: Outcome::Failed,
        reason_code: Name::new(reason)?,
        retryable: Some(true),
    };
    signal(app, export, report).await
}

/// Who makes packs.
fn exporter() -> anyhow::Result<Actor> {
    Ok(Actor { id: Name::new("audit-packs")?, kind: Name::new("system")? })
}

async fn submit(
    app: &App,
    export: &Export,
    command: RunCommand,
    actor: Actor,
) -> anyhow::Result<()> {
    let submission = Submission::new(Command::Run(export.id, command)).by(actor);
    let answer = app.submit_one(export.workspace, submission).await?;
    let taken = [ItemStatus::Recorded, ItemStatus::Duplicate, ItemStatus::Coalesced];
    anyhow::ensure!(taken.contains(&answer.status), "it was refused: {answer:?}");
    Ok(())
}
