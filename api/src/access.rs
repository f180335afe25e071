//! Who asks, and how far they see: what every handler is told of its caller (specs/0018).

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use runledger_ledger::access::PrincipalKind;
use runledger_ledger::event::Actor;
use runledger_ledger::store::{Grant, SecretHash, Store, StoreError, TokenHolder};
use runledger_ledger::submission::Submission;
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::{Name, RunId, WordError, WorkspaceId};
use runledger_projections::{AsOf, Sight};
use uuid::Uuid;

use crate::app::App;
use crate::ingest::Caller;
use crate::policy::{self, Action, Place, Verdict};
use crate::problem::{ApiError, ApiResult, unknown_workspace};
use crate::shares::Share;
use crate::token::Secret;

/// Most tokens that one server remembers between two requests.
const REMEMBERED: usize = 10_000;
/// How often it is noted when tokens were last used.
const NOTED: Span = Span::from_secs(60);

/// Somebody or something that asks.
#[derive(Clone, Debug)]
pub struct Principal {
    actor: Actor,
    kind: Option<PrincipalKind>,
    /// Its id; none of the administrator of the server.
    id: Option<Uuid>,
    /// The roles; none is all of them, everywhere.
    grants: Option<Vec<Granted>>,
}

#[derive(Clone, Debug)]
struct Granted {
    grant: Grant,
    environments: Option<Arc<BTreeSet<Name>>>,
}

impl Principal {
    /// Whoever has the administrator's token: the owner of everything.
    pub const fn administrator(actor: Actor) -> Self {
        Principal { actor, kind: None, id: None, grants: None }
    }

    /// Somebody with these roles and no other.
    pub fn with(
        principal: &runledger_ledger::store::Principal,
        grants: Vec<Grant>,
    ) -> Result<Self, runledger_ledger::words::WordError> {
        let kind = match principal.kind {
            PrincipalKind::Service => "token",
            kind => kind.as_str(),
        };
        let actor = Actor { id: principal.name.clone(), kind: Name::new(kind)? };
        let granted = |grant: Grant| Granted {
            environments: grant.environments.clone().map(Arc::new),
            grant,
        };
        let grants = Some(grants.into_iter().map(granted).collect());
        Ok(Principal { actor, kind: Some(principal.kind), id: Some(principal.id), grants })
    }

    /// Who it is in the log.
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Its id; none of the administrator of the server.
    pub const fn id(&self) -> Option<Uuid> {
        self.id
    }

    /// Whether it owns everything on this server.
    pub const fn is_administrator(&self) -> bool {
        self.grants.is_none()
    }

    /// Its role in the workspace of this name.
    pub fn grant(&self, workspace: &str) -> Option<&Grant> {
        self.granted(workspace).map(|granted| &granted.grant)
    }

    /// The environments that its role there is narrowed to.
    pub(crate) fn environments(&self, workspace: &str) -> Option<Arc<BTreeSet<Name>>> {
        self.granted(workspace).and_then(|granted| granted.environments.clone())
    }

    fn granted(&self, workspace: &str) -> Option<&Granted> {
        let all = self.grants.as_deref().unwrap_or_default();
        all.iter().find(|granted| granted.grant.workspace_name == workspace)
    }

    /// Of all workspaces those that it may know of.
    pub fn among(&self, all: Vec<(WorkspaceId, String)>) -> Vec<(WorkspaceId, String)> {
        match &self.grants {
            None => all,
            Some(_) => all.into_iter().filter(|(_, name)| self.grant(name).is_some()).collect(),
        }
    }

    /// The workspaces that it has a role in, by name.
    pub(crate) fn workspaces(&self) -> impl Iterator<Item = &str> {
        let all = self.grants.as_deref().unwrap_or_default();
        all.iter().map(|granted| granted.grant.workspace_name.as_str())
    }
}

/// A request that was allowed: by whom it is, and how far they see.
#[derive(Clone, Debug)]
pub struct Access {
    principal: Arc<Principal>,
    workspace: Option<Arc<str>>,
    sight: Sight,
}

impl Access {
    /// Decides on a request.
    ///
    /// # Errors
    /// 404 if whoever asks may not know of the workspace, as if there was none; 403 if they may, and
    /// their role is not enough.
    pub fn decide(
        principal: Arc<Principal>,
        action: Action,
        workspace: Option<&str>,
    ) -> ApiResult<Self> {
        match policy::judge(&principal, action, Place::of(workspace)) {
            Verdict::Allowed(sight) => {
                Ok(Access { principal, workspace: workspace.map(Arc::from), sight })
            }
            Verdict::Forbidden => Err(forbidden()),
            Verdict::Unknown => Err(unknown_workspace()),
        }
    }

