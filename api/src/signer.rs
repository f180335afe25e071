//! The task that signs the logs, and stops those that are not what was signed.
//!
//! Every server checks every log against what it knows to be signed; which of them signs, a lease
//! says.

use std::collections::HashMap;
use std::time::Duration;

use runledger_ledger::access::AccessChange;
use runledger_ledger::checkpoints::{Anchors, Fork, Keys, SignError, Signer};
use runledger_ledger::event::Actor;
use runledger_ledger::ledger::Ledger;
use runledger_ledger::store::StoreError;
use runledger_ledger::submission::{Answer, Command, Submission};
use runledger_ledger::time::Span;
use runledger_ledger::words::{Name, Note, WorkspaceId};
use runledger_ledger::workspace::WorkspaceCommand;
use tokio::sync::watch;
use uuid::Uuid;

use crate::signing_key::{KeySource, changed_since};

/// How often the logs are looked at. With what a look takes, a checkpoint is never more than ten
/// seconds behind.
pub const PACE: Duration = Duration::from_secs(5);
/// How long a server that is gone keeps others from signing.
const LEASE: Span = Span::from_secs(30);

/// Signs the logs of a ledger.
#[derive(Debug)]
pub struct Signing {
    ledger: Ledger,
    signer: Signer,
    source: KeySource,
    holder: Uuid,
    /// How many events of each log were checked and signed last: a log that stands still is not
    /// looked at again.
    settled: HashMap<WorkspaceId, u64>,
    /// The logs that were ever here, with their names.
    names: HashMap<WorkspaceId, String>,
    /// The keys that were in force then.
    keys: Option<Keys>,
    /// Of which keys the log was told last.
    told: HashMap<WorkspaceId, Vec<String>>,
}

impl Signing {
    /// Signs with the keys of `source`, and remembers what was signed in `anchors`.
    pub fn new(
        ledger: Ledger,
        anchors: Anchors,
        source: KeySource,
    ) -> Result<Self, runledger_ledger::clock::NoEntropy> {
        let holder = ledger.process_id()?;
        let signer = Signer::new(ledger.writing_store().clone(), ledger.clock().clone(), anchors);
        let (settled, told, names) = (HashMap::new(), HashMap::new(), HashMap::new());
        Ok(Signing { ledger, signer, source, holder, settled, names, keys: None, told })
    }

