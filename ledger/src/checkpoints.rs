//! Checkpoints: what is signed of a log, and when nothing is signed any more.
//!
//! The signer does not believe the database. What it signed last stands in a file outside of it
//! ([`Anchors`]); before it signs again, it derives the root of the log from its rows, and proves
//! that the log continues what was signed. A log that does not is a fork, whatever the reason: it
//! is not signed, and takes no more events until a person has looked.

mod anchors;
mod keys;
mod record;

use runledger_proof::checkpoint::Checkpoint;
use runledger_proof::merkle;
use runledger_proof::note::{Note, VerifierKey};
use runledger_proof::policy::Policy;
use runledger_proof::witness::Seen;

use crate::clock::Clock;
use crate::store::{Head, SignedCheckpoint, Store, StoreError};
use crate::time::Moment;
use crate::tree;
use crate::words::WorkspaceId;

pub use anchors::{Anchor, AnchorError, Anchors};
pub use keys::{Keys, KeysError};
pub use record::{Gap, Standing, told};

/// Signs the logs of a store.
#[derive(Clone, Debug)]
pub struct Signer {
    store: Store,
    clock: Clock,
    anchors: Anchors,
}

/// Why a log is not what was signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fork {
    /// It has fewer events than were signed.
    #[error(
        "it holds {found} events, and {signed} were signed: its end was cut off, or an old backup \
         was put in its place"
    )]
    Shorter {
        /// How many there are.
        found: u64,
        /// How many there were.
        signed: u64,
    },
    /// Its events are not those that were signed.
    #[error(
        "its first {signed} events are not those that were signed: history was changed, or is that \
         of another log"
    )]
    Rewritten {
        /// How many were signed.
        signed: u64,
    },
    /// Its head does not follow from its events.
    #[error("its head is not that of its {size} events: rows were changed, or are missing")]
    Head {
        /// How many there are by the head.
        size: u64,
    },
    /// Its rows cannot be read as those of a log.
    #[error("its rows are not those of a log: {0}")]
    Broken(String),
    /// It is not in the database any more.
    #[error(
        "the log {log} is not in the database any more, and {signed} events of it were signed: the \
         database was wiped, or another one was put in its place"
    )]
    Gone {
        /// Which log.
        log: WorkspaceId,
        /// How many events were signed.
        signed: u64,
    },
}

/// Why nothing could be said of a log, or nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// It is not what was signed. It must take no more events.
    #[error(transparent)]
    Fork(#[from] Fork),
    /// The database failed. It may be better later.
    #[error("the log could not be read, or its checkpoint not be kept")]
    Store(#[source] StoreError),
    /// What was signed last cannot be read or written. Without it, nothing is signed.
    #[error(transparent)]
    Anchor(#[from] AnchorError),
    /// Other keys signed it than those that are here, and nobody has said that they are replaced.
    #[error(
        "its checkpoint of {signed} events is signed by the key {by}, and not by any of those that \
         are here: put that key back (from a backup of the file signing-key, or into \
         RUNLEDGER_SIGNING_KEY), or, if it is lost, say so with `runledger keys replace`"
    )]
    Keys {
        /// How many events that checkpoint is of.
        signed: u64,
        /// The id of the key that signed it, in hexadecimal.
        by: String,
    },
}

impl Signer {
    /// A signer of the logs in `store`, which remembers in `anchors` what it has signed.
    pub const fn new(store: Store, clock: Clock, anchors: Anchors) -> Self {
        Signer { store, clock, anchors }
    }

    /// What it has signed, as it is written down outside of the database.
    pub const fn anchors(&self) -> &Anchors {
        &self.anchors
    }

    /// Checks that a log continues whatever was signed of it, and takes over what another server
    /// has signed since. Says whether there is something new to sign with `keys`.
    ///
    /// # Errors
    /// [`SignError::Fork`] if it does not.
    pub async fn check(&self, workspace: WorkspaceId, keys: &Keys) -> Result<bool, SignError> {
        let Some(Looked { head, published, .. }) = self.look(workspace, keys).await? else {
            return Ok(false);
        };
        let all_signed = published.is_some_and(|(size, by)| {
            size == head.size() && by.len() == keys.of_log(workspace).len()
        });
        Ok(!all_signed)
    }

    /// The same, and signs the log as it is now. Only who holds the lease of it calls this.
    ///
    /// # Errors
    /// [`SignError::Fork`] if it does not continue what was signed.
    pub async fn sign(
        &self,
        workspace: WorkspaceId,
        keys: &Keys,
    ) -> Result<Option<SignedCheckpoint>, SignError> {
        let Some(Looked { head, .. }) = self.look(workspace, keys).await? else {
            return Ok(None);
        };
        let now = Seen { size: head.size(), root: head.frontier.root() };
        let put_back = self.put_back(workspace, keys).await?;
        if put_back.as_ref().is_some_and(|one| one.size == now.size) {
            return Ok(put_back);
        }
        let signed_at = self.clock.now();
        // First where the database's administrator cannot write: what is published is remembered.
        self.anchors.add(workspace, now, signed_at).await?;
        let checkpoint = signed(workspace, keys, now, signed_at);
        self.store.add_checkpoint(workspace, &checkpoint).await.map_err(SignError::Store)?;
        Ok(Some(checkpoint))
    }

