//! The dashboard over HTTP: who is let in, what every page carries, and what is done by forms.

mod doors;
mod kept;
mod links;
mod logs;
mod numbers;
mod openid;
mod pages;
mod people;
mod refusals;
mod roles;
mod saved;
mod walked;
mod words;

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::json;

use crate::service::{Database, Reply, Service, TOKEN, event};

/// A browser that is signed in.
struct Visitor {
    service: Service,
    cookie: String,
    form_token: String,
}

/// Where browsers find the service.
const HOST: &str = "127.0.0.1:7300";

impl Visitor {
    async fn on(database: Database) -> Self {
        Visitor::of(Service::on(database).await).await
    }

    async fn of(service: Service) -> Self {
        let cookie = signed_in(&service).await;
        let mut visitor = Visitor { service, cookie, form_token: String::new() };
        let page = visitor.page("/w/main").await;
        visitor.form_token = between(&page, "name=\"form_token\" value=\"", "\"");
        visitor
    }

    async fn get(&self, path: &str) -> Reply {
        self.service.app.projections().catch_up(self.service.main).await.unwrap();
        let request = Request::get(path).header(header::HOST, HOST);
        let request = request.header(header::COOKIE, &self.cookie);
        self.service.browse(request.body(Body::empty()).unwrap()).await
    }

    /// The text of a page that is there.
    async fn page(&self, path: &str) -> String {
        let reply = self.get(path).await;
        let text = String::from_utf8(reply.body.to_vec()).unwrap();
        assert_eq!(reply.status, StatusCode::OK, "{path}: {text}");
        text
    }

    /// The same, opened with one more cookie.
    async fn opened(&self, path: &str, cookie: &str) -> String {
        let cookies = format!("{}; {cookie}", self.cookie);
        let request = Request::get(path).header(header::HOST, HOST);
        let request = request.header(header::COOKIE, cookies);
        let reply = self.service.browse(request.body(Body::empty()).unwrap()).await;
        let text = String::from_utf8(reply.body.to_vec()).unwrap();
        assert_eq!(reply.status, StatusCode::OK, "{path}: {text}");
        let taken = reply.headers[header::SET_COOKIE].to_str().unwrap();
        assert!(taken.starts_with("runledger_along=;"), "it is for one page: {taken}");
        text
    }

    async fn post(&self, path: &str, form: &str) -> Reply {
        let form = format!("form_token={}&{form}", self.form_token);
        post(&self.service, path, &self.cookie, &form).await
    }
}

/// The cookie that an answer hands to the next page.
fn along(reply: &Reply) -> String {
    let cookie = reply.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("runledger_along=") && cookie.contains("HttpOnly"), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

/// The cookie of a browser that has signed in.
pub(crate) async fn signed_in(service: &Service) -> String {
    let form = format!("token={TOKEN}&next=/");
    let reply = post(service, "/sign-in", "", &form).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{reply:?}");
    let cookie = reply.headers[header::SET_COOKIE].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

async fn post(service: &Service, path: &str, cookie: &str, form: &str) -> Reply {
    let request = Request::post(path)
        .header(header::HOST, HOST)
        .header(header::COOKIE, cookie)
        .header("sec-fetch-site", "same-origin")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    service.browse(request.body(Body::from(form.to_owned())).unwrap()).await
}

/// What stands between two texts.
fn between(text: &str, from: &str, to: &str) -> String {
    let rest = text.split_once(from).unwrap_or_else(|| panic!("no {from}")).1;
    rest.split_once(to).unwrap().0.to_owned()
}

/// Everything between two texts, wherever they stand.
fn each_between(text: &str, from: &str, to: &str) -> BTreeSet<String> {
    let parts = text.split(from).skip(1).filter_map(|rest| rest.split_once(to));
    parts.map(|(found, _)| found.replace("&amp;", "&").replace("&#38;", "&")).collect()
}

/// A workspace in which something of each kind has happened.
async fn happenings(service: &Service) {
    let sync = |subject: &str, queue: &str| {
        json!({"operation": "inventory.sync", "environment": "prod", "queue": queue,
            "subject": {"type": "tenant", "id": subject}})
    };
    let failed = json!({"reason_code": "timeout", "message": "<b>no answer</b> & no reason"});
    service
        .record(&[
            json!({"type": "worker.seen",
                "data": {"worker": "w", "lease_seconds": 300, "queues": ["sync"]}}),
            event(1, "run.dispatched", sync("7", "sync")),
            event(1, "run.started", json!({"worker": "w"})),
            event(1, "run.failed", failed.clone()),
            event(2, "run.dispatched", sync("8", "sync")),
            event(2, "run.failed", failed.clone()),
        ])
        .await;
    service.wait(60);
    service
        .record(&[
            // A later success makes the first one good.
            event(3, "run.dispatched", sync("7", "sync")),
            event(3, "run.started", json!({"worker": "w"})),
            event(3, "run.succeeded", json!({})),
            event(4, "run.dispatched", json!({"operation": "acme.own"})),
            event(4, "run.failed", failed),
            event(5, "run.dispatched", sync("9", "left")),
            event(6, "run.dispatched", sync("10", "sync")),
            event(6, "run.heartbeat", json!({"progress": {"done": 3, "total": 9}})),
        ])
        .await;
}