    /// Looks at every log once: checks it against what was signed, and signs it where it has
    /// grown.
    pub async fn round(&mut self) {
        let Some(keys) = self.load() else { return };
        let logs = match self.ledger.writing_store().workspaces().await {
            Ok(logs) => logs,
            Err(error) => return tracing::warn!(%error, "the logs to sign cannot be listed"),
        };
        self.miss(&logs).await;
        for (workspace, name) in logs {
            match self.look(workspace, &keys).await {
                Ok(()) => {}
                Err(SignError::Fork(fork)) => self.halt(workspace, &name, &fork),
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%workspace, name, %error, cause, "the log was not signed");
                }
            }
        }
    }

    fn halt(&self, workspace: WorkspaceId, name: &str, fork: &Fork) {
        if self.ledger.halt(workspace, fork.to_string()) {
            tracing::error!(
                %workspace, name, %fork, "the log is not what was signed: it takes no more events"
            );
        }
    }

    /// Stops a log that was here and is not any more, and whatever has its name now.
    async fn miss(&mut self, logs: &[(WorkspaceId, String)]) {
        let gone = self.names.iter().filter(|(id, _)| logs.iter().all(|(log, _)| log != *id));
        for (id, name) in gone {
            match self.signer.anchors().last(*id).await {
                Ok(Some(seen)) => {
                    let fork = Fork::Gone { log: *id, signed: seen.size };
                    self.halt(*id, name, &fork);
                    let of_name = logs.iter().filter(|(_, other)| other == name);
                    of_name.for_each(|(log, name)| self.halt(*log, name, &fork));
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "what was signed cannot be looked at"),
            }
        }
        self.names.extend(logs.iter().cloned());
    }

    async fn look(&mut self, workspace: WorkspaceId, keys: &Keys) -> Result<(), SignError> {
        let store = self.ledger.writing_store().clone();
        let head = store.head(workspace).await;
        // A head that cannot be read is for the signer to judge.
        let size = head.ok().flatten().map(|head| head.size());
        if size.is_some() && size == self.settled.get(&workspace).copied() {
            return Ok(());
        }
        if self.signer.check(workspace, keys).await? {
            let lease = format!("signer/{workspace}");
            let now = self.ledger.now();
            let ours = store.take_lease(&lease, self.holder, now, LEASE).await;
            if ours.map_err(SignError::Store)? && self.rotated(workspace, keys).await? {
                self.signer.sign(workspace, keys).await?;
            }
        } else if let Some(size) = size {
            self.settled.insert(workspace, size);
        }
        Ok(())
    }

    /// Has the log say that other keys sign it than those that signed its last checkpoint, if that is
    /// so: the first checkpoint of new keys is over the event that tells of them. False if it could
    /// not be said; then nothing is signed yet.
    async fn rotated(&mut self, workspace: WorkspaceId, keys: &Keys) -> Result<bool, SignError> {
        let last = self.ledger.writing_store().last_checkpoint(workspace).await;
        let Some(last) = last.map_err(SignError::Store)? else { return Ok(true) };
        // Whoever replaced them may have said so already, with a reason.
        let told = self.signer.told(workspace).await.map_err(SignError::Store)?;
        let rotated = changed_since(told.as_ref(), &last.note, keys, workspace, found_changed());
        let Some(rotated) = rotated else { return Ok(true) };
        let now = rotated.keys.clone();
        // Said already, by this server, and not signed since.
        if self.told.get(&workspace) == Some(&now) {
            return Ok(true);
        }
        let rotated = AccessChange::KeyRotated(rotated);
        let command = Command::Workspace(WorkspaceCommand::NoteAccess(rotated));
        let (Ok(id), Ok(kind)) = (Name::new("signer"), Name::new("system")) else {
            return Ok(true);
        };
        let submission = Submission::new(command).by(Actor { id, kind });
        match self.ledger.submit(workspace, vec![submission], false).await.as_deref() {
            Ok([Answer::Recorded(_)]) => {
                self.told.insert(workspace, now);
                Ok(true)
            }
            other => {
                tracing::warn!(%workspace, ?other, "that keys were replaced was not recorded");
                Ok(false)
            }
        }
    }

    /// The keys as they are now: they may be replaced while the server runs.
    fn load(&mut self) -> Option<Keys> {
        let keys = match self.source.load() {
            Ok(keys) => keys,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "the signing key cannot be used; nothing is signed");
                return self.keys.clone();
            }
        };
        if self.keys.as_ref().is_none_or(|known| known.to_secret_text() != keys.to_secret_text()) {
            self.settled.clear();
            self.keys = Some(keys.clone());
        }
        Some(keys)
    }

    /// Signs until `stopped`, and once more then.
    pub async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        loop {
            // An error means that the server has gone.
            let wait = stopped.wait_for(|stopped| *stopped);
            let stopping = tokio::time::timeout(PACE, wait).await.is_ok();
            self.round().await;
            if stopping {
                break;
            }
        }
        for (workspace, _) in self.ledger.writing_store().workspaces().await.unwrap_or_default() {
            let lease = format!("signer/{workspace}");
            let _: Result<(), StoreError> =
                self.ledger.writing_store().drop_lease(&lease, self.holder).await;
        }
    }
}

/// Why keys change of which nobody has said why: that they were found to be others is all that is known.
fn found_changed() -> Option<Note> {
    Note::new("the server was given other signing keys than those of the last checkpoint").ok()
}
