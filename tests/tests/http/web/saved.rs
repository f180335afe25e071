//! Saved views, all workspaces side by side, and a word on more runs than are done at a time.

use axum::http::{StatusCode, header};
use rstest::rstest;
use runledger_ledger::catalog::Catalog;
use runledger_projections::watch;
use serde_json::{Value, json};

use super::people::{Browser, add, address};
use super::{Visitor, between, happenings, post};
use crate::service::{Database, Service};

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_list_is_saved_under_a_name_for_everybody_and_forgotten(#[case] database: Database) {
    let visitor = Visitor::on(database).await;
    happenings(&visitor.service).await;
    let filters = "follow_up=true&environment=prod";
    let page = visitor.page(&format!("/w/main/runs?{filters}")).await;
    let offered = between(&page, "name=\"query\" value=\"", "\"").replace("&#38;", "&");
    assert_eq!(offered, filters);
    let encoded = filters.replace('=', "%3D").replace('&', "%26");
    let save = async |name: &str, query: &str| {
        visitor.post("/w/main/views", &format!("name={name}&query={query}")).await
    };
    let reply = save("Our+own", &encoded).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{reply:?}");
    assert_eq!(reply.headers[header::LOCATION], "/w/main/views/Our%20own");
    let reply = visitor.get("/w/main/views/Our%20own").await;
    assert_eq!(reply.headers[header::LOCATION], format!("/w/main/runs?{filters}").as_str());
    let page = visitor.page(&format!("/w/main/runs?{filters}")).await;
    assert!(page.contains("class=\"chosen\" aria-current=\"true\">Our own</a>"), "{page}");
    assert!(!page.contains("class=\"save\""), "it is saved already");
    // What the list would refuse is not saved, nor what another session's form asks.
    for (name, query, status) in [
        ("Bad", "colour%3Dred", 400),
        ("", "status%3Dqueued", 422),
        ("Bad", "cursor%3Dx%26status%3Dqueued", 422),
    ] {
        assert_eq!(save(name, query).await.status.as_u16(), status, "{name} {query}");
    }
    let foreign = format!("form_token=00&name=Foreign&query={encoded}");
    let reply = post(&visitor.service, "/w/main/views", &visitor.cookie, &foreign).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    for number in 1..50 {
        let reply = save(&format!("View+{number}"), "status%3Dqueued").await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "{number}: {reply:?}");
    }
    assert_eq!(save("One+too+many", "status%3Dqueued").await.status, StatusCode::CONFLICT);
    assert_eq!(save("Our+own", "status%3Drunning").await.status, StatusCode::SEE_OTHER);
    let reply = visitor.post("/w/main/views", "name=Our+own&forget=true").await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
    assert_eq!(visitor.get("/w/main/views/Our%20own").await.status, StatusCode::NOT_FOUND);
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_view_is_changed_by_who_saved_it_and_by_who_runs_the_workspace(
    #[case] database: Database,
) {
    let visitor = Visitor::on(database).await;
    let service = &visitor.service;
    for (name, role) in [("ada", "admin"), ("bert", "operator"), ("carl", "operator")] {
        add(service, name).await;
        let grant = json!({"name": name, "role": role, "reason": "for a test"});
        let granted = service.post_json("/v1/workspaces/main/members", &grant).await.ok(200);
        assert_eq!((&granted["name"], &granted["kind"]), (&json!(name), &json!("person")));
    }
    let browser = async |name, at| Browser::of(service, name, address(at), "a test").await;
    let ada = browser("ada", 1).await;
    let bert = browser("bert", 2).await;
    let carl = browser("carl", 3).await;
    let leads_to = async |query: &str| {
        let reply = visitor.get("/w/main/views/Ours").await;
        assert_eq!(reply.headers[header::LOCATION], format!("/w/main/runs?{query}").as_str());
    };
    let save = |query: &str| format!("name=Ours&query={}", query.replace('=', "%3D"));
    let saved = bert.post("/w/main/views", &save("status=queued")).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{saved:?}");
    let reply = bert.post("/w/main/views", &save("status=running")).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "one's own: {reply:?}");
    for form in [save("status=queued"), "name=Ours&forget=true".to_owned()] {
        let reply = carl.post("/w/main/views", &form).await;
        assert_eq!(reply.status, StatusCode::CONFLICT, "{reply:?}");
        leads_to("status=running").await;
    }
    // Nobody changes what a view of somebody else means; who runs the workspace takes it away, and says why.
    let reply = ada.post("/w/main/views", &save("status=queued")).await;
    assert_eq!(reply.status, StatusCode::CONFLICT, "{reply:?}");
    for blank in ["", "&reason=+", "&reason=%E2%80%8B"] {
        let reply = ada.post("/w/main/views", &format!("name=Ours&forget=true{blank}")).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{reply:?}");
    }
    leads_to("status=running").await;
    let page = async |who: &Browser<'_>| who.page("/w/main/runs?status=running").await;
    assert!(page(&ada).await.contains("bert saved this view"), "it is asked why");
    assert!(page(&bert).await.contains("name=\"forget\""), "one's own goes with a click");
    assert!(!page(&carl).await.contains("name=\"forget\""), "no form that the role forbids");
    let form = "name=Ours&forget=true&reason=bert+has+left";
    let reply = ada.post("/w/main/views", form).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{reply:?}");
    let log = service.get("/v1/workspaces/main/log?from=0").await;
    let log = String::from_utf8(log.body.to_vec()).unwrap();
    let told: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].take())
        .filter(|event| event["type"] == "view.removed")
        .collect();
    assert_eq!(told.len(), 1, "what people do with their own is not told: {told:?}");
    assert_eq!(told[0]["actor"]["id"], "ada");
    let data = json!({
        "query": "status=running", "reason": "bert has left", "saved_by": "bert", "view": "Ours"
    });
    assert_eq!(told[0]["data"], data);
    assert_eq!(visitor.get("/w/main/views/Ours").await.status, StatusCode::NOT_FOUND);
    // A form that has no token is of another site, as one with a wrong token is.
    for (path, form) in [
        ("/w/main/views", "name=Ours"),
        ("/preferences", "next=/"),
        ("/account/password", "current=a&password=b&again=b"),
        ("/account/sessions", "others=true"),
        ("/people/ada/sessions", "session=all&reason=r"),
        ("/sign-out", ""),
    ] {
        let reply = post(service, path, &visitor.cookie, form).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path}: {reply:?}");
    }
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn all_workspaces_stand_side_by_side_for_one_statement_of_each_kind(
    #[case] database: Database,
) {
    let visitor = Visitor::on(database).await;
    happenings(&visitor.service).await;
    visitor.service.wait(3 * 3_600);
    let (page, few) = Box::pin(watch(visitor.page("/w"))).await;
    assert!(page.contains("data-count=\"follow-up-items\">2</a>"), "{page}");
    let row = between(&page, "data-row=\"main\"", "</tr>");
    assert!(row.contains("href=\"/w/main\""), "{row}");
    assert!(row.contains("href=\"/w/main/follow-ups\">2</a>"), "{row}");
    assert!(row.contains("href=\"/w/main/runs?overdue=true\">"), "what is overdue is told: {row}");
    // What each of them does is told as far as it makes sense of several: what is oldest, overdue and
    // picked up from, what left the list of late, and how runs ended.
    let oldest = between(&page, "data-oldest>", "</ul>");
    assert!(oldest.contains("tenant/8") && oldest.contains("acme.own"), "{oldest}");
    assert!(oldest.contains("follow-ups?operation=acme.own&#38;environment=&#38;sort=oldest"));
    let stale = between(&page, "data-stale>", "</ul>");
    assert!(stale.contains("tenant/10") && stale.contains("tenant/9"), "{stale}");
    let quiet = between(&page, "class=\"quiet\"", "</ul>");
    assert!(quiet.contains(">1\u{a0}run</span><span>Superseded"), "{quiet}");
    assert!(between(&page, "data-chart-total>", "</p>").contains("6\u{a0}runs"), "{page}");
    let left = between(&row, "runs?left_since=", "</a>");
    assert!(left.ends_with(">1"), "{left}");
    let left = format!("/w/main/runs?left_since={}", left.split('"').next().unwrap());
    assert_eq!(visitor.page(&left).await.matches("data-row=\"").count(), 1, "{left}");
    assert!(row.contains("href=\"/w/main/queues\">1"), "{row}");
    for number in 0..5 {
        let name = format!("other-{number}");
        let ledger = visitor.service.app.ledger();
        let name = name.parse::<runledger::workspaces::WorkspaceName>().unwrap();
        let id = ledger.create_workspace(name.name(), &Catalog::built_in()).await.unwrap();
        visitor.service.app.projections().catch_up(id).await.unwrap();
    }
    let (page, many) = Box::pin(watch(visitor.page("/w"))).await;
    assert!(page.contains("href=\"/w/other-4\""), "{page}");
    assert_eq!(few.len(), many.len(), "however many there are: {many:?}");
    assert!(many.len() >= 4, "each kind of number is asked for: {many:?}");
}

