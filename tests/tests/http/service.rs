//! A service to ask, with a clock that stands until it is moved.

use axum::Router;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::request::Builder;
use axum::http::{HeaderMap, Request, StatusCode, header};
use runledger::app::App;
use runledger::reconciler::Reconciler;
use runledger::router::router;
use runledger::token::TokenHash;
use runledger_adapters::built_in;
use runledger_adapters::probe::Probes;
use runledger_ledger::catalog::Catalog;
use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::ledger::Ledger;
use runledger_ledger::store::{Store, StoreUrl};
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::WorkspaceId;
use runledger_projections::Projections;
use runledger_tests::book::Book;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tower::ServiceExt;

use crate::description::Description;

/// When the clock of a service begins.
pub(crate) const START: &str = "2026-03-01T12:00:00Z";
/// The administrator's token.
pub(crate) const TOKEN: &str = "rl_admin_for-tests";
/// Where events go.
pub(crate) const EVENTS: &str = "/v1/workspaces/main/events";

/// Which database a service is over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Database {
    Sqlite,
    Postgres,
}

/// A service with the workspace `main`.
pub(crate) struct Service {
    pub(crate) app: App,
    pub(crate) clock: Clock,
    pub(crate) main: WorkspaceId,
    /// What the one adapter reads that is asked and not idle. Beside it there is the remote adapter
    /// of the example.
    pub(crate) book: Book,
    router: Router,
    description: Option<Description>,
    _following: Option<watch::Sender<bool>>,
    _directory: TempDir,
}

/// What a service answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Service {
    pub(crate) async fn on(database: Database) -> Self {
        // Not memory: that is gone with its one connection, which a request that is given up may
        // take with it.
        let directory = tempfile::tempdir().unwrap();
        let url = match database {
            Database::Sqlite => StoreUrl::SqliteScratch(directory.path().join("ledger.db")),
            Database::Postgres => StoreUrl::Postgres(runledger_tests::ledger_database().await),
        };
        let book = Book::default();
        let clock = Clock::manual(START.parse::<Moment>().unwrap());
        let store = Store::open(&url).await.unwrap();
        let ledger = Ledger::new(store, clock.clone(), Entropy::seeded(7));
        let name = "main".parse::<runledger::workspaces::WorkspaceName>().unwrap();
        let main = ledger.create_workspace(name.name(), &Catalog::built_in()).await.unwrap();
        let projections = Projections::new(ledger).unwrap();
        let remote = include_str!("../../../adapters/examples/remote_adapter.toml");
        let remote = Probes::parse(remote).unwrap();
        let registry = remote.register(book.register(built_in(None)), None).unwrap();
        let registry = registry.build(&Catalog::built_in()).unwrap();
        let reconciler = Reconciler::new(projections.clone(), registry, Entropy::seeded(8));
        let app = App::new(projections, reconciler, TokenHash::of(TOKEN), name).unwrap();
        let router = router(app.clone());
        let mut service = Service {
            router,
            app,
            clock,
            main,
            book,
            description: None,
            _following: None,
            _directory: directory,
        };
        let description = service.get("/openapi.json").await.ok(200);
        service.description = Some(Description(description));
        service
    }

    /// The same, with a follower, as a server has it.
    pub(crate) async fn following(database: Database) -> Self {
        let service = Service::on(database).await;
        let (running, stopped) = watch::channel(false);
        let projections = service.app.projections().clone();
        // It ends with the test's runtime, or when the sender goes.
        tokio::spawn(async move { projections.follow(stopped).await });
        Service { _following: Some(running), ..service }
    }

    /// A request with the administrator's token.
    pub(crate) fn request(method: &str, path: &str) -> Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let (method, path) = (request.method().clone(), request.uri().to_string());
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let reply = Reply { status: head.status, headers: head.headers, body };
        if let Some(description) = &self.description {
            description.check(&method, &path, &reply);
        }
        reply
    }

    /// Sends what the description does not speak of: what a browser asks.
    pub(crate) async fn browse(&self, request: Request<Body>) -> Reply {
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Reply { status: head.status, headers: head.headers, body }
    }

    /// What a browser is told, bit by bit, of an answer that goes on.
    pub(crate) async fn open(&self, request: Request<Body>) -> BodyDataStream {
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body().into_data_stream()
    }

    /// What a browser is told before anything else, and what it is refused with; an answer that goes on
    /// for ever is not waited for.
    pub(crate) async fn knock(&self, request: Request<Body>) -> (StatusCode, Bytes) {
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let refused = head.status.is_client_error() || head.status.is_server_error();
        let body = if refused { body } else { Body::empty() };
        (head.status, axum::body::to_bytes(body, usize::MAX).await.unwrap())
    }

    /// Records events, each of which must be recorded, and gives the position of the last.
    pub(crate) async fn record(&self, events: &[Value]) -> u64 {
        let reply = self.post_json(EVENTS, &Value::from(events)).await.ok(200);
        assert_eq!(reply["summary"]["recorded"], events.len(), "{reply}");
        reply["results"][events.len() - 1]["position"].as_u64().unwrap()
    }

    /// Records that a run was dispatched.
    pub(crate) async fn dispatch(&self, number: u8, data: Value) -> u64 {
        self.record(&[event(number, "run.dispatched", data)]).await
    }

    /// Records what a run says of itself.
    pub(crate) async fn signal(&self, number: u8, kind: &str, data: Value) -> u64 {
        self.record(&[event(number, kind, data)]).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Self::request("GET", path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Reply {
        self.send(Self::request("POST", path).body(body.into()).unwrap()).await
    }

    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> Reply {
        self.post(path, body.to_string()).await
    }

    /// What the service says of itself.
    pub(crate) fn description(&self) -> &Description {
        self.description.as_ref().unwrap()
    }

    /// Lets seconds pass.
    pub(crate) fn wait(&self, seconds: i64) {
        self.clock.advance(Span::from_secs(seconds));
    }

    /// The answer to a read of `main`, once everything that is recorded is in it.
    pub(crate) async fn read(&self, path: &str) -> Value {
        self.app.projections().catch_up(self.main).await.unwrap();
        self.get(&format!("/v1/workspaces/main/{path}")).await.ok(200)
    }

    /// How many events the log of `main` holds.
    pub(crate) async fn size(&self) -> u64 {
        self.app.ledger().store().head(self.main).await.unwrap().unwrap().size()
    }
}

/// The id of a run, greater for a greater number.
pub(crate) fn run(number: u8) -> String {
    format!("0195f3c0-0000-7000-8000-0000000000{number:02x}")
}

/// An event of a run.
pub(crate) fn event(number: u8, kind: &str, data: Value) -> Value {
    json!({"type": kind, "run_id": run(number), "data": data})
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The JSON of an answer with this status.
    #[track_caller]
    pub(crate) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// The code of a problem with this status, after a look at its form.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> String {
        let problem = self.ok(status);
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(problem["status"], status);
        let code = problem["code"].as_str().unwrap().to_owned();
        assert_eq!(problem["type"], format!("urn:runledger:problem:{code}"));
        for text in ["title", "detail"] {
            assert!(!problem[text].as_str().unwrap().is_empty(), "{problem}");
        }
        code
    }
}