    /// Puts the checkpoint back that was written down last, if the database has it not: the server
    /// ended between the two, or somebody has removed it.
    async fn put_back(
        &self,
        workspace: WorkspaceId,
        keys: &Keys,
    ) -> Result<Option<SignedCheckpoint>, SignError> {
        let Some(Anchor { seen, at, own }) = self.anchors.last_line(workspace).await? else {
            return Ok(None);
        };
        let of_size = self.store.checkpoints_of(workspace, seen.size).await;
        let of_size = of_size.map_err(SignError::Store)?;
        // What it signed itself stands there with the time at which it did.
        if of_size.iter().any(|one| !own || one.signed_at == at) {
            return Ok(None);
        }
        tracing::warn!(
            %workspace, size = seen.size,
            "a checkpoint that was signed is not in the database; it is put back"
        );
        let checkpoint = signed(workspace, keys, seen, at);
        self.store.add_checkpoint(workspace, &checkpoint).await.map_err(SignError::Store)?;
        Ok(Some(checkpoint))
    }

    async fn look(&self, workspace: WorkspaceId, keys: &Keys) -> Result<Option<Looked>, SignError> {
        let anchor = self.anchors.last(workspace).await?;
        let broken = |error| match error {
            StoreError::Corrupt(problem) => SignError::Fork(Fork::Broken(problem)),
            error => SignError::Store(error),
        };
        let published = self.published(workspace, keys, anchor).await.map_err(|e| e.or(broken))?;
        let head = self.store.head(workspace).await.map_err(broken)?;
        let Some(head) = head.filter(|head| head.size() > 0) else {
            let signed = anchor.map_or(0, |anchor| anchor.size);
            return if signed == 0 {
                Ok(None)
            } else {
                Err(Fork::Shorter { found: 0, signed }.into())
            };
        };
        let now = Seen { size: head.size(), root: head.frontier.root() };
        self.follows(workspace, now, anchor).await.map_err(|error| error.or(broken))?;
        let of_others = published.as_ref().map(|(seen, _)| *seen);
        self.follows(workspace, now, of_others).await.map_err(|error| error.or(broken))?;
        // Rows behind the head are seen by no reader, and the next append would meet them.
        if let Some(problem) = self.store.check_end(workspace).await.map_err(broken)? {
            return Err(Fork::Broken(problem).into());
        }
        if let Some(seen) = of_others.filter(|seen| seen.size > anchor.map_or(0, |a| a.size)) {
            self.anchors.take_over(workspace, seen, self.clock.now()).await?;
        }
        let published = published.map(|(seen, by)| (seen.size, by));
        Ok(Some(Looked { head, published }))
    }

    /// Whether the log as it is `now` by its rows is that of its head, and continues `signed`.
    async fn follows(
        &self,
        workspace: WorkspaceId,
        now: Seen,
        signed: Option<Seen>,
    ) -> Result<(), NotSo> {
        let signed = signed.unwrap_or_else(Seen::nothing);
        if now.size < signed.size {
            return Err(Fork::Shorter { found: now.size, signed: signed.size }.into());
        }
        let root = match tree::root(&self.store, workspace, now.size).await {
            // Of events that an older server recorded.
            Err(StoreError::Corrupt(_)) => {
                tree::fill(&self.store, workspace).await?;
                tree::root(&self.store, workspace, now.size).await?
            }
            root => root?,
        };
        if root != now.root {
            return Err(Fork::Head { size: now.size }.into());
        }
        let proof = tree::consistency(&self.store, workspace, signed.size, now.size).await?;
        merkle::verify_consistency(signed.size, now.size, &signed.root, &now.root, &proof)
            .map_err(|_| Fork::Rewritten { signed: signed.size }.into())
    }
}

/// A log that continues what was signed.
struct Looked {
    head: Head,
    /// The last checkpoint in the database that our keys signed, and which of them.
    published: Option<(u64, Vec<VerifierKey>)>,
}

/// What `follows` finds.
enum NotSo {
    Fork(Fork),
    Store(StoreError),
    Other(SignError),
}

impl NotSo {
    fn or(self, broken: impl FnOnce(StoreError) -> SignError) -> SignError {
        match self {
            NotSo::Fork(fork) => fork.into(),
            NotSo::Other(error) => error,
            NotSo::Store(error) => broken(error),
        }
    }
}

impl From<Fork> for NotSo {
    fn from(fork: Fork) -> Self {
        NotSo::Fork(fork)
    }
}

impl From<StoreError> for NotSo {
    fn from(error: StoreError) -> Self {
        NotSo::Store(error)
    }
}

/// The checkpoint of a log, signed by all keys.
fn signed(
    workspace: WorkspaceId,
    keys: &Keys,
    Seen { size, root }: Seen,
    signed_at: Moment,
) -> SignedCheckpoint {
    let text = Checkpoint::new(&keys.origin(workspace), size, root).to_string();
    let signers = keys.of_log(workspace);
    let note = Note::sign(&text, &signers.iter().collect::<Vec<_>>(), 0);
    SignedCheckpoint { size, root, signed_at, note: note.to_string().into_bytes() }
}

/// What a checkpoint of the database says, if our keys signed it.
fn ours(
    workspace: WorkspaceId,
    keys: &Keys,
    published: &SignedCheckpoint,
) -> Option<(Seen, Vec<VerifierKey>)> {
    let policy = Policy::of_keys(keys.verifiers(workspace));
    match policy.believe(&published.note) {
        Ok(believed) => {
            let Checkpoint { size, root, .. } = believed.checkpoint;
            Some((Seen { size, root }, believed.logs))
        }
        Err(error) => {
            tracing::warn!(%workspace, %error, "a checkpoint in the database is none of ours");
            None
        }
    }
}
