//! Who may ask, and what everybody is told who asks wrongly.

use axum::body::Body;
use axum::http::{Request, header};
use rstest::rstest;

use crate::service::{Database, EVENTS, Service};

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn nobody_is_answered_without_the_token(#[case] database: Database) {
    let service = Service::on(database).await;
    let api = service.get("/openapi.json").await.ok(200);
    let mut asked = 0;
    for (path, methods) in api["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let open = operation["security"] == serde_json::json!([{}]);
            let path = path.replace("{workspace}", "main").replace("{run}", "x");
            let path = path.replace("{type}", "t").replace("{id}", "i").replace("{item}", "k");
            for token in [None, Some("Bearer rl_admin_"), Some("Basic rl_admin_for-tests")] {
                let mut request =
                    Request::builder().method(method.to_uppercase().as_str()).uri(&path);
                if let Some(token) = token {
                    request = request.header(header::AUTHORIZATION, token);
                }
                let reply = service.send(request.body(Body::empty()).unwrap()).await;
                if open && path == "/v1/secret-scanning" {
                    // Whoever calls it signs what it says. Here nobody is known, so it is not there.
                    assert_eq!(reply.status, 404, "{method} {path}");
                } else if open {
                    assert_eq!(reply.status, 200, "{method} {path}");
                } else {
                    assert_eq!(reply.problem(401), "unauthorized", "{method} {path}");
                    assert_eq!(reply.headers[header::WWW_AUTHENTICATE], "Bearer");
                }
                asked += 1;
            }
        }
    }
    assert!(asked > 20, "{asked}");
    assert_eq!(service.size().await, 2);
}

#[tokio::test]
async fn the_token_is_in_no_answer_and_a_scheme_is_read_in_any_case() {
    let service = Service::on(Database::Sqlite).await;
    let request = Request::builder().uri("/v1/workspaces");
    let request = request.header(header::AUTHORIZATION, "bEARER rl_admin_for-tests");
    let reply = service.send(request.body(Body::empty()).unwrap()).await;
    reply.ok(200);
    assert!(!String::from_utf8_lossy(&reply.body).contains("rl_admin_for-tests"));
}

#[tokio::test]
async fn what_does_not_fit_a_route_is_a_problem_too() {
    let service = Service::on(Database::Sqlite).await;
    assert_eq!(service.get("/v2").await.problem(404), "no_such_route");
    let reply = service.get(EVENTS).await;
    assert_eq!(reply.problem(405), "method_not_allowed");
    assert_eq!(reply.headers[header::ALLOW], "POST");
    let reply = service.get("/v1/workspaces?nmae=x").await;
    assert_eq!(reply.problem(400), "invalid_query");
    assert!(reply.json()["detail"].as_str().unwrap().contains("`nmae`"));
    let request = Service::request("POST", EVENTS).header(header::CONTENT_ENCODING, "br");
    let reply = service.send(request.body(Body::from("{}")).unwrap()).await;
    assert_eq!(reply.problem(415), "unsupported_encoding");
}
