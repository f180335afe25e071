//! What every request can reach: the ledger, and what the service keeps beside it.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use runledger_ledger::catalog::Catalog;
use runledger_ledger::clock::{Entropy, NoEntropy};
use runledger_ledger::event::Actor;
use runledger_ledger::ledger::{Ledger, SubmitError};
use runledger_ledger::store::trust::Danger;
use runledger_ledger::submission::Submission;
use runledger_ledger::words::{Name, WordError, WorkspaceId};
use runledger_projections::Projections;
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

use crate::access::{Directory, Principal};
use crate::administrator;
use crate::answer::{ItemResult, Summary};
use crate::cosigners::Cosigners;
use crate::erasing::Erasing;
use crate::exports::Exports;
use crate::limits::{LimitSettings, Limits};
use crate::metrics::Metrics;
use crate::oidc::Provider;
use crate::people::{Passwords, Throttle};
use crate::reconciler::Reconciler;
use crate::routes::system::LastLook;
use crate::scanners::Scanners;
use crate::shares::Shares;
use crate::simulations::Simulations;
use crate::token::{self, TokenError, TokenHash};
use crate::web::Sessions;
use crate::workspaces::{WorkspaceName, Workspaces};

/// Bytes of request bodies that are worked on at a time; more is an overload. With it the memory
/// under load has an end, whatever the number of connections.
const BODY_BYTES: usize = 32 * 1024 * 1024;

/// The service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    projections: Projections,
    reconciler: Reconciler,
    administrator: RwLock<TokenHash>,
    /// Where that token is, if it is in a file.
    token_file: OnceLock<PathBuf>,
    owner: Arc<Principal>,
    directory: Directory,
    entropy: Entropy,
    default_workspace: WorkspaceName,
    workspaces: Workspaces,
    metrics: Metrics,
    body_room: Arc<Semaphore>,
    shares: Shares,
    readiness: LastLook,
    /// What may be wrong with the database; none where nobody looks.
    waived: Option<Vec<Danger>>,
    sessions: Sessions,
    passwords: Passwords,
    throttle: Throttle,
    cosigners: OnceLock<Cosigners>,
    exports: OnceLock<Exports>,
    erasing: Erasing,
    simulations: Simulations,
    catalog: OnceLock<Arc<Catalog>>,
    limits: OnceLock<Limits>,
    scanners: OnceLock<Scanners>,
    provider: OnceLock<Provider>,
    closing: watch::Sender<bool>,
}

impl App {
    /// A service over `projections` and their ledger, with the `reconciler` of both, that takes
    /// orders from whoever has the administrator's token.
    pub fn new(
        projections: Projections,
        reconciler: Reconciler,
        administrator: TokenHash,
        default_workspace: WorkspaceName,
    ) -> Result<Self, WordError> {
        let actor = Actor { id: Name::new(administrator::NAME)?, kind: Name::new("token")? };
        let store = projections.ledger().store().clone();
        let inner = Inner {
            directory: Directory::new(store.clone()),
            entropy: Entropy::system(),
            projections,
            reconciler,
            administrator: RwLock::new(administrator),
            token_file: OnceLock::new(),
            owner: Arc::new(Principal::administrator(actor)),
            default_workspace,
            workspaces: Workspaces::default(),
            metrics: Metrics::default(),
            body_room: Arc::new(Semaphore::new(BODY_BYTES)),
            shares: Shares::default(),
            readiness: LastLook::default(),
            waived: None,
            sessions: Sessions::new(store, Entropy::system()),
            passwords: Passwords::default(),
            throttle: Throttle::default(),
            cosigners: OnceLock::new(),
            exports: OnceLock::new(),
            erasing: Erasing::default(),
            simulations: Simulations::default(),
            catalog: OnceLock::new(),
            limits: OnceLock::new(),
            scanners: OnceLock::new(),
            provider: OnceLock::new(),
            closing: watch::Sender::new(false),
        };
        Ok(App { inner: Arc::new(inner) })
    }

    /// The same, which is not ready while the database is not safe for a ledger, but for what is
    /// waived. Only for one that nobody has a copy of yet.
    #[must_use]
    pub fn looking_at_the_database(self, waived: Vec<Danger>) -> Self {
        match Arc::try_unwrap(self.inner) {
            Ok(inner) => App { inner: Arc::new(Inner { waived: Some(waived), ..inner }) },
            Err(inner) => App { inner },
        }
    }

    /// The one write seam.
    pub fn ledger(&self) -> &Ledger {
        self.inner.projections.ledger()
    }

    /// The read models.
    pub fn projections(&self) -> &Projections {
        &self.inner.projections
    }

    /// Who asks the adapters.
    pub fn reconciler(&self) -> &Reconciler {
        &self.inner.reconciler
    }

