//! Whether what is written down of what was signed fits the logs, and what a person can say where it
//! does not (specs/0029).

use runledger_proof::checkpoint::Checkpoint;
use runledger_proof::note::{Note, VerifierKey};
use runledger_proof::witness::Seen;

use super::{AnchorError, Fork, Keys, NotSo, SignError, Signer, ours};
use crate::access::KeyRotated;
use crate::event::{AnyEvent, Recorded, Stream};
use crate::fact::EventType;
use crate::store::{SignedCheckpoint, Store, StoreError};
use crate::words::WorkspaceId;
use crate::workspace::WorkspaceEvent;

/// Something that was signed, and that the record or the database does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gap {
    /// It was written down that so many events of this log were signed, and there is no such log.
    Gone {
        /// Which log.
        log: WorkspaceId,
        /// How many events; none if the record of it is gone as well.
        signed: Option<u64>,
    },
    /// What was written down of this log is gone.
    Removed {
        /// Which log.
        log: WorkspaceId,
    },
    /// Nothing at all is written down, and this log was signed.
    Nothing {
        /// Which log.
        log: WorkspaceId,
        /// How many events of it were signed, as the database says.
        signed: u64,
    },
}

/// How a log stands to what is written down of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The last checkpoint in the database that our keys signed, which the log continues; of no
    /// events if there is none.
    pub published: Seen,
    /// What is written down; none if nothing is.
    pub written: Option<Seen>,
    /// Why the log does not continue what is written down.
    pub otherwise: Option<Fork>,
}

impl Signer {
    /// What was signed, and is missing on one side: in the database or in what is written down.
    ///
    /// # Errors
    /// When either cannot be read.
    pub async fn gaps(&self) -> Result<Vec<Gap>, SignError> {
        let there = self.store.workspaces().await.map_err(SignError::Store)?;
        let is_there = |log: &WorkspaceId| there.iter().any(|(id, _)| id == log);
        let (written, removed) = (self.anchors.logs().await?, self.anchors.removed().await?);
        let mut gaps = Vec::new();
        for log in written.iter().copied() {
            match self.anchors.last(log).await? {
                Some(_) if is_there(&log) => {}
                Some(seen) => gaps.push(Gap::Gone { log, signed: Some(seen.size) }),
                // A file that holds nothing is of a log that was never signed, or was emptied.
                None => {
                    let last = self.store.last_checkpoint(log).await.map_err(SignError::Store)?;
                    gaps.extend(last.map(|_| Gap::Removed { log }));
                }
            }
        }
        gaps.extend(removed.iter().map(|log| match is_there(log) {
            true => Gap::Removed { log: *log },
            false => Gap::Gone { log: *log, signed: None },
        }));
        if written.is_empty() && removed.is_empty() {
            for (log, _) in there {
                let last = self.store.last_checkpoint(log).await.map_err(SignError::Store)?;
                gaps.extend(last.map(|last| Gap::Nothing { log, signed: last.size }));
            }
        }
        Ok(gaps)
    }

    /// Whether the keys that are here are those of a log: they signed it last, or the log says that
    /// they have taken the place of those that did.
    ///
    /// # Errors
    /// [`SignError::Keys`] if they are not.
    pub async fn knows(&self, workspace: WorkspaceId, keys: &Keys) -> Result<(), SignError> {
        let anchor = self.anchors.last(workspace).await?;
        let published = self.published(workspace, keys, anchor).await;
        published.map(drop).map_err(|error| error.or(SignError::Store))
    }

