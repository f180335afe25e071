//! A signed log of which a part is archived.

use std::path::PathBuf;

use runledger_ledger::archive::{
    self, Archive, ArchiveError, ArchiveState, Archives, Exported, Order, Until,
};
use runledger_ledger::audit::{self, Audit};
use runledger_ledger::checkpoints::{Anchors, Keys, Signer};
use runledger_ledger::clock::Entropy;
use runledger_ledger::event::Actor;
use runledger_ledger::store::{Store, StoreError, StoredEvent};
use runledger_ledger::words::{Note, RunId};
use runledger_proof::policy::Policy;

use crate::bed::Bed;
use crate::erasure::eraser;
use crate::reports::{dispatch, failed, name, observed, seen, with_id};

/// Where the range ends that these tests archive.
pub(super) const TO: u64 = 512;

pub(super) struct Shelf {
    pub(super) bed: Bed,
    pub(super) signer: Signer,
    pub(super) keys: Keys,
    /// Runs that have ended, the first of them within the range.
    pub(super) ended: Vec<RunId>,
    /// A run within the range that has not.
    pub(super) active: RunId,
    pub(super) directory: tempfile::TempDir,
}

impl Shelf {
    /// A log of 612 events, signed.
    pub(super) async fn new(bed: Bed) -> Shelf {
        let directory = tempfile::tempdir().unwrap();
        let anchors = Anchors::new(directory.path().join("signed"));
        let signer = Signer::new(bed.store().clone(), bed.clock.clone(), anchors);
        let keys = Keys::make("ledger.example", &Entropy::system()).unwrap();
        let active = bed.new_run();
        let mut ended = Vec::new();
        let mut reports = vec![dispatch(active), observed("7"), seen("w")];
        while reports.len() < 610 {
            let run = bed.new_run();
            let id = format!("report {run}");
            reports.extend([with_id(dispatch(run), &id, "1"), failed(run)]);
            ended.push(run);
        }
        reports.truncate(610);
        bed.submit(reports).await;
        let mut shelf = Shelf { bed, signer, keys, ended, active, directory };
        shelf.sign().await;
        shelf
    }

    pub(super) async fn sign(&mut self) {
        self.signer.sign(self.bed.workspace, &self.keys).await.unwrap().unwrap();
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn policy(&self) -> Policy {
        Policy::of_keys(self.keys.verifiers(self.bed.workspace))
    }

    pub(super) async fn export(&self, until: Until, name: &str) -> Result<Exported, ArchiveError> {
        let directory = self.path(name);
        let order = Order {
            workspace: self.bed.workspace,
            name: "main",
            until,
            directory: &directory,
            policy: "quorum none\n",
            tool: "a test",
        };
        archive::export(self.bed.store(), &order, &|_, _| {}).await
    }

    pub(super) async fn order(&self, name: &str) -> Result<Archive, ArchiveError> {
        let (ledger, workspace) = (&self.bed.ledger, self.bed.workspace);
        archive::order(ledger, workspace, &self.path(name), why(), &ada()).await
    }

    pub(super) async fn drop_bodies(&self, archive: &Archive) -> Result<(), ArchiveError> {
        let may = eraser(&self.bed).await;
        let place = PathBuf::from(archive.ordered.place.as_str());
        let stores = (self.bed.store(), &may);
        archive::drop_bodies(stores, self.bed.workspace, archive, &place, &|_, _| {}).await
    }

    /// Everything from the export to the last word in the log.
    pub(super) async fn archived(&self, name: &str) -> Archive {
        self.export(Until::Through(TO - 1), name).await.unwrap();
        let ordered = self.order(name).await.unwrap();
        assert_eq!(ordered.state(), ArchiveState::Ordered);
        self.drop_bodies(&ordered).await.unwrap();
        let (ledger, workspace) = (&self.bed.ledger, self.bed.workspace);
        archive::complete(ledger, workspace, &ordered, &ada()).await.unwrap()
    }

    pub(super) async fn kept(&self) -> Vec<StoredEvent> {
        let (store, workspace) = (self.bed.store(), self.bed.workspace);
        store.log_as_kept(workspace, 0, u64::MAX >> 1, 10_000).await.unwrap()
    }

    pub(super) async fn read(&self) -> Result<Vec<StoredEvent>, StoreError> {
        read(self.bed.store(), &self.bed).await
    }

    pub(super) async fn audit(&self) -> Audit {
        audit_of(self.bed.store(), &self.bed).await
    }
}

pub(super) async fn read(store: &Store, bed: &Bed) -> Result<Vec<StoredEvent>, StoreError> {
    store.log(bed.workspace, 0, u64::MAX >> 1, 10_000).await
}

pub(super) async fn audit_of(store: &Store, bed: &Bed) -> Audit {
    audit::audit(store, bed.workspace, &|_, _| {}).await.unwrap().unwrap()
}

/// The same database, to one who has not read any archive yet.
pub(super) fn afresh(bed: &Bed, below: Vec<PathBuf>) -> Store {
    bed.store().clone().with_archives(Archives::below(below))
}

pub(super) fn ada() -> Actor {
    Actor { id: name("ada"), kind: name("user") }
}

pub(super) fn why() -> Note {
    Note::new("kept for a year").unwrap()
}