    /// What the administrator's token is known by.
    pub fn administrator(&self) -> TokenHash {
        *self.inner.administrator.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says in which file the administrator's token is.
    pub fn set_token_file(&self, path: PathBuf) {
        let _ = self.inner.token_file.set(path);
    }

    /// Takes the administrator's token out of use, from the next request on. A new one is put into
    /// its file; where that cannot be, none is taken until the next start.
    ///
    /// # Errors
    /// If there is no file, or it cannot be written: the old token is not taken all the same.
    pub fn replace_administrator(&self) -> Result<(), TokenError> {
        let put = |hash| {
            *self.inner.administrator.write().unwrap_or_else(PoisonError::into_inner) = hash;
        };
        put(TokenHash::of_none());
        if let Some(path) = self.inner.token_file.get() {
            put(token::replace(path, self.entropy())?);
        }
        Ok(())
    }

    /// Who the administrator's token stands for: the owner of everything.
    pub fn owner(&self) -> &Arc<Principal> {
        &self.inner.owner
    }

    /// Who holds which token.
    pub fn directory(&self) -> &Directory {
        &self.inner.directory
    }

    /// The workspace that a request without one means.
    pub fn default_workspace(&self) -> &WorkspaceName {
        &self.inner.default_workspace
    }

    /// Which workspace each name means.
    pub fn workspaces(&self) -> &Workspaces {
        &self.inner.workspaces
    }

    /// What the server counts of itself.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Hands one submission to the ledger and waits until it is answered.
    pub async fn submit_one(
        &self,
        workspace: WorkspaceId,
        submission: Submission,
    ) -> Result<ItemResult, SubmitError> {
        let run = submission.command.run_id().map(|run| run.0);
        let answers = self.ledger().submit(workspace, vec![submission], false).await?;
        // There are as many answers as submissions; without one the lane has gone.
        let answer = answers.into_iter().next().ok_or(SubmitError::Closing)?;
        let result = ItemResult::answered(0, run, answer);
        self.metrics().events(result.status.as_str(), 1);
        Ok(result)
    }

    /// Counts what became of events.
    pub fn count(&self, summary: &Summary) {
        for (status, count) in summary.counts() {
            self.metrics().events(status, count);
        }
    }

    /// The witnesses of the deployment, if it has any.
    pub fn cosigners(&self) -> Option<&Cosigners> {
        self.inner.cosigners.get()
    }

    /// Names the witnesses, before the first request.
    pub fn set_cosigners(&self, cosigners: Cosigners) {
        // There is one set of them as long as the process lives.
        let _ = self.inner.cosigners.set(cosigners);
    }

    /// The audit packs that are made here, if any are.
    pub fn exports(&self) -> Option<&Exports> {
        self.inner.exports.get()
    }

    /// Says where audit packs are made, before the first request.
    pub fn set_exports(&self, exports: Exports) {
        // There is one place for them as long as the process lives.
        let _ = self.inner.exports.set(exports);
    }

    /// The erasures that are carried out here.
    pub fn erasing(&self) -> &Erasing {
        &self.inner.erasing
    }

    /// The simulations of other catalogs that are made here.
    pub fn simulations(&self) -> &Simulations {
        &self.inner.simulations
    }

    /// Says once which catalog new workspaces begin with, if it is not the built-in one.
    pub fn set_catalog(&self, catalog: Arc<Catalog>) {
        // A server has one as long as it runs.
        let _ = self.inner.catalog.set(catalog);
    }

    /// The catalog that new workspaces begin with.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.inner.catalog.get().cloned().unwrap_or_else(Catalog::built_in)
    }

    /// How much may be asked for, if anybody has said so.
    pub fn limits(&self) -> Option<&Limits> {
        self.inner.limits.get()
    }

    /// Says once how much may be asked for, before the first request.
    pub fn set_limits(&self, limits: LimitSettings) {
        // They stay what they are as long as the process lives.
        let _ = self.inner.limits.set(Limits::new(limits, self.metrics()));
    }

    /// Who may report tokens that were found, if anybody may.
    pub fn scanners(&self) -> Option<&Scanners> {
        self.inner.scanners.get()
    }

    /// Names once who may report tokens that were found, before the first request.
    pub fn set_scanners(&self, scanners: Scanners) {
        // They stay the same as long as the process lives.
        let _ = self.inner.scanners.set(scanners);
    }

    /// The provider of identities that people sign in with, if there is one.
    pub fn provider(&self) -> Option<&Provider> {
        self.inner.provider.get()
    }

    /// Names the provider once, before the first request.
    pub fn set_provider(&self, provider: Provider) {
        // It stays the same as long as the process lives.
        let _ = self.inner.provider.set(provider);
    }

    /// The sessions of browsers.
    pub fn sessions(&self) -> &Sessions {
        &self.inner.sessions
    }

    /// Makes and checks the hashes of passwords.
    pub(crate) fn passwords(&self) -> &Passwords {
        &self.inner.passwords
    }

    /// How often somebody may guess.
    pub(crate) fn throttle(&self) -> &Throttle {
        &self.inner.throttle
    }

    /// True once the server has been told to end: what goes on for ever ends then.
    pub(crate) fn closing(&self) -> &watch::Sender<bool> {
        &self.inner.closing
    }

    /// Room for request bodies, in bytes.
    pub(crate) fn body_room(&self) -> &Arc<Semaphore> {
        &self.inner.body_room
    }

    /// What each workspace may take of what all of them share.
    pub(crate) fn shares(&self) -> &Shares {
        &self.inner.shares
    }

    /// What was last found of the database's readiness.
    pub(crate) fn readiness(&self) -> &LastLook {
        &self.inner.readiness
    }

    /// What may be wrong with the database; none where nobody looks.
    pub(crate) fn waived(&self) -> Option<&[Danger]> {
        self.inner.waived.as_deref()
    }

    /// Where the service's own random bytes come from.
    pub(crate) fn entropy(&self) -> &Entropy {
        &self.inner.entropy
    }

    /// An opaque id under which the log tells of a failure.
    pub(crate) fn failure_id(&self) -> Result<Uuid, NoEntropy> {
        self.ledger().process_id()
    }
}
