//! A view: the read models of one workspace, as of one moment. Every read begins with one; what
//! can be asked of it stands in `query`.

use std::sync::Arc;
use std::time::Duration;

use runledger_ledger::run::Run;
use runledger_ledger::store::{Store, StoreError};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{RunId, WorkspaceId};
use tempfile::TempDir;

use crate::as_of::{AsOf, Replayed};
use crate::db::Tx;
use crate::projections::{Inner, Owners, Projections};
use crate::projector::{Checkpoint, ProjectionError, Seen};
use crate::query::{PageError, QueueTruths};
use crate::sight::Sight;
use crate::tables::Model;
use crate::texts::{Language, Texts};

/// How often a reader whom a follower overtakes begins again.
const ATTEMPTS: usize = 5;

/// How long a question about a moment of just now waits for the live read models, which are
/// usually milliseconds behind, before the past is replayed for it.
const ABOUT_TO: Duration = Duration::from_millis(500);

/// The read models of a workspace as of a moment: live ones now, or replayed ones.
///
/// Each answer is read from one moment of the database. A view of now goes along with the live
/// read models: its answers hold [`View::position`] events or more.
#[derive(Clone, Debug)]
pub struct View {
    inner: Arc<Inner>,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) at: Moment,
    /// How many events count, if the moment asked about is not now.
    size: Option<u64>,
    texts: &'static Texts,
    sight: Sight,
    place: Place,
}

/// Where the rows lie.
#[derive(Clone, Debug)]
struct Place {
    store: Store,
    /// A scratch file lives as long as anybody reads it.
    scratch: Option<Arc<TempDir>>,
}

