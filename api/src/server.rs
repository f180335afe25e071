//! One server: how it is put together, how it runs, how it ends.
//!
//! It ends in the order that loses nothing: no new requests, the ones in flight answered, the
//! background tasks stopped, the database closed.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use runledger_ledger::archive::Archives;
use runledger_ledger::catalog::Catalog;
use runledger_ledger::checkpoints::Anchors;
use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::event::Actor;
use runledger_ledger::ledger::{CreateError, Ledger};
use runledger_ledger::store::trust::{Fault, Trust};
use runledger_ledger::store::{Store, StoreError, StoreUrl};
use runledger_ledger::tree;
use runledger_ledger::words::{Name, Note};
use runledger_projections::Projections;
use runledger_proof::policy::Policy;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::adapters::{Adapters, SourceFault};
use crate::administrator;
use crate::app::App;
use crate::cosigners::{Cosigners, Cosigning};
use crate::exports::Exports;
use crate::listener::{self, Limits};
use crate::listening;
use crate::oidc::Provider;
use crate::reconciler::Reconciler;
use crate::recorded;
use crate::router::router;
use crate::scanners::Scanners;
use crate::settings::Settings;
use crate::signer::Signing;
use crate::signing_key::KeySource;
use crate::token;
use crate::workspaces::WorkspaceName;

/// Why the workspace of the settings is made, as its log says it.
const FIRST: &str = "the first start of the server";

/// How long requests in flight may take once the server has been told to end.
pub const GRACE: Duration = Duration::from_secs(20);

/// How long background tasks may take to end after that, and then the database to be closed.
pub const TASKS_GRACE: Duration = Duration::from_secs(10);

/// A server that is ready to run: its database is open, its address is taken.
#[derive(Debug)]
pub struct Server {
    app: App,
    listener: TcpListener,
    address: SocketAddr,
    limits: Limits,
    signing: Signing,
    cosigning: Option<Cosigning>,
}

/// A setting, or the file or address that it names, cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct CannotUse {
    what: String,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl CannotUse {
    /// What cannot be used, and what to do; and why not.
    pub fn new(
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        CannotUse { what: what.into(), source: source.into() }
    }
}

impl Server {
    /// Opens the database, makes on the first start what has to be there, and takes the address.
    pub async fn start(settings: &Settings) -> anyhow::Result<Self> {
        Server::start_on(settings, Clock::system()).await
    }

    /// The same, on a clock of the caller's. Only `runledger demo` has one of its own.
    pub async fn start_on(settings: &Settings, clock: Clock) -> anyhow::Result<Self> {
        let Settings { data_dir, .. } = settings;
        make_private_directory(data_dir).map_err(|error| {
            CannotUse::new(
                format!("the data directory {} cannot be made", data_dir.display()),
                error,
            )
        })?;
        let catalog = catalog(settings)?;
        let entropy = Entropy::system();
        let administrator = token::load_or_make(&settings.token_file(), &entropy)?;
        let store = open(&settings.database).await?;
        let store = store.with_archives(Archives::below(settings.archives.clone()));
        trusted(&store, settings).await?;
        fill_trees(&store).await?;
        let ledger = Ledger::new(store, clock, entropy.clone());
        let source = KeySource::find(data_dir, |name| std::env::var(name).ok());
        recorded::begin(ledger.writing_store(), settings, &source, ledger.clock(), &entropy)
            .await?;
        let anchors = Anchors::new(data_dir.join(recorded::DIRECTORY));
        let mut signing = Signing::new(ledger.clone(), anchors, source.clone())?;
        // Before anything is recorded: a log that is not what was signed takes nothing.
        signing.round().await;
        let adapters = Adapters::set_up(&settings.adapters, &catalog)?;
        let was_there = ensure_workspace(&ledger, &settings.workspace, &catalog).await?;
        if was_there && administrator.made {
            administrator::tell_of_new(&ledger, &settings.workspace, &entropy).await?;
        }
        check_adapters(&adapters, &ledger).await?;
        let address = settings.listen;
        let listener = TcpListener::bind(address).await.map_err(|error| {
            let what =
                format!("{address} cannot be listened on; choose another address with --listen");
            CannotUse::new(what, error)
        })?;
        let address = listener.local_addr()?;
        // Before the first request: what comes from now on has been listened for.
        let projections = Projections::new(ledger)?;
        listening::mark(projections.ledger(), |id, from| {
            listening::silence_counts(&projections, id, from)
        })
        .await?;
        let reconciler = Reconciler::new(projections.clone(), adapters.registry, entropy);
        let workspace = settings.workspace.clone();
        let app = App::new(projections, reconciler, administrator.hash, workspace)?;
        let app = app.looking_at_the_database(settings.waived.clone());
        app.set_token_file(settings.token_file());
        app.set_catalog(catalog);
        let packs = data_dir.join("packs");
        let exports = Exports::open(packs, source, app.ledger().now()).map_err(|error| {
            CannotUse::new("the directory of audit packs cannot be used", error)
        })?;
        app.set_exports(exports);
        let cosigning = cosigning(settings, &app)?;
        app.set_limits(settings.limits.clone());
        if let Some(scanners) = scanners(settings)? {
            app.set_scanners(scanners);
        }
        warn_of_unknown_workspaces(settings, app.ledger().store()).await?;
        if let Some(provider) = provider(settings)? {
            app.set_provider(provider);
        }
        let limits = Limits::with_connections(settings.connections);
        Ok(Server { app, listener, address, limits, signing, cosigning })
    }

