//! A ledger to test, on one of the databases.

use runledger_ledger::catalog::Catalog;
use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::ledger::{Ledger, SubmitError};
use runledger_ledger::store::{Store, StoreUrl};
use runledger_ledger::submission::{Answer, Receipt, Submission};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, RunId, WorkspaceId};

/// Makes a test on each database of each of these functions, which take a fresh [`Bed`].
macro_rules! on_every_store {
    ($($check:ident),+ $(,)?) => {
        mod on_sqlite_in_memory {
            use $crate::bed::{Bed, On};
            $(#[tokio::test]
            async fn $check() {
                super::$check(Bed::new(On::Memory).await).await;
            })+
        }
        mod on_a_sqlite_file {
            use $crate::bed::{Bed, On};
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                super::$check(Bed::new(On::File).await).await;
            })+
        }
        mod on_postgresql {
            use $crate::bed::{Bed, On};
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                super::$check(Bed::new(On::Postgres).await).await;
            })+
        }
    };
}
pub(crate) use on_every_store;

/// Where a test runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Memory,
    File,
    Postgres,
}

/// The time at which every test begins: later than what its reports claim.
pub(crate) const NOON: Moment = Moment::from_micros(1_767_268_800_000_000);

/// A ledger with one workspace, whose log holds two events: its creation and its catalog.
#[derive(Debug)]
pub(crate) struct Bed {
    pub(crate) clock: Clock,
    pub(crate) ledger: Ledger,
    pub(crate) url: StoreUrl,
    pub(crate) workspace: WorkspaceId,
    _directory: Option<tempfile::TempDir>,
}

/// How many events a log holds that nothing has been reported to.
pub(crate) const FIRST: u64 = 2;

impl Bed {
    pub(crate) async fn new(on: On) -> Self {
        let directory = (on == On::File).then(|| tempfile::tempdir().unwrap());
        let url = match on {
            On::Memory => StoreUrl::SqliteMemory,
            On::File => StoreUrl::SqliteFile(directory.as_ref().unwrap().path().join("log.db")),
            On::Postgres => StoreUrl::Postgres(runledger_tests::ledger_database().await),
        };
        let clock = Clock::manual(NOON);
        let store = Store::open(&url).await.unwrap();
        let ledger = Ledger::new(store, clock.clone(), Entropy::system());
        let workspace = create_workspace(&ledger, "main").await;
        Bed { clock, ledger, url, workspace, _directory: directory }
    }

    /// Another ledger over the same database, as another server would have it. In memory there is
    /// no other one.
    pub(crate) async fn another(&self) -> Option<Ledger> {
        if self.url == StoreUrl::SqliteMemory {
            return None;
        }
        let store = Store::open(&self.url).await.unwrap();
        Some(Ledger::new(store, self.clock.clone(), Entropy::system()))
    }

    pub(crate) fn store(&self) -> &Store {
        self.ledger.store()
    }

    /// One request, each of whose reports stands for itself.
    pub(crate) async fn submit(&self, submissions: Vec<Submission>) -> Vec<Answer> {
        submit(&self.ledger, self.workspace, submissions).await
    }

    /// One request of one report.
    pub(crate) async fn tell(&self, submission: Submission) -> Answer {
        tell(&self.ledger, self.workspace, submission).await
    }

    /// One report that must be recorded.
    pub(crate) async fn record(&self, submission: Submission) -> Receipt {
        receipt(self.tell(submission).await)
    }

    /// One request, all or nothing.
    pub(crate) async fn atomic(&self, submissions: Vec<Submission>) -> Vec<Answer> {
        self.ledger.submit(self.workspace, submissions, true).await.unwrap()
    }

    /// How many events the log holds.
    pub(crate) async fn size(&self) -> u64 {
        self.store().head(self.workspace).await.unwrap().unwrap().size()
    }

    pub(crate) fn new_run(&self) -> RunId {
        self.ledger.new_run_id().unwrap()
    }
}

pub(crate) async fn create_workspace(ledger: &Ledger, name: &str) -> WorkspaceId {
    let name = Name::new(name).unwrap();
    ledger.create_workspace(&name, &Catalog::built_in()).await.unwrap()
}

pub(crate) async fn submit(
    ledger: &Ledger,
    workspace: WorkspaceId,
    submissions: Vec<Submission>,
) -> Vec<Answer> {
    ledger.submit(workspace, submissions, false).await.unwrap()
}

pub(crate) async fn tell(
    ledger: &Ledger,
    workspace: WorkspaceId,
    submission: Submission,
) -> Answer {
    try_tell(ledger, workspace, submission).await.unwrap()
}

pub(crate) async fn try_tell(
    ledger: &Ledger,
    workspace: WorkspaceId,
    submission: Submission,
) -> Result<Answer, SubmitError> {
    let mut answers = ledger.submit(workspace, vec![submission], false).await?;
    assert_eq!(answers.len(), 1);
    Ok(answers.remove(0))
}

/// The proof in an answer that must be `Recorded`.
#[track_caller]
pub(crate) fn receipt(answer: Answer) -> Receipt {
    match answer {
        Answer::Recorded(receipt) => receipt,
        other => panic!("not recorded: {other:?}"),
    }
}

/// Answers in one word each: a position, or the name or the code of what else was said.
pub(crate) fn words(answers: &[Answer]) -> Vec<String> {
    let word = |answer: &Answer| match answer {
        Answer::Recorded(receipt) => receipt.position.to_string(),
        Answer::Duplicate { position: Some(position), .. } => format!("duplicate of {position}"),
        Answer::Duplicate { position: None, .. } => "duplicate".to_owned(),
        Answer::Coalesced { .. } => "coalesced".to_owned(),
        Answer::NoChange => "no_change".to_owned(),
        Answer::Existing(_) => "existing".to_owned(),
        Answer::AlreadyProven(_) => "already_proven".to_owned(),
        Answer::Conflict { position } => format!("conflict with {position}"),
        Answer::Refused(refusal) => refusal.code().to_owned(),
    };
    answers.iter().map(word).collect()
}