    /// Who asks.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Who asks, as the log names them.
    pub fn actor(&self) -> &Actor {
        self.principal.actor()
    }

    /// The same, as the ways in take it.
    pub fn caller(&self) -> Caller<'_> {
        let vouches = self.principal.is_administrator();
        Caller { actor: Some(self.actor()), source: None, vouches }
    }

    /// Their role here; none of the administrator of the server.
    pub fn grant(&self) -> Option<&Grant> {
        self.principal.grant(self.workspace.as_deref()?)
    }

    /// How far they see.
    pub const fn sight(&self) -> &Sight {
        &self.sight
    }

    /// What the workspace may take of what all share; none where no workspace is asked for.
    pub(crate) fn share(&self, app: &App) -> Option<Arc<Share>> {
        self.workspace.as_ref().map(|workspace| app.shares().of(workspace))
    }

    /// The environments that they may report in; none is the whole workspace.
    pub fn within(&self) -> Option<Arc<BTreeSet<Name>>> {
        self.sight.environments.clone()
    }

    /// A report as it counts of them. Who is held to environments has sources of their own: what
    /// others have reported under the same id is neither theirs to see nor theirs to take.
    ///
    /// # Errors
    /// If the name of the source is too long to be told from those of others.
    pub fn held(&self, submission: Submission) -> Result<Submission, WordError> {
        let Some(within) = self.within() else { return Ok(submission) };
        let own = &self.actor().id;
        let source = match &submission.source {
            None => own.clone(),
            Some(source) => Name::new(format!("{own}/{source}"))?,
        };
        Ok(Submission { source: Some(source), within: Some(within), ..submission })
    }

    /// Whether they may do something else in the same workspace.
    pub fn may(&self, action: Action) -> bool {
        let place = Place::of(self.workspace.as_deref());
        matches!(policy::judge(&self.principal, action, place), Verdict::Allowed(_))
    }

    /// What they see of a workspace, of what is derived; none if nothing.
    pub fn sight_of(&self, workspace: &str) -> Option<Sight> {
        match policy::judge(&self.principal, Action::ReadVerdicts, Place::of(Some(workspace))) {
            Verdict::Allowed(sight) => Some(sight),
            _ => None,
        }
    }

    /// Whether they see this environment; none is the workspace itself.
    pub fn sees(&self, environment: Option<&Name>) -> bool {
        self.sight.sees(environment)
    }

    /// Whether they see a run, as far as the read models know it.
    pub async fn sees_run(&self, app: &App, workspace: WorkspaceId, run: RunId) -> ApiResult<bool> {
        if !self.sight.is_narrowed() {
            return Ok(true);
        }
        let view = app.projections().view(workspace, AsOf::Now).await?;
        Ok(view.seen_with(self.sight.clone()).run(run).await?.is_some())
    }

    /// Whether they may judge runs as this adapter: one adapter is not another.
    pub fn is_adapter(&self, name: &str) -> bool {
        self.principal.kind != Some(PrincipalKind::Adapter)
            || self.principal.actor.id.as_str() == name
    }
}

impl FromRequestParts<App> for Access {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, ApiError> {
        of(parts)
    }
}

/// What was decided of a request. Without a decision nothing is answered.
pub(crate) fn of(parts: &Parts) -> ApiResult<Access> {
    let access = parts.extensions.get::<Access>().cloned();
    access.ok_or_else(|| ApiError::internal("a route that nobody decided on"))
}

fn forbidden() -> ApiError {
    let detail = "your role is not enough for this; ask an administrator of the workspace";
    ApiError::new(StatusCode::FORBIDDEN, "forbidden", detail)
}

/// Who holds which token.
///
/// One statement finds a token's holder with its roles. Over SQLite there is one server, so what it
/// has found stays true until it changes something itself; over PostgreSQL each request asks, and a
/// revocation by another server counts from the next request on.
#[derive(Debug)]
pub struct Directory {
    store: Store,
    alone: bool,
    known: Mutex<HashMap<SecretHash, Known>>,
    asking: Mutex<HashMap<SecretHash, Arc<Asking>>>,
    changes: AtomicU64,
    used: Mutex<Used>,
}

#[derive(Clone, Debug)]
struct Known {
    principal: Arc<Principal>,
    token: Uuid,
    expires_at: Option<Moment>,
}

/// Those who ask of one token at the moment.
#[derive(Debug, Default)]
struct Asking {
    came: AtomicU64,
    looked: tokio::sync::Mutex<Looked>,
}