    /// The address that it answers on.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A link that signs a browser in once, within an hour.
    pub fn sign_in_link(&self) -> anyhow::Result<String> {
        sign_in_link(&self.app, self.address)
    }

    /// What every request can reach.
    pub(crate) const fn app(&self) -> &App {
        &self.app
    }

    /// The ledger behind it.
    pub fn ledger(&self) -> &Ledger {
        self.app.ledger()
    }

    /// Answers requests until `stop` is done, then ends as the module says.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<()> {
        let Server { app, listener, limits, signing, cosigning, .. } = self;
        let (ledger, projections) = (app.ledger().clone(), app.projections().clone());
        let (stopping, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        if let Some(exports) = app.exports() {
            let (exports, app) = (exports.clone(), app.clone());
            tasks.spawn(async move { exports.tell_interrupted(&app).await });
        }
        tasks.spawn(signing.run(stopped.clone()));
        if let Some(cosigning) = cosigning {
            tasks.spawn(cosigning.run(stopped.clone()));
        }
        tasks.spawn(keep_listening(projections.clone(), stopped.clone()));
        tasks.spawn(app.reconciler().clone().run(stopped.clone()));
        tasks.spawn(async move { projections.follow(stopped).await });

        let (closing, closed) = watch::channel(false);
        let ending = app.clone();
        let serving = listener::serve(listener, router(app), limits, closed);
        let out_of_time = async {
            stop.await;
            ending.closing().send_replace(true);
            closing.send_replace(true);
            tracing::info!("stopping; requests in flight are answered first");
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            () = serving => {}
            () = out_of_time => {
                tracing::warn!(?GRACE, "requests in flight took too long and were cut off");
            }
        }
        stopping.send_replace(true);
        end(tasks, TASKS_GRACE).await;
        if tokio::time::timeout(TASKS_GRACE, ledger.store().close()).await.is_err() {
            tracing::warn!("the database was still busy and was left as it is");
        }
        Ok(())
    }
}

/// A link to the server at `address` that signs a browser in once, within an hour.
pub(crate) fn sign_in_link(app: &App, address: SocketAddr) -> anyhow::Result<String> {
    let code = app.sessions().code(app.ledger().now())?;
    Ok(format!("http://{}/sign-in?code={}", reachable(address), code.0))
}

/// Waits until all tasks have ended, for `grace` at most; then they are ended where they stand.
/// What they had not committed is rolled back, and what is left to do the databases say.
async fn end(mut tasks: JoinSet<()>, grace: Duration) {
    let ended = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, ended).await.is_err() {
        tracing::warn!(?grace, "background tasks took too long and were ended");
        tasks.shutdown().await;
    }
}

