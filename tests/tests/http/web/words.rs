//! Both languages, and the other things that a browser may choose.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};

use runledger_projections::HealthNote;

use super::{HOST, Visitor, happenings};
use crate::service::Database;

#[tokio::test]
async fn a_page_speaks_the_browsers_language_unless_another_one_was_chosen() {
    let visitor = Visitor::on(Database::Sqlite).await;
    happenings(&visitor.service).await;
    let ask = async |accepts: &str, cookie: &str| {
        let request = Request::get("/w/main/runs")
            .header(header::HOST, HOST)
            .header(header::ACCEPT_LANGUAGE, accepts)
            .header(header::COOKIE, format!("{}; {cookie}", visitor.cookie));
        let reply = visitor.service.browse(request.body(Body::empty()).unwrap()).await;
        String::from_utf8(reply.body.to_vec()).unwrap()
    };
    let german = ask("de-AT, en;q=0.5", "").await;
    assert!(german.contains("<html lang=\"de\"") && german.contains("Läufe"), "{german}");
    assert!(ask("fr", "").await.contains("<html lang=\"en\""));
    let form = "language=de&theme=dark&next=/w/main/runs";
    let reply = visitor.post("/preferences", form).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
    assert_eq!(reply.headers[header::LOCATION], "/w/main/runs");
    let cookie = reply.headers[header::SET_COOKIE].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let chosen = ask("en", cookie).await;
    assert!(
        chosen.contains("<html lang=\"de\" data-theme=\"dark\" data-zone=\"utc\">"),
        "{chosen}"
    );
}

#[tokio::test]
async fn an_adapter_whose_decisions_are_refused_is_told_from_one_whose_source_fails() {
    let visitor = Visitor::on(Database::Sqlite).await;
    let service = &visitor.service;
    let page = async |accepts: &str| {
        let request = Request::get("/w/main/adapters")
            .header(header::HOST, HOST)
            .header(header::ACCEPT_LANGUAGE, accepts)
            .header(header::COOKIE, &visitor.cookie);
        let reply = service.browse(request.body(Body::empty()).unwrap()).await;
        String::from_utf8(reply.body.to_vec()).unwrap()
    };
    let refused = ["its decisions are refused", "seine Entscheidungen werden abgelehnt"];
    let fails = ["its source fails", "seine Quelle versagt"];
    for (adapter, class, shown, other) in [
        ("book", "evidence_suspicious", refused, fails),
        ("report.files", "evidence_not_allowed", refused, fails),
        ("book", "timeout", fails, refused),
        ("report.files", "timeout", fails, refused),
    ] {
        let note = HealthNote {
            adapter: adapter.to_owned(),
            at: service.clock.now(),
            answered: false,
            error: Some(class),
        };
        let projections = service.app.projections();
        projections.looked(service.main, adapter, &[], &[note]).await.unwrap();
        for (language, shown, other) in [("en", shown[0], other[0]), ("de", shown[1], other[1])] {
            let page = page(language).await;
            let one = page.split("class=\"queue-name\">").find(|part| part.starts_with(adapter));
            let one = one.unwrap();
            assert!(one.contains(shown) && !one.contains(other), "{adapter} {class}: {one}");
        }
    }
}
