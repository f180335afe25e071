//! A service to ask, with a clock that stands until it is moved.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::request::Builder;
use axum::http::{HeaderMap, Request, StatusCode, header};
use runledger::app::App;
use runledger::router::router;
use runledger::token::TokenHash;
use runledger_ledger::catalog::Catalog;
use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::ledger::Ledger;
use runledger_ledger::store::{Store, StoreUrl};
use runledger_ledger::time::Moment;
use runledger_ledger::words::WorkspaceId;
use runledger_projections::Projections;
use serde_json::Value;
use tower::ServiceExt;

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
    router: Router,
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
        let url = match database {
            Database::Sqlite => StoreUrl::SqliteMemory,
            Database::Postgres => StoreUrl::Postgres(runledger_tests::test_database().await),
        };
        let clock = Clock::manual(START.parse::<Moment>().unwrap());
        let store = Store::open(&url).await.unwrap();
        let ledger = Ledger::new(store, clock.clone(), Entropy::seeded(7));
        let name = "main".parse::<runledger::workspaces::WorkspaceName>().unwrap();
        let main = ledger.create_workspace(name.name(), &Catalog::built_in()).await.unwrap();
        let app = App::new(Projections::new(ledger).unwrap(), TokenHash::of(TOKEN), name).unwrap();
        Service { router: router(app.clone()), app, clock, main }
    }

    /// A request with the administrator's token.
    pub(crate) fn request(method: &str, path: &str) -> Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Reply { status: head.status, headers: head.headers, body }
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

    /// How many events the log of `main` holds.
    pub(crate) async fn size(&self) -> u64 {
        self.app.ledger().store().head(self.main).await.unwrap().unwrap().size()
    }
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