/// Writes the hashes of tiles that logs do not have yet. What keeps it from that, the signer finds
/// as well, and says what it means.
async fn fill_trees(store: &Store) -> anyhow::Result<()> {
    for (workspace, name) in store.workspaces().await? {
        match tree::fill(store, workspace).await {
            Ok(0) => {}
            Ok(filled) => tracing::info!(name, filled, "hashes of the log's tree were written"),
            Err(error) => tracing::error!(name, %error, "the log's tree could not be completed"),
        }
    }
    Ok(())
}

/// Opens a database; the error names it, without its secrets.
pub(crate) async fn open(url: &StoreUrl) -> anyhow::Result<Store> {
    opened(url, Store::open(url).await)
}

/// The same to look at it: nothing is changed in it.
pub(crate) async fn open_as_it_is(url: &StoreUrl) -> anyhow::Result<Store> {
    opened(url, Store::open_as_it_is(url).await)
}

fn opened(url: &StoreUrl, opened: Result<Store, StoreError>) -> anyhow::Result<Store> {
    let what = || format!("the database {url} cannot be used");
    match opened {
        Ok(store) => Ok(store),
        // It may be there again in a moment; that is no fault of a setting.
        Err(error @ StoreError::Unavailable(_)) => Err(error).with_context(what),
        Err(error) => Err(anyhow::Error::new(CannotUse::new(what(), error))),
    }
}

/// Refuses a database that is not safe for a ledger, with every reason there is.
async fn trusted(store: &Store, settings: &Settings) -> anyhow::Result<()> {
    let Trust { faults, notes } = store.trust().await?;
    for note in notes {
        tracing::info!("{note}");
    }
    let (waived, faults): (Vec<Fault>, Vec<Fault>) =
        faults.into_iter().partition(|fault| settings.waived.contains(&fault.danger));
    for Fault { sentence, .. } in waived {
        tracing::warn!("allowed by --allow-unsafe: {sentence}");
    }
    if faults.is_empty() {
        return Ok(());
    }
    let names: BTreeSet<&str> = faults.iter().filter_map(|fault| fault.danger.waiver()).collect();
    let waivable = faults.iter().all(|fault| fault.danger.waiver().is_some());
    let sentences: Vec<&str> = faults.iter().map(|fault| fault.sentence.as_str()).collect();
    let mut what = sentences.join("\n");
    if waivable {
        let names: Vec<&str> = names.into_iter().collect();
        what += &format!(
            "\nFor development and tests, --allow-unsafe {} starts it all the same",
            names.join(",")
        );
    }
    let database = &settings.database;
    Err(CannotUse::new(format!("the database {database} is not safe for a ledger"), what).into())
}

/// The catalog that new workspaces begin with.
pub(crate) fn catalog(settings: &Settings) -> anyhow::Result<Arc<Catalog>> {
    let Some(path) = &settings.catalog else {
        return Ok(Catalog::built_in());
    };
    let name = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| CannotUse::new(format!("the catalog {name} cannot be read"), error))?;
    let catalog = Catalog::parse(&text)
        .map_err(|errors| CannotUse::new(format!("the catalog {name} is wrong"), errors))?;
    Ok(Arc::new(catalog))
}

/// Who may report tokens that were found, if the settings name anybody.
fn scanners(settings: &Settings) -> anyhow::Result<Option<Scanners>> {
    let Some(path) = &settings.scanners else { return Ok(None) };
    let name = path.display();
    let unusable = || format!("{name}, which says who scans for secrets, cannot be used");
    let bytes = std::fs::read(path).map_err(|error| CannotUse::new(unusable(), error))?;
    let scanners = Scanners::parse(&bytes).map_err(|error| CannotUse::new(unusable(), error))?;
    Ok(Some(scanners))
}

/// Who says who people are, if the settings name anybody. It is not asked yet: a provider that is not
/// there keeps no server from starting.
fn provider(settings: &Settings) -> anyhow::Result<Option<Provider>> {
    let Some(oidc) = &settings.oidc else { return Ok(None) };
    let provider = Provider::new(oidc.clone(), Entropy::system());
    let provider = provider.context("no provider of identities can be asked")?;
    tracing::info!(issuer = oidc.issuer, callback = %oidc.callback(), "people sign in with OpenID Connect");
    Ok(Some(provider))
}

