//! An adapter over a domain that a test writes: a book of what became of which run.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use runledger_adapters::adapter::{
    Adapter, Case, Decision, Kind, Manifest, Observation, SourceClass, SourceError, Wake,
    wake_on_problems,
};
use runledger_adapters::built_in;
use runledger_adapters::conformance::{Set, Specimens, case};
use runledger_adapters::registry::{Registry, RegistryBuilder, RegistryErrors};
use runledger_ledger::catalog::Catalog;
use runledger_ledger::run::{AdapterDecision, Run, RunEvent};
use runledger_ledger::subject::SubjectState;
use runledger_ledger::time::Moment;
use runledger_ledger::words::{RunId, WordError};
use tokio::sync::watch;

/// What the ledger knows the adapter by.
pub const ADAPTER: &str = "book";
/// The operation type that it handles.
pub const OPERATION: &str = "inventory.sync";

/// The book. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Book {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: Mutex<HashMap<RunId, Entry>>,
    /// Work by environment and fingerprint, whichever run did it.
    works: Mutex<HashMap<(String, String), String>>,
    fault: Mutex<Option<SourceClass>>,
    /// How many pages are still answered before the book hangs; none if it never does.
    patience: Mutex<Option<usize>>,
    hanging: watch::Sender<bool>,
    gathered: AtomicUsize,
    decided: AtomicUsize,
}

/// What became of a run.
#[derive(Clone, Debug, Default)]
struct Entry {
    done: Option<String>,
    healthy_at: Option<Moment>,
}

impl Book {
    /// Its adapter beside the built-in ones.
    ///
    /// # Errors
    /// Never, as long as nobody else handles its operation type.
    pub fn registry(&self) -> Result<Registry, RegistryErrors> {
        self.register(built_in(None)).build(&Catalog::built_in())
    }

    /// Adds its adapter.
    pub fn register(&self, registry: RegistryBuilder) -> RegistryBuilder {
        registry.with(BookAdapter::new(self.clone()))
    }

    /// The work of this run is there, under this id.
    pub fn done(&self, run: RunId, id: &str) {
        self.entries().entry(run).or_default().done = Some(id.to_owned());
    }

    /// The work of this fingerprint is there, under this id.
    pub fn has(&self, environment: &str, fingerprint: &str, id: &str) {
        let key = (environment.to_owned(), fingerprint.to_owned());
        lock(&self.inner.works).insert(key, id.to_owned());
    }

    fn work(&self, case: &Case) -> Option<String> {
        let fingerprint = case.run.fingerprint.as_ref()?.to_string();
        lock(&self.inner.works).get(&(case.environment().to_owned(), fingerprint)).cloned()
    }

    /// The subject of this run was seen healthy.
    pub fn healthy(&self, run: RunId, at: Moment) {
        self.entries().entry(run).or_default().healthy_at = Some(at);
    }

    /// From now on it gives no answer, or it does again.
    pub fn break_as(&self, fault: Option<SourceClass>) {
        *lock(&self.inner.fault) = fault;
    }

    /// It answers for so many pages more, and then hangs; or never.
    pub fn hang_after(&self, pages: Option<usize>) {
        *lock(&self.inner.patience) = pages;
        self.inner.hanging.send_replace(false);
    }

    /// Done when somebody waits for it in vain.
    pub async fn hangs(&self) {
        // The sender lives as long as the book.
        let _ = self.inner.hanging.subscribe().wait_for(|hangs| *hangs).await;
    }

    /// How often it was asked about a page.
    pub fn gathered(&self) -> usize {
        self.inner.gathered.load(Ordering::SeqCst)
    }

    /// How many runs were decided.
    pub fn decided(&self) -> usize {
        self.inner.decided.load(Ordering::SeqCst)
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<RunId, Entry>> {
        lock(&self.inner.entries)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct BookAdapter {
    book: Book,
    manifest: Manifest,
}

impl BookAdapter {
    fn new(book: Book) -> Self {
        let manifest = Manifest::new(ADAPTER, 1)
            .operation(OPERATION)
            .reads("a book")
            .related("sync")
            .evidence("sync_id", Kind::Id);
        BookAdapter { book, manifest }
    }
}

#[async_trait]
impl Adapter for BookAdapter {
    type Evidence = (Option<String>, Option<Moment>);

    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn handle(&self, event: &RunEvent, run: &Run) -> Wake {
        wake_on_problems(event, run)
    }

    async fn gather(&self, cases: &[Case]) -> Result<Vec<Self::Evidence>, SourceError> {
        self.book.inner.gathered.fetch_add(1, Ordering::SeqCst);
        let hangs = match &mut *lock(&self.book.inner.patience) {
            Some(0) => true,
            Some(pages) => {
                *pages -= 1;
                false
            }
            None => false,
        };
        if hangs {
            self.book.inner.hanging.send_replace(true);
            let mut hanging = self.book.inner.hanging.subscribe();
            let _ = hanging.wait_for(|hangs| !*hangs).await;
        }
        if let Some(class) = *lock(&self.book.inner.fault) {
            return Err(SourceError::new(class, "the book is closed"));
        }
        let entries = self.book.entries();
        let found = |case: &Case| entries.get(&case.run_id).cloned().unwrap_or_default();
        let of = |case: &Case| {
            let Entry { done, healthy_at } = found(case);
            (done.or_else(|| self.book.work(case)), healthy_at)
        };
        Ok(cases.iter().map(of).collect())
    }

    fn decide(&self, case: &Case, (done, healthy_at): &Self::Evidence) -> Decision {
        self.book.inner.decided.fetch_add(1, Ordering::SeqCst);
        let decision = match done {
            Some(id) => Decision::new(AdapterDecision::Succeeded, "sync_done")
                .related("sync", id)
                .evidence("sync_id", id.as_str()),
            None => Decision::open(case, "no_sync_found"),
        };
        match healthy_at {
            Some(verified_at) => decision.observation(Observation {
                evidence: Default::default(),
                state: SubjectState::Healthy,
                verified_at: *verified_at,
            }),
            None => decision,
        }
    }
}

impl Specimens for BookAdapter {
    fn specimens(&self) -> Result<Set<Self::Evidence>, WordError> {
        let case = case(OPERATION)?;
        Ok(Set::new().proof("done", &case, (Some("1".to_owned()), None)).missing(
            "nothing",
            &case,
            (None, None),
        ))
    }
}