/// Why there is no view.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// There is no such workspace.
    #[error("there is no such workspace")]
    NoWorkspace,
    /// A time that has not come.
    #[error("{asked} is in the future; the time is {now}")]
    Future {
        /// What was asked for.
        asked: Moment,
        /// The ledger's clock.
        now: Moment,
    },
    /// A position that the log has not reached.
    #[error("position {position} is in the future; the log has {size} events")]
    Beyond {
        /// What was asked for.
        position: u64,
        /// Events in the log.
        size: u64,
    },
    /// The past is being replayed; ask again shortly. How many events there were by then is not for
    /// everybody who asks.
    #[error("the state of that moment is being replayed; ask again shortly")]
    Preparing {
        /// Events up to the moment asked about.
        size: u64,
    },
    /// The page that was asked for cannot be given.
    #[error(transparent)]
    Page(#[from] PageError),
    /// The read models could not be read.
    #[error("the read models could not be read")]
    Projection(#[from] ProjectionError),
}

impl From<StoreError> for ViewError {
    fn from(error: StoreError) -> Self {
        ViewError::Projection(error.into())
    }
}

impl From<sqlx::Error> for ViewError {
    fn from(error: sqlx::Error) -> Self {
        ViewError::Projection(error.into())
    }
}

impl Projections {
    /// The read models of `workspace` as of a moment.
    pub async fn view(&self, workspace: WorkspaceId, as_of: AsOf) -> Result<View, ViewError> {
        let (store, now) = (self.store(), self.inner.ledger.now());
        let live = self.inner.live(workspace).await?;
        if live.is_none() && store.head(workspace).await?.is_none() {
            return Err(ViewError::NoWorkspace);
        }
        let here = Place { store: store.clone(), scratch: None };
        let view = |checkpoint: Checkpoint, place: Place, at, size| View {
            inner: Arc::clone(&self.inner),
            checkpoint,
            at,
            size,
            texts: Texts::of(Language::En),
            sight: Sight::default(),
            place,
        };
        if as_of == AsOf::Now {
            let live = live.unwrap_or_else(|| Checkpoint::nothing(workspace));
            // The ledger's time never runs backwards, whatever the machine's clock does.
            let at = now.max(live.recorded_at);
            return Ok(view(live, here, at, None));
        }
        let (size, at) = self.moment(workspace, as_of).await?;
        let live = match live {
            // A moment of just now: the live read models are about to be there.
            Some(live) if live.position < size => {
                self.wait(workspace, size - 1, ABOUT_TO).await?;
                self.inner.live(workspace).await?
            }
            live => live,
        };
        if let Some(live) = live.filter(|live| live.position == size && !live.is_between_catalogs())
        {
            return Ok(view(live, here, at, Some(size)));
        }
        let (checkpoint, place) = replayed(&self.inner, workspace, size).await?;
        Ok(view(checkpoint, place, at, Some(size)))
    }

    /// How many events of the log of `workspace` count at a moment, and which moment that is.
    ///
    /// # Errors
    /// If there is no such workspace, or the moment has not come.
    pub async fn moment(
        &self,
        workspace: WorkspaceId,
        as_of: AsOf,
    ) -> Result<(u64, Moment), ViewError> {
        let (store, now) = (self.store(), self.inner.ledger.now());
        let head = store.head(workspace).await?.ok_or(ViewError::NoWorkspace)?;
        match as_of {
            AsOf::Now => Ok((head.size(), now.max(head.last_recorded_at))),
            AsOf::Position(position) => {
                let recorded_at = store.recorded_at(workspace, position).await?;
                let size = head.size();
                let at = recorded_at.ok_or(ViewError::Beyond { position, size })?;
                Ok((position + 1, at))
            }
            AsOf::Moment(moment) if moment > now.max(head.last_recorded_at) => {
                Err(ViewError::Future { asked: moment, now })
            }
            AsOf::Moment(moment) => Ok((store.size_at(workspace, moment).await?, moment)),
        }
    }

    /// The read models in a scratch database, as of a moment up to which it has `size` events.
    pub(crate) fn scratch_view(&self, replayed: Replayed, size: u64, at: Moment) -> View {
        let Replayed { store, checkpoint, file } = replayed;
        View {
            inner: Arc::clone(&self.inner),
            checkpoint,
            at,
            size: Some(size),
            texts: Texts::of(Language::En),
            sight: Sight::default(),
            place: Place { store, scratch: Some(file) },
        }
    }
}

async fn replayed(
    inner: &Inner,
    workspace: WorkspaceId,
    size: u64,
) -> Result<(Checkpoint, Place), ViewError> {
    let replayed = inner.past.at(inner.ledger.store(), workspace, size).await?;
    let Replayed { store, checkpoint, file } = replayed.ok_or(ViewError::Preparing { size })?;
    Ok((checkpoint, Place { store, scratch: Some(file) }))
}

impl View {
    /// The same view, with its sentences in another language. A new one speaks English.
    #[must_use]
    pub fn in_language(mut self, language: Language) -> View {
        self.texts = Texts::of(language);
        self
    }

    /// The same view, as somebody sees it who may see no more than this. A new one sees everything.
    #[must_use]
    pub fn seen_with(mut self, sight: Sight) -> View {
        self.sight = sight;
        self
    }

    /// What whoever looks may see.
    pub const fn sight(&self) -> &Sight {
        &self.sight
    }

    /// The texts of its language.
    pub(crate) const fn texts(&self) -> &'static Texts {
        self.texts
    }

    /// The moment it is of.
    pub const fn at(&self) -> Moment {
        self.at
    }

    /// How many events it is derived from.
    pub const fn position(&self) -> u64 {
        self.checkpoint.position
    }

    /// The workspace.
    pub const fn workspace(&self) -> WorkspaceId {
        self.checkpoint.model.workspace
    }

    /// What is recorded of a run up to this moment.
    pub async fn recorded(&self, id: RunId) -> Result<Option<Run>, ViewError> {
        let mut reading = self.read().await?;
        let rows = reading.rows(&[id.0]).await?;
        Ok(rows.first().map(|row| row.run()).transpose()?)
    }

    /// Begins to read. All that is read in it is of one moment of the database, and of the log.
    pub(crate) async fn read(&self) -> Result<Reading, ViewError> {
        let (mut known, mut place) = (self.checkpoint.clone(), self.place.clone());
        for _ in 0..ATTEMPTS {
            let mut tx = Tx::read(&place.store, self.workspace()).await?;
            let seen = match known.seen_in(&mut tx).await? {
                Seen::Nothing => Some(Checkpoint::nothing(self.workspace())),
                Seen::Here(checkpoint) => Some(checkpoint),
                Seen::OtherCatalog => None,
            };
            let is_it =
                |seen: &Checkpoint, size| seen.position == size && !seen.is_between_catalogs();
            let counts = |seen: &Checkpoint| self.size.is_none_or(|size| is_it(seen, size));
            if let Some(checkpoint) = seen.filter(counts) {
                let Place { scratch, .. } = place;
                let at = match self.size {
                    Some(_) => self.at,
                    None => self.at.max(checkpoint.recorded_at),
                };
                let (texts, past) = (self.texts, self.size.is_some());
                let sight = self.sight.clone();
                let owners = self.inner.owners();
                return Ok(Reading {
                    tx,
                    checkpoint,
                    at,
                    past,
                    texts,
                    sight,
                    owners,
                    queues: None,
                    _scratch: scratch,
                });
            }
            // Memory has one connection, and what comes next needs it.
            drop(tx);
            match self.size {
                // The live read models have gone on; the past does not.
                Some(size) => {
                    (known, place) = replayed(&self.inner, self.workspace(), size).await?;
                }
                None => {
                    let live = self.inner.live(self.workspace()).await?;
                    known = live.unwrap_or_else(|| Checkpoint::nothing(self.workspace()));
                }
            }
        }
        Err(ProjectionError::NotAlone.into())
    }
}

/// One moment of the database, while something is read from it.
pub(crate) struct Reading {
    pub(crate) tx: Tx,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) at: Moment,
    /// Whether it is not now that is asked about.
    pub(crate) past: bool,
    pub(crate) texts: &'static Texts,
    /// Every statement about runs is narrowed to it.
    pub(crate) sight: Sight,
    /// Which adapter judges which operation type on this server.
    pub(crate) owners: Owners,
    /// The truth of every queue, once it has been looked for.
    pub(crate) queues: Option<Arc<QueueTruths>>,
    _scratch: Option<Arc<TempDir>>,
}

impl Reading {
    /// One moment of a scratch database, of which nothing but the past can be asked.
    pub(crate) fn new(
        tx: Tx,
        checkpoint: Checkpoint,
        at: Moment,
        texts: &'static Texts,
        scratch: &Arc<TempDir>,
    ) -> Self {
        Reading {
            tx,
            checkpoint,
            at,
            past: true,
            texts,
            sight: Sight::default(),
            owners: Owners::default(),
            queues: None,
            _scratch: Some(Arc::clone(scratch)),
        }
    }

    pub(crate) const fn model(&self) -> Model {
        self.checkpoint.model
    }
}