/// A group whose workspace is not there gets no role in it. It may be made later, so the server starts.
async fn warn_of_unknown_workspaces(settings: &Settings, store: &Store) -> anyhow::Result<()> {
    for rule in settings.oidc.iter().flat_map(|oidc| &oidc.roles) {
        if store.workspace_by_name(rule.workspace.as_str()).await?.is_none() {
            tracing::warn!(
                group = rule.group, workspace = %rule.workspace,
                "a role of [oidc] is for a workspace that is not there; nobody has it until it is made"
            );
        }
    }
    Ok(())
}

/// Who asks the witnesses that the settings name, if they name any.
fn cosigning(settings: &Settings, app: &App) -> anyhow::Result<Option<Cosigning>> {
    let Some(policy) = witnesses(settings)? else { return Ok(None) };
    let cosigners = Cosigners::new(policy);
    app.set_cosigners(cosigners.clone());
    Ok(Some(Cosigning::new(app.ledger().clone(), cosigners)?))
}

/// The policy that the settings name for witnesses, if they name one.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn witnesses(settings: &Settings) -> anyhow::Result<Option<Policy>> {
    let Some(path) = &settings.witnesses else { return Ok(None) };
    let name = path.display();
    let unusable =
        || format!("{name}, which says who witnesses the logs, cannot be used as a trust policy");
    let bytes = std::fs::read(path).map_err(|error| CannotUse::new(unusable(), error))?;
    let policy = Policy::parse(&bytes).map_err(|error| CannotUse::new(unusable(), error))?;
    Ok(Some(policy))
}

/// Makes the workspace that requests without one mean, if there is none of that name. Whether it was
/// there.
pub(crate) async fn ensure_workspace(
    ledger: &Ledger,
    name: &WorkspaceName,
    catalog: &Catalog,
) -> anyhow::Result<bool> {
    if ledger.store().workspace_by_name(name.as_str()).await?.is_some() {
        return Ok(true);
    }
    let because = (itself()?, Note::new(FIRST)?);
    match ledger.create_workspace_for(name.name(), catalog, Some(because)).await {
        // Another server over the same database was faster.
        Ok(_) | Err(CreateError::Exists(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Who does what the server does by itself.
pub(crate) fn itself() -> anyhow::Result<Actor> {
    Ok(Actor { id: Name::new("server")?, kind: Name::new("system")? })
}

/// Refuses adapters that do not fit the catalogs in force, or that could write to what they read. A
/// source that is only not there at the moment stops nobody.
async fn check_adapters(adapters: &Adapters, ledger: &Ledger) -> anyhow::Result<()> {
    for (id, name) in ledger.store().workspaces().await? {
        let catalog = ledger.catalog(id).await?;
        let fits = adapters.registry.check(&catalog);
        fits.with_context(|| {
            format!(
                "the adapters do not fit the catalog of workspace {name}; to take one away, start \
                 with it once more, publish a catalog there that does not name it, and take it \
                 away then"
            )
        })?;
    }
    match adapters.check().await {
        Err(error) if error.may_pass() => {
            let cause = source_of(&error);
            tracing::warn!(%error, cause, "a source of adapters gives no answer yet");
            Ok(())
        }
        checked => Ok(checked?),
    }
}

fn source_of(error: &SourceFault) -> Option<String> {
    std::error::Error::source(error).map(ToString::to_string)
}

async fn keep_listening(projections: Projections, stopped: watch::Receiver<bool>) {
    let counts = |id, from| listening::silence_counts(&projections, id, from);
    listening::keep_marking(projections.ledger().clone(), counts, listening::PACE, stopped).await;
}

/// An address that a client on this machine can use.
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}

/// Makes a directory that only its owner can look into. One that is there stays as it is.
fn make_private_directory(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_does_not_end_by_itself_is_ended() {
        let mut tasks = JoinSet::new();
        let (held, gone) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        end(tasks, Duration::from_millis(1)).await;
        assert!(gone.await.is_err(), "the task and what it held are gone");
    }
}
