//! Every page: it is there, it says what the API says, and what is done on it is recorded.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use rstest::rstest;
use runledger_projections::watch;
use serde_json::json;

use super::{HOST, Visitor, along, each_between, happenings};
use crate::service::{Database, Service, event, run};

/// The pages of a workspace.
const PAGES: &[&str] = &[
    "/w/main",
    "/w/main/follow-ups",
    "/w/main/follow-ups?actionability=superseded_by_later_success",
    "/w/main/follow-ups?actionability=resolved_by_operator",
    "/w/main/follow-ups/resolve?action=resolve",
    "/w/main/follow-ups/resolve?action=resolve&all=true",
    "/w/main/runs",
    "/w/main/runs?status=&text=tenant&environment=prod",
    "/w/main/queues",
    "/w/main/operations",
    "/w/main/environments",
    "/w/main/adapters",
    "/w/main/log",
    "/w/main/log?type=run.failed&actor=administrator",
    "/w/main/log?run=0195f3c0-0000-7000-8000-000000000001",
];

/// One whose server follows the log: a page after a form holds what the form recorded.
async fn follower(database: Database) -> Visitor {
    let visitor = Visitor::of(Service::following(database).await).await;
    happenings(&visitor.service).await;
    visitor
}

async fn visitor(database: Database) -> Visitor {
    let visitor = Visitor::on(database).await;
    happenings(&visitor.service).await;
    visitor
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn every_page_is_there_small_and_holds_nothing_inline(#[case] database: Database) {
    let visitor = visitor(database).await;
    let of_run = format!("/w/main/runs/{}", run(1));
    for path in PAGES.iter().copied().chain([of_run.as_str()]) {
        for path in [
            path.to_owned(),
            format!("{path}{}as_of=10", if path.contains('?') { '&' } else { '?' }),
        ] {
            let reply = visitor.get(&path).await;
            let text = String::from_utf8(reply.body.to_vec()).unwrap();
            assert_eq!(reply.status, StatusCode::OK, "{path}: {text}");
            assert_eq!(reply.headers[header::CACHE_CONTROL], "no-store", "{path}");
            assert!(reply.headers.contains_key(header::CONTENT_SECURITY_POLICY), "{path}");
            assert!(text.len() < 150 * 1024, "{path} has {} bytes", text.len());
            for inline in [" style=", "<style", " onclick", " onload", "javascript:", "<script>"] {
                assert!(!text.contains(inline), "{path} has {inline}");
            }
            assert!(!text.contains("No localization"), "{path}");
            assert_eq!(path.contains("as_of"), text.contains("class=\"past-band\""), "{path}");
            if path.contains("as_of") {
                assert!(!text.contains("name=\"reason\""), "{path}: nothing is done in the past");
                assert!(!text.contains("data-stream"), "{path}: the past does not move");
            }
        }
    }
}

#[tokio::test]
async fn every_page_with_all_that_it_names_weighs_less_than_150_kilobytes() {
    let visitor = visitor(Database::Sqlite).await;
    let of_run = format!("/w/main/runs/{}", run(1));
    for path in PAGES.iter().copied().chain([of_run.as_str(), "/w"]) {
        let bytes = weight(&visitor, &visitor.page(path).await).await;
        assert!(bytes > 60 * 1024 && bytes < 150 * 1024, "{path} weighs {bytes} bytes");
    }
}

/// What a page weighs with every file that it names, in bytes.
pub(super) async fn weight(visitor: &Visitor, text: &str) -> usize {
    const STYLE: &str = include_str!("../../../../api/assets/style/tokens.css");
    let fonts = each_between(STYLE, "url(\"", "\"");
    assert_eq!(fonts.len(), 2);
    let named = text.split('"').filter(|part| part.starts_with("/assets/"));
    let named = named.map(|part| part.split('#').next().unwrap().to_owned());
    let mut bytes = text.len();
    for asset in named.chain(fonts).collect::<BTreeSet<_>>() {
        let request = Request::get(&asset).header(header::HOST, HOST);
        let request = request.header(header::ACCEPT_ENCODING, "gzip");
        let reply = visitor.service.browse(request.body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status, StatusCode::OK, "{asset}");
        bytes += reply.body.len();
    }
    bytes
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn every_link_leads_to_a_page(#[case] database: Database) {
    let visitor = visitor(database).await;
    let mut seen: BTreeSet<String> = PAGES.iter().map(|path| (*path).to_owned()).collect();
    let mut open: Vec<String> = seen.iter().cloned().collect();
    // Each page with each choice on it; choices of choices are more of the same.
    for depth in 0..2 {
        let mut found = Vec::new();
        for path in std::mem::take(&mut open) {
            let reply = visitor.get(&path).await;
            let text = String::from_utf8(reply.body.to_vec()).unwrap();
            assert_eq!(reply.status, StatusCode::OK, "{path}: {text}");
            if depth == 0 {
                found.extend(each_between(&text, "href=\"/w/", "\""));
            }
        }
        for link in found {
            let path = format!("/w/{}", link.split('#').next().unwrap());
            if seen.insert(path.clone()) {
                open.push(path);
            }
        }
    }
    assert!(seen.len() > 60, "only {} pages were looked at", seen.len());
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn an_old_failure_that_a_later_run_made_good_calls_nobody_and_stays_visible(
    #[case] database: Database,
) {
    let visitor = visitor(database).await;
    let follow_ups = visitor.page("/w/main/follow-ups").await;
    assert!(!follow_ups.contains("tenant/7"), "it was made good");
    assert!(follow_ups.contains("tenant/8") && follow_ups.contains("acme.own"));
    let overview = visitor.page("/w/main").await;
    assert!(overview.contains("data-count=\"follow-up-items\">2</a>"), "{overview}");
    // History is there, with what made it good.
    let left = "/w/main/follow-ups?actionability=superseded_by_later_success";
    assert!(visitor.page(left).await.contains("tenant/7"));
    let page = visitor.page(&format!("/w/main/runs/{}", run(1))).await;
    assert!(page.contains("data-outcome=\"failed\""), "what is recorded stays");
    assert!(page.contains("data-guidance=\"superseded\""), "{page}");
    assert!(page.contains(&format!("/w/main/runs/{}", run(3))), "the proof is linked");
    assert!(!page.contains("name=\"reason\""), "nothing is asked of anybody");
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_stale_run_is_told_the_same_in_the_list_the_detail_the_frame_and_the_api(
    #[case] database: Database,
) {
    let visitor = visitor(database).await;
    let calm = visitor.page("/w/main/runs").await;
    assert!(calm.contains("id=\"activity\" class=\"activity tone-calm\""));
    visitor.service.wait(3 * 3_600);
    let told = visitor.service.read(&format!("runs/{}", run(6))).await;
    assert_eq!(told["now"]["freshness"], "stale_running");
    let sentence = told["now"]["guidance"]["text"].as_str().unwrap();
    let list = visitor.page("/w/main/runs?freshness=stale_running").await;
    let detail = visitor.page(&format!("/w/main/runs/{}", run(6))).await;
    for page in [&list, &detail] {
        assert!(page.contains(sentence), "{sentence}");
        assert!(page.contains("activity tone-attention"), "the frame is not calm");
    }
    assert!(detail.contains("Last reported: 3 of 9"), "progress is not shown as if it moved");
    assert!(detail.contains("class=\"truth now tone-attention\""));
    assert!(!detail.contains("guidance=\"running\""));
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_person_resolves_one_run_and_takes_it_back(#[case] database: Database) {
    let visitor = follower(database).await;
    let path = format!("/w/main/runs/{}", run(2));
    let act = async |action: &str, reason: &str| {
        let form = format!("action={action}&reason={reason}&note=looked+at+it&next={path}");
        visitor.post(&format!("{path}/follow-up"), &form).await
    };
    visitor.page(&path).await;
    let reply = act("resolve", "").await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "a reason is asked for");
    // The page is there again, with what was written, and says at the field what is wrong.
    let page = String::from_utf8(reply.body.to_vec()).unwrap();
    assert!(page.contains("value=\"looked at it\""), "{page}");
    assert!(page.contains("id=\"wrong-resolve\"") && page.contains("aria-invalid"), "{page}");
    let reply = act("resolve", "fixed_by_hand").await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{reply:?}");
    assert_eq!(reply.headers[header::LOCATION], path.as_str());
    let page = visitor.page(&path).await;
    assert!(page.contains("data-guidance=\"resolved_by_operator\""), "{page}");
    assert!(page.contains("looked at it") && page.contains("fixed_by_hand"));
    assert!(!visitor.page("/w/main/follow-ups").await.contains("tenant/8"));
    // The same form again says nothing new; another word on what is closed is not taken, and the
    // page says who closed it, and when.
    let size = visitor.service.size().await;
    assert_eq!(act("resolve", "fixed_by_hand").await.status, StatusCode::SEE_OTHER);
    let reply = act("resolve", "not_needed").await;
    assert_eq!(reply.status, StatusCode::CONFLICT);
    let page = String::from_utf8(reply.body.to_vec()).unwrap();
    let told = super::between(&page, "data-not-offered=\"already_resolved\"", "</p>");
    for text in ["A person has closed it already", "administrator", "fixed_by_hand", "<time"] {
        assert!(told.contains(text), "{text}: {told}");
    }
    assert_eq!(visitor.service.size().await, size, "nothing was recorded");
    let reply = act("reopen", "still_broken").await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{reply:?}");
    assert!(visitor.page("/w/main/follow-ups").await.contains("tenant/8"));
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_word_on_a_whole_filter_is_shown_before_it_is_recorded(#[case] database: Database) {
    let visitor = follower(database).await;
    let shown =
        visitor.page("/w/main/follow-ups/resolve?action=resolve&all=true&environment=prod").await;
    assert!(shown.contains("data-runs=\"1\"") && shown.contains("tenant/8"));
    assert!(!shown.contains("acme.own"), "another environment is not meant");
    let shown = visitor.page("/w/main/follow-ups/resolve?action=resolve&all=true").await;
    assert!(shown.contains("data-runs=\"2\""), "{shown}");
    // One more comes before the button is pressed: nothing is recorded, and it is shown again.
    let failed = json!({"reason_code": "timeout"});
    let data = json!({"operation": "acme.other"});
    let events = [event(9, "run.dispatched", data), event(9, "run.failed", failed)];
    visitor.service.record(&events).await;
    visitor.service.app.projections().catch_up(visitor.service.main).await.unwrap();
    let say = async |runs: u8| {
        let form = format!("action=resolve&all=true&runs={runs}&reason=accepted&note=");
        visitor.post("/w/main/follow-ups/resolve", &form).await
    };
    let size = visitor.service.size().await;
    let again = say(2).await;
    assert_eq!(again.status, StatusCode::OK);
    let again = String::from_utf8(again.body.to_vec()).unwrap();
    assert!(again.contains("data-runs=\"3\"") && again.contains("role=\"alert\""), "{again}");
    assert_eq!(visitor.service.size().await, size, "nothing was recorded");
    let done = say(3).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{done:?}");
    assert_eq!(visitor.service.size().await, size + 3);
    let to = done.headers[header::LOCATION].to_str().unwrap().to_owned();
    let page = visitor.page(&to).await;
    assert!(!page.contains("class=\"said\"") && page.contains("class=\"empty\""), "{page}");
    let page = visitor.opened(&to, &along(&done)).await;
    assert!(page.contains("class=\"said\"") && page.contains("3\u{a0}runs."), "{page}");
    // And back, one of them.
    let form = format!("action=reopen&run={}&runs=1&reason=not_yet&note=", run(9));
    let reply = visitor.post("/w/main/follow-ups/resolve", &form).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{reply:?}");
    let page = visitor.page("/w/main/follow-ups").await;
    assert!(page.contains("acme.other") && !page.contains("tenant/8"), "{page}");
    let page = visitor.page("/w/main/follow-ups?actionability=resolved_by_operator").await;
    assert!(page.contains("&#38;action=reopen&#38;all=true&#38;back="), "and all of them: {page}");
}

/// All of a list is a choice of its own: it is not what is left when nothing was marked.
#[tokio::test]
async fn a_word_on_nothing_that_was_marked_is_said_on_nothing() {
    let visitor = follower(Database::Sqlite).await;
    let size = visitor.service.size().await;
    let of = "/w/main/follow-ups/resolve?environment=prod";
    for action in ["resolve", "reopen"] {
        for marked in ["", "&item=", "&run=", "&item=&item="] {
            let page = visitor.page(&format!("{of}&action={action}{marked}")).await;
            assert!(page.contains("data-none-marked"), "{action}{marked}: {page}");
            assert!(page.contains("Nothing is selected"), "{action}{marked}: {page}");
            assert!(!page.contains("tenant/8"), "nothing is meant: {page}");
            assert!(!page.contains("name=\"reason\""), "and nothing can be said: {page}");
            // All of it is the next thing that may be chosen, and the page says that it is all.
            let all = format!("{}&#38;action={action}&#38;all=true\"", of.replace('&', "&#38;"));
            assert!(page.contains(&all), "{page}");
        }
        // Where runs are listed there are filters that this page does not have.
        let page = visitor.page(&format!("{of}&action={action}&back=/w/main/runs?queue=q")).await;
        assert!(page.contains("data-none-marked") && !page.contains("all=true"), "{page}");
        let form = format!("environment=prod&action={action}&runs=0&reason=accepted&note=&item=");
        let reply = visitor.post("/w/main/follow-ups/resolve", &form).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{reply:?}");
    }
    assert_eq!(visitor.service.size().await, size, "nothing was recorded");
    let list = visitor.page("/w/main/follow-ups?environment=prod").await;
    let all =
        super::between(&list, "<a class=\"button\" href=\"/w/main/follow-ups/resolve", "</a>");
    assert!(all.contains("all=true") && all.contains("Resolve all that fit"), "{all}");
    let page = visitor.page(&format!("{of}&action=resolve&all=true")).await;
    assert!(page.contains("on all of its pages") && page.contains("data-runs=\"1\""), "{page}");
    // What is marked is never made more of.
    let none = "0".repeat(32);
    let page = visitor.page(&format!("{of}&action=resolve&all=true&item={none}")).await;
    assert!(page.contains("data-runs=\"0\"") && page.contains("What you selected"), "{page}");
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn runs_that_need_a_person_are_marked_and_resolved_where_runs_are_listed(
    #[case] database: Database,
) {
    let visitor = follower(database).await;
    let page = visitor.page("/w/main/runs?follow_up=true").await;
    assert!(page.contains(&format!("name=\"run\" value=\"{}\"", run(2))), "{page}");
    assert!(!visitor.page("/w/main/runs").await.contains("name=\"run\""));
    let chosen = format!("/w/main/follow-ups/resolve?action=resolve&run={}", run(2));
    let shown = visitor.page(&chosen).await;
    assert!(shown.contains("data-runs=\"1\"") && shown.contains("tenant/8"), "{shown}");
    assert!(!shown.contains("acme.own"), "what is not marked is not meant: {shown}");
    let form = format!("action=resolve&run={}&runs=1&reason=accepted&note=", run(2));
    let reply = visitor.post("/w/main/follow-ups/resolve", &form).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{reply:?}");
    let page = visitor.page("/w/main/runs?follow_up=true").await;
    assert!(page.contains("acme.own") && !page.contains("tenant/8"), "{page}");
}

/// A moment before something was there is told as that, and not as calm.
#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_moment_before_something_was_there_says_so(#[case] database: Database) {
    let visitor = visitor(database).await;
    let reply = visitor.get(&format!("/w/main/runs/{}?as_of=2", run(6))).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    let page = String::from_utf8(reply.body.to_vec()).unwrap();
    for text in ["class=\"past-band\"", "data-not-yet", "had been recorded at", "tenant/10"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(page.contains(&format!("href=\"/w/main/runs/{}\"", run(6))), "a link to now: {page}");
    let reply = visitor.get("/w/main/runs/0195f3c0-0000-7000-8000-0000000000ff?as_of=2").await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    assert!(!String::from_utf8(reply.body.to_vec()).unwrap().contains("data-not-yet"));
    for path in ["/w/main", "/w/main/follow-ups", "/w/main/runs", "/w/main/log"] {
        let page = visitor.page(&format!("{path}?as_of=2020-01-01T00:00:00Z")).await;
        assert!(page.contains("data-before-all") && page.contains("made later"), "{path}: {page}");
        assert!(!page.contains("id=\"activity\"") && !page.contains("NothingToDo"), "{path}");
        assert!(!page.contains("Nothing needs a person"), "{path}: {page}");
        assert!(!page.contains("id=\"follow-up-count\""), "no count of what was not there: {path}");
    }
    // All workspaces together have a past as well.
    let now = visitor.page("/w").await;
    assert!(now.contains("class=\"as-of\"") && !now.contains("class=\"past-band\""));
    let size = visitor.service.size().await;
    let long_ago = visitor.page("/w?as_of=2020-01-01T00:00:00Z").await;
    assert!(long_ago.contains("data-untold=\"workspaces-not-there\""), "{long_ago}");
    assert!(!long_ago.contains("data-count=") && long_ago.contains("Nothing was here yet"));
    let events = |size: u64, page: &str| page.contains(&format!("\">{size}</a></td><td"));
    let then = visitor.page("/w?as_of=2026-03-01T12:00:00Z").await;
    assert!(then.contains("class=\"past-band\"") && !then.contains("data-every"), "{then}");
    assert!(then.contains("/w/main/follow-ups?as_of=2026-03-01T12:00:00Z"), "{then}");
    assert!(events(size, &now), "{now}");
    assert!(!events(size, &then), "{then}");
}

#[tokio::test]
async fn what_a_source_said_is_text_and_no_markup() {
    let visitor = visitor(Database::Sqlite).await;
    let page = visitor.page(&format!("/w/main/runs/{}", run(2))).await;
    assert!(!page.contains("<b>no answer</b>"), "{page}");
    assert!(page.contains("&lt;b&gt;") || page.contains("&#60;b&#62;"), "{page}");
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_by_name_as_a_page() {
    let visitor = visitor(Database::Sqlite).await;
    for (path, status, text) in [
        ("/w/main/runs?colour=red", 400, "colour"),
        ("/w/main/runs?status=sleeping", 400, "sleeping"),
        ("/w/main?as_of=2099-01-01T00:00:00Z", 422, "future"),
        ("/w?as_of=300", 400, "must be a time here"),
        ("/w?environment=prod", 400, "no parameter environment"),
        ("/w/nowhere", 404, "workspace"),
        ("/w/main/runs/0195f3c0-0000-7000-8000-0000000000ff", 404, "0195f3c0"),
    ] {
        let reply = visitor.get(path).await;
        assert_eq!(reply.status.as_u16(), status, "{path}");
        let page = String::from_utf8(reply.body.to_vec()).unwrap();
        assert!(page.starts_with("<!doctype html>") && page.contains(text), "{path}: {page}");
    }
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn a_page_costs_as_many_statements_with_a_long_history_as_with_a_short_one(
    #[case] database: Database,
) {
    let visitor = visitor(database).await;
    let of_run = format!("/w/main/runs/{}", run(1));
    let pages = [
        "/w",
        "/w/main/adapters",
        "/w/main/log",
        "/w/main/log?type=run.failed",
        "/w/main",
        "/w/main/follow-ups",
        "/w/main/runs",
        "/w/main/queues",
        "/w/main/operations",
        "/w/main/environments",
        of_run.as_str(),
    ];
    let count = async || {
        let mut counts = Vec::new();
        for path in pages {
            let (_, watched) = Box::pin(watch(visitor.page(path))).await;
            counts.push((path, watched.len()));
        }
        counts
    };
    let short = Box::pin(count()).await;
    for number in 20..120 {
        let data = json!({"operation": "inventory.sync", "environment": "dev",
            "queue": "sync", "subject": {"type": "tenant", "id": format!("t{number}")}});
        let failed = json!({"reason_code": "timeout"});
        let events = [event(number, "run.dispatched", data), event(number, "run.failed", failed)];
        visitor.service.record(&events).await;
    }
    assert_eq!(Box::pin(count()).await, short);
    assert!(short.iter().all(|(_, statements)| (1..40).contains(statements)), "{short:?}");
}