#[tokio::test]
async fn a_word_on_more_runs_than_are_done_at_a_time_says_what_is_left_and_goes_on() {
    const RUNS: u64 = 10_003;
    let visitor = Visitor::of(Service::following(Database::Sqlite).await).await;
    let numbers: Vec<u64> = (0..RUNS).collect();
    for numbers in numbers.chunks(1_000) {
        let failed = |number: &u64| {
            json!({"type": "run.failed", "run_id": format!("0195f3c0-0000-7000-8000-{number:012x}"),
                "data": {"operation": "acme.many", "reason_code": "timeout"}})
        };
        let events: Vec<Value> = numbers.iter().map(failed).collect();
        visitor.service.record(&events).await;
    }
    let shown = visitor.page("/w/main/follow-ups/resolve?action=resolve&all=true").await;
    assert!(shown.contains(&format!("data-runs=\"{RUNS}\"")), "{shown}");
    assert!(shown.contains("At most 10,000"), "{shown}");
    let form = format!("action=resolve&all=true&runs={RUNS}&reason=accepted&note=all+of+them");
    let done = visitor.post("/w/main/follow-ups/resolve", &form).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{done:?}");
    let to = done.headers[header::LOCATION].to_str().unwrap().to_owned();
    assert!(to.starts_with("/w/main/follow-ups/resolve?"), "{to}");
    assert!(!to.contains("accepted"), "a note is in no address: {to}");
    let rest = visitor.opened(&to, &super::along(&done)).await;
    assert!(rest.contains("data-runs=\"3\"") && rest.contains("10,000"), "{rest}");
    assert!(rest.contains("value=\"accepted\""), "the same word goes on: {rest}");
    let form = "action=resolve&all=true&runs=3&reason=accepted&note=all+of+them";
    let done = visitor.post("/w/main/follow-ups/resolve", form).await;
    assert_eq!(done.headers[header::LOCATION], "/w/main/follow-ups");
    assert!(visitor.page("/w/main/follow-ups").await.contains("class=\"empty\""));
}