    /// How a log stands to what is written down of it.
    ///
    /// # Errors
    /// [`SignError::Fork`] if it does not continue what the database says was signed of it;
    /// [`SignError::Keys`] if other keys signed it.
    pub async fn standing(
        &self,
        workspace: WorkspaceId,
        keys: &Keys,
    ) -> Result<Standing, SignError> {
        let written = self.anchors.last(workspace).await?;
        let or = |error: NotSo| error.or(SignError::Store);
        let published = self.published(workspace, keys, written).await.map_err(or)?;
        let published = published.map_or_else(Seen::nothing, |(seen, _)| seen);
        let head = self.store.head(workspace).await.map_err(SignError::Store)?;
        let now = head.map_or_else(Seen::nothing, |head| Seen {
            size: head.size(),
            root: head.frontier.root(),
        });
        self.follows(workspace, now, Some(published)).await.map_err(or)?;
        if let Some(problem) = self.store.check_end(workspace).await.map_err(SignError::Store)? {
            return Err(Fork::Broken(problem).into());
        }
        let otherwise = match self.follows(workspace, now, written).await {
            Err(NotSo::Fork(fork)) => Some(fork),
            other => other.map(|()| None).map_err(or)?,
        };
        Ok(Standing { published, written, otherwise })
    }

    /// Goes on from `seen` from now on: a person has said so, and the log says who and why. What was
    /// written down until now is put aside.
    ///
    /// # Errors
    /// If it cannot be written down.
    pub async fn go_on_from(&self, workspace: WorkspaceId, seen: Seen) -> Result<(), AnchorError> {
        let now = self.clock.now();
        self.anchors.set_aside(workspace, now).await?;
        match seen.size {
            0 => Ok(()),
            _ => self.anchors.take_over(workspace, seen, now).await,
        }
    }

    /// Which keys sign a log, as it says itself; none if they were never replaced.
    ///
    /// # Errors
    /// When the database fails, or the event that says so is none.
    pub async fn told(&self, workspace: WorkspaceId) -> Result<Option<KeyRotated>, StoreError> {
        told(&self.store, workspace).await
    }

    /// The last checkpoint in the database that our keys signed, and which of them.
    pub(super) async fn published(
        &self,
        workspace: WorkspaceId,
        keys: &Keys,
        anchor: Option<Seen>,
    ) -> Result<Option<(Seen, Vec<VerifierKey>)>, NotSo> {
        let Some(last) = self.store.last_checkpoint(workspace).await? else { return Ok(None) };
        if let Some(ours) = ours(workspace, keys, &last) {
            return Ok(Some(ours));
        }
        // Anybody who can write to the database can put a row there. What was written down tells which
        // one was signed here.
        let decides = match anchor {
            Some(seen) => self.store.checkpoint_at(workspace, seen.size).await?,
            None => Some(last),
        };
        let Some(decides) = decides else { return Ok(None) };
        if let Some(ours) = ours(workspace, keys, &decides) {
            return Ok(Some(ours));
        }
        let Some(by) = signer_of(workspace, &decides) else { return Ok(None) };
        let told = self.told(workspace).await?.map(|told| told.keys).unwrap_or_default();
        let newest = keys.verifiers(workspace).first().map(ToString::to_string);
        if newest.is_some_and(|newest| told.contains(&newest)) {
            return Ok(None);
        }
        Err(NotSo::Other(SignError::Keys { signed: decides.size, by }))
    }
}

/// The id of the key that signed a checkpoint of this log, whatever name it has.
fn signer_of(workspace: WorkspaceId, checkpoint: &SignedCheckpoint) -> Option<String> {
    let note = Note::parse(&checkpoint.note).ok()?;
    let of_log = format!("/ledger/{workspace}");
    let origin = Checkpoint::parse(&note.text).ok()?.origin;
    let signed = note.signatures.iter().find(|one| one.name == origin)?;
    origin.ends_with(&of_log).then(|| format!("{:08x}", signed.id))
}

/// What the log of a workspace says last of the keys that sign it; none if they were never others.
///
/// # Errors
/// If the database fails, or the event cannot be read.
pub async fn told(store: &Store, workspace: WorkspaceId) -> Result<Option<KeyRotated>, StoreError> {
    let stream = Stream::workspace(workspace);
    let last = store.last_of_type(workspace, stream, EventType::KeyRotated).await?;
    let Some(event) = last else { return Ok(None) };
    match Recorded::decode(&event.body).map(|event| event.fact.event) {
        Ok(AnyEvent::Workspace(WorkspaceEvent::KeyRotated(rotated))) => Ok(Some(rotated)),
        Ok(_) => Ok(None),
        Err(error) => Err(StoreError::Corrupt(error.to_string())),
    }
}
