//! The one write seam: every change of every log goes through [`Ledger::submit`].
//!
//! Behind it stands one lane per workspace (`lane.rs`), which decides, seals and appends in groups.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, oneshot};
use uuid::Uuid;

use crate::catalog::Catalog;
use crate::clock::{Clock, Entropy, NoEntropy};
use crate::crowd::Crowd;
use crate::event::Actor;
use crate::lane::{self, Job};
use crate::store::{Store, StoreError};
use crate::submission::{Answer, Command, Refusal, Submission};
use crate::time::Moment;
use crate::words::{Name, Note, RunId, WorkspaceId};
use crate::workspace::{WorkspaceCommand, WorkspaceRefusal};

/// Most submissions in one request.
pub const MOST_SUBMISSIONS: usize = 5_000;
/// Most submissions of one workspace that wait at a time; more is an overload.
const MOST_WAITING: usize = 20_000;

/// The ledger of all workspaces of one store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger {
    inner: Arc<Inner>,
    // Not in `inner`, which the lanes hold: with the last `Ledger` its lanes end.
    lanes: Arc<Mutex<HashMap<WorkspaceId, Lane>>>,
    /// Logs that take no more events, and why.
    halted: Arc<RwLock<HashMap<WorkspaceId, Arc<str>>>>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    /// For the lanes: over connections that no reader takes.
    pub(crate) store: Store,
    readable: Store,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    pub(crate) appended: broadcast::Sender<LogGrew>,
    pub(crate) catalogs: Mutex<HashMap<String, Arc<Catalog>>>,
    pub(crate) crowd: Crowd,
}

#[derive(Clone, Debug)]
struct Lane {
    jobs: mpsc::Sender<Job>,
    room: Arc<tokio::sync::Semaphore>,
}

/// A log has grown. A wake-up, no data: whoever follows a log reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogGrew {
    /// Whose log.
    pub workspace: WorkspaceId,
    /// How many events it holds now.
    pub size: u64,
}