/// One of them. The last to go puts it away, also when a request is given up.
struct Leaving<'a> {
    all: &'a Mutex<HashMap<SecretHash, Arc<Asking>>>,
    hash: SecretHash,
    asking: Arc<Asking>,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let mut all = lock(self.all);
        // Two hold it then: this one, and the list.
        if Arc::strong_count(&self.asking) <= 2 {
            all.remove(&self.hash);
        }
    }
}

/// What was found last, for those who had come until then.
#[derive(Debug, Default)]
struct Looked {
    until: u64,
    found: Option<Known>,
}

#[derive(Debug, Default)]
struct Used {
    tokens: HashMap<Uuid, Moment>,
    noted_at: Option<Moment>,
}

impl Directory {
    /// Of the principals in `store`.
    pub fn new(store: Store) -> Self {
        let alone = store.sqlite().is_some();
        let (known, asking, used) = (Mutex::default(), Mutex::default(), Mutex::default());
        Directory { store, alone, known, asking, changes: AtomicU64::new(0), used }
    }

    /// Who holds `token`, if it is taken now. What cannot be a token asks no database.
    pub async fn holder(&self, token: &str, now: Moment) -> ApiResult<Option<Arc<Principal>>> {
        let Some(secret) = Secret::read(token) else { return Ok(None) };
        let hash = secret.hash();
        let known = lock(&self.known).get(&hash).cloned();
        let known = match known {
            Some(known) => Some(known),
            None => self.find_together(hash, now).await?,
        };
        let taken = |known: &Known| known.expires_at.is_none_or(|ends| now < ends);
        let Some(known) = known.filter(taken) else { return Ok(None) };
        self.note(known.token, now);
        Ok(Some(known.principal))
    }

    /// The same for all who ask of one token at a time: one of them looks for those who came before
    /// it began. Whoever comes later is not told what was true before they came, and however many
    /// requests a token sends, it has one connection at most.
    async fn find_together(&self, hash: SecretHash, now: Moment) -> ApiResult<Option<Known>> {
        let asking = Arc::clone(lock(&self.asking).entry(hash).or_default());
        let asking = Leaving { all: &self.asking, hash, asking };
        let came = asking.asking.came.fetch_add(1, Ordering::SeqCst) + 1;
        let mut looked = asking.asking.looked.lock().await;
        if looked.until < came {
            let until = asking.asking.came.load(Ordering::SeqCst);
            let found = self.find(hash, now).await?;
            *looked = Looked { until, found };
        }
        Ok(looked.found.clone())
    }

    async fn find(&self, hash: SecretHash, now: Moment) -> ApiResult<Option<Known>> {
        let changes = self.changes.load(Ordering::SeqCst);
        let Some(holder) = self.store.token_holder(&hash, now).await? else { return Ok(None) };
        let TokenHolder { token, expires_at, principal, grants } = holder;
        let principal = Principal::with(&principal, grants).map_err(ApiError::internal)?;
        let known = Known { principal: Arc::new(principal), token, expires_at };
        if self.alone {
            let mut all = lock(&self.known);
            // What was found before a change is not remembered after it.
            if self.changes.load(Ordering::SeqCst) == changes {
                if all.len() >= REMEMBERED {
                    all.clear();
                }
                all.insert(hash, known.clone());
            }
        }
        Ok(Some(known))
    }

    /// Forgets what was found: something has changed.
    pub fn changed(&self) {
        let mut known = lock(&self.known);
        self.changes.fetch_add(1, Ordering::SeqCst);
        known.clear();
    }

    /// Notes that a token was used; written once a minute, and not while somebody waits.
    fn note(&self, token: Uuid, now: Moment) {
        let mut used = lock(&self.used);
        used.tokens.insert(token, now);
        if used.noted_at.is_some_and(|at| now >= at && now.since(at) < NOTED) {
            return;
        }
        used.noted_at = Some(now);
        let tokens: Vec<(Uuid, Moment)> = used.tokens.drain().collect();
        drop(used);
        let store = self.store.clone();
        tokio::spawn(async move {
            if let Err(error) = store.note_tokens_used(&tokens).await {
                tracing::debug!(%error, "it could not be noted when tokens were used");
            }
        });
    }

    /// The same person or program as it is now, from the database.
    pub(crate) async fn principal(
        &self,
        principal: &runledger_ledger::store::Principal,
    ) -> ApiResult<Arc<Principal>> {
        let grants = self.store.grants(principal.id).await?;
        Ok(Arc::new(Principal::with(principal, grants).map_err(ApiError::internal)?))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether an error says that a name or an id is taken.
pub(crate) fn is_taken(error: &StoreError) -> bool {
    matches!(error, StoreError::Conflict(_))
}
