//! Both languages, and the other things that a browser may choose.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};

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