/// Why nothing of a request was looked at, or why its fate is not known.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// There is no such workspace.
    #[error("there is no such workspace")]
    NoWorkspace,
    /// The log is not what was signed of it. Nothing was recorded, and nothing will be until an
    /// operator has looked.
    #[error("the log of this workspace takes no more events until an operator has looked: {0}")]
    Halted(Arc<str>),
    /// Too many at once.
    #[error("a request may hold {MOST_SUBMISSIONS} events at most")]
    TooMany,
    /// More waits than can be written soon. Nothing was recorded; try again shortly.
    #[error("more events wait than can be written soon; nothing was recorded")]
    Overloaded,
    /// The ledger was shut down in the middle of it. What carried an id, or is a repeatable report,
    /// is safe to send again.
    #[error("the ledger was shut down before the events were known to be durable; send them again")]
    Closing,
    /// The database failed. What carried an id, or is a repeatable report, is safe to send again.
    #[error("the database failed before the events were known to be durable; send them again")]
    Store(#[source] Arc<StoreError>),
    /// The operating system gave no random bytes.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

/// Why a workspace was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The name is taken.
    #[error("a workspace named {0} exists already")]
    Exists(Name),
    /// Its first events were refused: the catalog is too long for one event. There is no such
    /// workspace, and its name is free.
    #[error("the workspace could not be made with this catalog")]
    Refused(#[source] Refusal),
    /// Its first events could not be written. The same call may be made again: it finishes what
    /// was begun.
    #[error("the workspace could not be made")]
    Submit(#[from] SubmitError),
    /// The database failed.
    #[error("the workspace could not be made")]
    Store(#[from] StoreError),
}

impl Ledger {
    /// A ledger over `store`.
    pub fn new(store: Store, clock: Clock, entropy: Entropy) -> Self {
        let (appended, _) = broadcast::channel(1_024);
        let (readable, store) = (store.clone(), store.writing());
        let (catalogs, crowd) = (Mutex::default(), Crowd::default());
        let inner = Inner { store, readable, clock, entropy, appended, catalogs, crowd };
        Ledger { inner: Arc::new(inner), lanes: Arc::default(), halted: Arc::default() }
    }

    /// The store beneath, for reading.
    pub fn store(&self) -> &Store {
        let Inner { readable, .. } = &*self.inner;
        readable
    }

    /// The store beneath, for what must go on however many read: over a few connections that no
    /// reader takes.
    pub fn writing_store(&self) -> &Store {
        &self.inner.store
    }

    /// The clock.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// A fresh run id: a UUID of version 7, so that runs made together lie together.
    pub fn new_run_id(&self) -> Result<RunId, NoEntropy> {
        self.inner.entropy.uuid_v7(self.inner.clock.now()).map(RunId)
    }

    /// Wake-ups for followers. One that lags has missed wake-ups and nothing else.
    pub fn grew(&self) -> broadcast::Receiver<LogGrew> {
        self.inner.appended.subscribe()
    }

    /// Makes a workspace, with `catalog` in force from its first moment. There is one only when its
    /// first two events are in its log; until then its name is for whoever makes it first.
    pub async fn create_workspace(
        &self,
        name: &Name,
        catalog: &Catalog,
    ) -> Result<WorkspaceId, CreateError> {
        self.create_workspace_for(name, catalog, None).await
    }

    /// The same, with who makes it and why, as its log says of it and of its first catalog.
    pub async fn create_workspace_for(
        &self,
        name: &Name,
        catalog: &Catalog,
        because: Option<(Actor, Note)>,
    ) -> Result<WorkspaceId, CreateError> {
        let (actor, reason) = because.unzip();
        let now = self.inner.clock.now();
        let mut id = WorkspaceId(self.inner.entropy.uuid_v7(now).map_err(SubmitError::from)?);
        if !self.inner.store.create_workspace(id, name, now).await? {
            let exists = || CreateError::Exists(name.clone());
            id = self.inner.store.unfinished_workspace(name).await?.ok_or_else(exists)?;
        }
        let create = WorkspaceCommand::Create { name: name.clone(), reason: reason.clone() };
        let publish = WorkspaceCommand::PublishCatalog { text: catalog.text().to_owned(), reason };
        let commands = [create, publish].map(|command| {
            let submission = Submission::new(Command::Workspace(command));
            Submission { actor: actor.clone(), ..submission }
        });
        for answer in self.submit(id, commands.into(), true).await? {
            match answer {
                Answer::Refused(Refusal::Workspace(WorkspaceRefusal::Exists)) => {
                    // Somebody else finished it in between.
                    return Err(CreateError::Exists(name.clone()));
                }
                Answer::Refused(Refusal::NotAlone) | Answer::Recorded(_) => {}
                Answer::Refused(refusal) => return Err(CreateError::Refused(refusal)),
                other => {
                    let problem = format!("a new workspace answered {other:?}");
                    return Err(StoreError::Corrupt(problem).into());
                }
            }
        }
        Ok(id)
    }

    /// Hands `submissions` to the workspace's lane, in order, and waits until each is answered:
    /// what is answered `Recorded` is durable. With `atomic`, either none is refused or none is
    /// recorded.
    pub async fn submit(
        &self,
        workspace: WorkspaceId,
        submissions: Vec<Submission>,
        atomic: bool,
    ) -> Result<Vec<Answer>, SubmitError> {
        self.submit_holding(workspace, submissions, atomic, Vec::new()).await
    }

    /// The same. `held` is given back only when the submissions are out of memory again, even if
    /// the caller goes away before.
    pub async fn submit_holding(
        &self,
        workspace: WorkspaceId,
        submissions: Vec<Submission>,
        atomic: bool,
        held: Vec<OwnedSemaphorePermit>,
    ) -> Result<Vec<Answer>, SubmitError> {
        if let Some(why) = self.halted(workspace) {
            return Err(SubmitError::Halted(why));
        }
        if submissions.len() > MOST_SUBMISSIONS {
            return Err(SubmitError::TooMany);
        }
        if submissions.is_empty() {
            return Ok(Vec::new());
        }
        self.inner.crowd.note(workspace, submissions.len(), self.now());
        let count = u32::try_from(submissions.len()).map_err(|_| SubmitError::TooMany)?;
        let (mut submissions, mut held) = (submissions, held);
        // A lane that was idle may close between being found and being used; then there is a new
        // one.
        loop {
            let lane = self.lane(workspace);
            let room = Arc::clone(&lane.room)
                .try_acquire_many_owned(count)
                .map_err(|_| SubmitError::Overloaded)?;
            let (answer, answered) = oneshot::channel();
            let job = Job { submissions, atomic, answer, _room: room, _held: held };
            match lane.jobs.send(job).await {
                Ok(()) => return answered.await.map_err(|_| SubmitError::Closing)?,
                Err(unsent) => (submissions, held) = (unsent.0.submissions, unsent.0._held),
            }
        }
    }

    /// From now on, until the process ends, this log takes no events here, and every caller is told
    /// `why`. False if it took none before.
    pub fn halt(&self, workspace: WorkspaceId, why: String) -> bool {
        let mut halted = self.halted.write().unwrap_or_else(PoisonError::into_inner);
        halted.insert(workspace, why.into()).is_none()
    }

    /// Why a log takes no events, if it takes none.
    pub fn halted(&self, workspace: WorkspaceId) -> Option<Arc<str>> {
        let halted = self.halted.read().unwrap_or_else(PoisonError::into_inner);
        halted.get(&workspace).cloned()
    }

    /// How many logs take no events here.
    pub fn halted_logs(&self) -> usize {
        self.halted.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn lane(&self, workspace: WorkspaceId) -> Lane {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get(&workspace).filter(|lane| !lane.jobs.is_closed()) {
            return lane.clone();
        }
        // Only where one is opened anyway are those looked for that have closed since.
        lanes.retain(|_, lane| !lane.jobs.is_closed());
        let (jobs, waiting) = mpsc::channel(MOST_WAITING);
        tokio::spawn(lane::run(Arc::clone(&self.inner), workspace, waiting));
        let lane = Lane { jobs, room: Arc::new(tokio::sync::Semaphore::new(MOST_WAITING)) };
        lanes.insert(workspace, lane.clone());
        lane
    }

    /// Whether another workspace has had work lately, so that this one's is done in short turns.
    pub fn is_shared(&self, workspace: WorkspaceId) -> bool {
        self.inner.crowd.is_beside(workspace, self.now())
    }

    /// Whether this workspace lately has more to do than all others together, so that it rests after
    /// each turn.
    pub fn is_loud(&self, workspace: WorkspaceId) -> bool {
        self.inner.crowd.is_loud(workspace, self.now())
    }

    /// The catalog of a workspace: the last one published.
    pub async fn catalog(&self, workspace: WorkspaceId) -> Result<Arc<Catalog>, StoreError> {
        lane::catalog_in_force(&self.inner, workspace).await.map(|(_, catalog)| catalog)
    }

    /// The time now, for what is not an event.
    pub fn now(&self) -> Moment {
        self.inner.clock.now()
    }

    /// A name for this process among several over one database.
    pub fn process_id(&self) -> Result<Uuid, NoEntropy> {
        self.inner.entropy.uuid_v7(self.inner.clock.now())
    }
}
