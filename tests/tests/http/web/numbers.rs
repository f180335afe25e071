//! Numbers: each says of what it is, and leads to a list with exactly as many.

use super::{Visitor, between, happenings, signed_in};
use crate::service::{Database, Service, event, run};
use serde_json::json;

/// How many runs a list says that it has.
async fn length(visitor: &Visitor, path: &str) -> usize {
    let page = visitor.page(path).await;
    let said = between(&page, "data-length=\"", "\"");
    let rows = page.matches("data-row=\"").count();
    assert_eq!(said.parse(), Ok(rows), "{path}");
    rows
}

#[tokio::test]
async fn every_number_of_the_overview_leads_to_as_many() {
    let visitor = Visitor::on(Database::Sqlite).await;
    happenings(&visitor.service).await;
    let page = visitor.page("/w/main").await.replace("&#38;", "&").replace("&amp;", "&");
    let quiet = between(&page, "class=\"quiet\"", "</ul>");
    let mut ways = 0;
    for part in quiet.split("<li").skip(1) {
        let href = between(part, "href=\"", "\"");
        let count = between(part, "quiet-count\">", "\u{a0}");
        assert!(href.contains("since="), "{href}");
        assert_eq!(count, length(&visitor, &href).await.to_string(), "{href}");
        ways += 1;
    }
    assert_eq!(ways, 4);
    let needs = between(&page, "class=\"needs", "</section>");
    assert!(needs.contains("2 </a>") || needs.contains(">2</a> <span class=\"unit\">things to do"));
    assert!(needs.contains(">2\u{a0}runs</a>"), "{needs}");
    assert_eq!(length(&visitor, "/w/main/runs?follow_up=true").await, 2);
    let list = visitor.page("/w/main/follow-ups").await;
    assert_eq!(list.matches("data-row=\"").count(), 2, "{list}");
    assert!(list.contains("2\u{a0}things to do"), "{list}");
}

#[tokio::test]
async fn what_is_active_and_how_many_are_drawn_lead_to_as_many() {
    let visitor = Visitor::on(Database::Sqlite).await;
    happenings(&visitor.service).await;
    visitor.service.wait(3 * 3_600);
    let data = json!({"operation": "inventory.sync", "environment": "prod"});
    visitor.service.record(&[event(7, "run.dispatched", data)]).await;
    let page = visitor.page("/w/main").await.replace("&#38;", "&").replace("&amp;", "&");
    let figures = between(&page, "class=\"figures\"", "</dl>");
    let mut told = Vec::new();
    for part in figures.split("<dd>").skip(1) {
        let (href, count) = (between(part, "href=\"", "\""), between(part, "\">", "</a>"));
        assert_eq!(count, length(&visitor, &href).await.to_string(), "{href}");
        told.push(count);
    }
    assert_eq!(told, ["2", "1", "0"], "overdue, in time, without a limit");
    let total = between(&page, "data-chart-total>", "</p>");
    let (href, count) = (between(&total, "href=\"", "\""), between(&total, "\">", "\u{a0}"));
    assert_eq!((count.as_str(), length(&visitor, &href).await), ("7", 7), "{href}");
    // What waits in a queue is a list of that queue and its connection.
    let queues = visitor.page("/w/main/queues").await.replace("&#38;", "&");
    let href = between(&queues, "<td class=\"num\"><a class=\"figure-link\" href=\"", "\"");
    assert_eq!(href, "/w/main/runs?status=queued&queue=left&connection=");
    assert_eq!(length(&visitor, &href).await, 1);
    let elsewhere = "/w/main/runs?status=queued&queue=left&connection=redis";
    assert_eq!(length(&visitor, elsewhere).await, 0);
    // Words, and not the value of a parameter.
    let others = visitor.page("/w/main/runs?follow_up=false").await;
    assert!(between(&others, "class=\"chips\"", "</ul>").contains("Needs nobody now"), "{others}");
}

#[tokio::test]
async fn what_all_workspaces_count_leads_to_as_many_in_each() {
    let visitor = Visitor::on(Database::Sqlite).await;
    happenings(&visitor.service).await;
    let data = json!({"operation": "acme.unknown"});
    visitor.service.record(&[event(8, "run.dispatched", data)]).await;
    visitor.service.wait(120);
    visitor.page("/w/main").await;
    let page = visitor.page("/w").await.replace("&#38;", "&").replace("&amp;", "&");
    for (part, expected) in [("data-in-time", 2), ("data-no-limit", 1), ("data-late", 7)] {
        let (before, after) = page.split_once(part).unwrap_or_else(|| panic!("no {part}: {page}"));
        let href = before.rsplit_once("href=\"").unwrap().1.split('"').next().unwrap();
        let count = between(after, ">", "</a>");
        assert_eq!(count, expected.to_string(), "{part}");
        assert_eq!(length(&visitor, href).await, expected, "{href}");
    }
    let total = between(&page, "data-chart-total>", "</p>");
    assert!(total.contains("<a href=\"#by-workspace\">7\u{a0}runs</a>"), "{total}");
}

#[tokio::test]
async fn a_list_that_does_not_fit_a_page_is_counted_all_the_same() {
    let visitor = Visitor::on(Database::Sqlite).await;
    for number in 1..=45 {
        let data = json!({"operation": "acme.many"});
        visitor.service.record(&[event(number, "run.dispatched", data)]).await;
    }
    let page = visitor.page("/w/main/runs?since=2020-01-01").await;
    assert_eq!(page.matches("data-row=\"").count(), 40);
    assert_eq!(between(&page, "data-length=\"", "\""), "45");
    assert!(page.contains("45\u{a0}runs"), "{page}");
    // And so is how many ended, by an adapter or not.
    for number in 1..=3 {
        visitor.service.record(&[event(number, "run.succeeded", json!({}))]).await;
    }
    let page = visitor.page("/w/main/runs").await;
    let facet = between(&page, ">Time limit<", "</details>");
    let ended = facet.split("<li").find(|part| part.contains("freshness=terminal\"")).unwrap();
    assert!(ended.contains("facet-count\">3<"), "{facet}");
}

#[tokio::test]
async fn the_oldest_that_need_a_person_are_on_the_overview_by_verdict() {
    let visitor = Visitor::on(Database::Sqlite).await;
    let failed = json!({"reason_code": "timeout"});
    for number in 1..=9 {
        let operation = if number == 5 { "restore.execute" } else { "inventory.sync" };
        let data = json!({"operation": operation, "environment": "prod",
            "subject": {"type": "tenant", "id": format!("t{number}")}});
        let events =
            [event(number, "run.dispatched", data), event(number, "run.failed", failed.clone())];
        visitor.service.record(&events).await;
        visitor.service.wait(60);
    }
    let page = visitor.page("/w/main").await;
    let group = |status: &str| between(&page, &format!("data-open=\"{status}\""), "</section>");
    let (to_do, to_review) = (group("actionable"), group("requires_manual_review"));
    let place = |id: &str| to_do.find(&format!("tenant/{id}<"));
    assert!(place("t1").unwrap() < place("t2").unwrap(), "the oldest first: {to_do}");
    assert!(place("t9").is_none() && place("t5").is_none(), "{to_do}");
    assert!(to_review.contains("tenant/t5<") && !to_review.contains("tenant/t1<"), "{to_review}");
    assert!(to_do.contains("5 of 8\u{a0}things to do shown"), "{to_do}");
    assert!(page.find("data-open=\"actionable\"") < page.find("data-open=\"requires"), "{page}");
    // The whole list goes the same way round, page by page.
    let list = visitor.page("/w/main/follow-ups?sort=oldest&limit=4").await;
    assert!(list.find("tenant/t1<").unwrap() < list.find("tenant/t4<").unwrap(), "{list}");
    let next = between(&list, "rel=\"next\" href=\"", "\"").replace("&#38;", "&");
    assert!(next.contains("sort=oldest"), "{next}");
    assert!(visitor.page(&next).await.contains("tenant/t6<"));
}

#[tokio::test]
async fn what_is_left_out_is_said_and_can_be_opened() {
    let visitor = Visitor::on(Database::Sqlite).await;
    for number in 1..=30 {
        let data = json!({"operation": format!("acme.kind{number}")});
        visitor.service.record(&[event(number, "run.dispatched", data)]).await;
    }
    let overview = visitor.page("/w/main").await;
    let more = between(&overview, "data-more=\"operations\">", "</p>");
    assert!(more.contains("14 of 30\u{a0}operations shown"), "{more}");
    assert!(more.contains("href=\"/w/main/operations\""), "{more}");
    let runs = visitor.page("/w/main/runs").await;
    for number in 1..=30 {
        assert!(runs.contains(&format!("?operation=acme.kind{number}\"")), "{number}");
    }
    assert!(runs.contains("18 more"), "{runs}");
}

#[tokio::test]
async fn runs_are_narrowed_by_every_filter_of_the_api_on_the_page() {
    let visitor = Visitor::on(Database::Sqlite).await;
    happenings(&visitor.service).await;
    let page = visitor.page("/w/main/runs").await;
    for name in ["text", "subject", "operation", "queue", "connection", "since", "until"] {
        assert!(page.contains(&format!("name=\"{name}\"")), "{name}");
    }
    for path in ["subject=tenant/10", "queue=left", "since=2020-01-01T00:00", "until=2020-01-01"] {
        length(&visitor, &format!("/w/main/runs?{path}")).await;
    }
    // Each choice of a time limit says how many runs it leaves, and leaves them.
    let facet = between(&page, ">Time limit<", "</details>");
    for part in facet.split("<li").skip(1) {
        let href = between(part, "href=\"", "\"");
        let count = part.split_once("facet-count\">").map(|(_, rest)| rest.split('<').next());
        let left = length(&visitor, &href).await.to_string();
        assert!(count.is_none_or(|count| count == Some(left.as_str())), "{href}: {left}");
    }
    assert!(facet.contains("freshness=fresh_running"), "{facet}");
    let narrowed = visitor.page("/w/main/follow-ups?operation=acme.own").await;
    assert_eq!(narrowed.matches("data-row=\"").count(), 1, "{narrowed}");
}

#[tokio::test]
async fn an_empty_workspace_says_how_the_first_event_is_reported() {
    let visitor = Visitor::of(Service::on(Database::Sqlite).await).await;
    for path in ["/w/main", "/w/main/runs", "/w/main/follow-ups"] {
        let page = visitor.page(path).await;
        assert!(page.contains("/v1/workspaces/main/events"), "{path}: {page}");
    }
}

#[tokio::test]
async fn a_run_is_told_the_why_of_each_verdict() {
    let visitor = Visitor::on(Database::Sqlite).await;
    happenings(&visitor.service).await;
    let why = async |number: u8| {
        let page = visitor.page(&format!("/w/main/runs/{}", run(number))).await;
        between(&page, "class=\"why\"", "</section>")
    };
    let superseded = why(1).await;
    for text in ["7.8 later_success", "Catalog version", "Policy", "Time alone does not change"] {
        assert!(superseded.contains(text), "{text}: {superseded}");
    }
    let running = why(6).await;
    for text in ["5 run_window", "Window", "Last sign of life", "Silent, overdue"] {
        assert!(running.contains(text), "{text}: {running}");
    }
    let waiting = why(5).await;
    for text in ["5 queue_window", "6 nothing_known", "Waiting, overdue"] {
        assert!(waiting.contains(text), "{text}: {waiting}");
    }
    let page = visitor.page(&format!("/w/main/runs/{}", run(1))).await;
    let now = between(&page, "class=\"truth now", "</section>");
    assert!(now.contains("data-since>since <time"), "{now}");
}

#[tokio::test]
async fn the_log_is_narrowed_by_environment_time_and_a_part_of_a_run() {
    let visitor = Visitor::on(Database::Sqlite).await;
    happenings(&visitor.service).await;
    let count = async |query: &str| {
        let page = visitor.page(&format!("/w/main/log?{query}")).await;
        page.matches("id=\"event-").count()
    };
    let short = run(6).rsplit('-').next().unwrap().to_owned();
    assert_eq!(count(&format!("run={short}")).await, count(&format!("run={}", run(6))).await);
    let all = count("").await;
    let prod = count("environment=prod").await;
    assert!(prod > 5 && prod < all, "{prod} of {all}");
    assert_eq!(count("environment=").await, 2);
    assert_eq!(count("until=2020-01-01").await, 0);
    assert_eq!(count("since=2020-01-01").await, all);
}

#[tokio::test]
async fn what_was_made_good_today_counts_today_whenever_it_was_dispatched() {
    let mut visitor = Visitor::on(Database::Sqlite).await;
    let sync = json!({"operation": "inventory.sync", "environment": "prod",
        "subject": {"type": "tenant", "id": "7"}});
    let failed = json!({"reason_code": "timeout"});
    let ended = [
        event(1, "run.dispatched", sync.clone()),
        event(1, "run.failed", failed),
        event(2, "run.dispatched", json!({"operation": "acme.own"})),
        event(2, "run.ended", json!({})),
    ];
    visitor.service.record(&ended).await;
    visitor.service.wait(30 * 3_600);
    // A later success; and a success that happened hours ago and is reported only now.
    let late = json!({"type": "run.succeeded", "run_id": run(2), "data": {},
        "occurred_at": "2026-03-01T13:00:00Z"});
    let good = [event(3, "run.dispatched", sync), event(3, "run.succeeded", json!({})), late];
    visitor.service.record(&good).await;
    visitor.service.wait(60);
    visitor.cookie = signed_in(&visitor.service).await;
    let page = visitor.page("/w/main").await.replace("&#38;", "&");
    let quiet = between(&page, "class=\"quiet\"", "</ul>");
    for verdict in ["superseded_by_later_success", "resolved_by_current_state"] {
        let part = quiet.split("<li").find(|part| part.contains(verdict)).unwrap();
        assert!(part.contains("quiet-count\">1\u{a0}run<"), "{part}");
        let href = between(part, "href=\"", "\"");
        assert_eq!(length(&visitor, &href).await, 1, "{href}");
        let list = visitor.page(&format!("/w/main/follow-ups?actionability={verdict}")).await;
        let left = between(&list, "data-left>Left the list", "</span>");
        let now = visitor.service.read("overview").await["at"].as_str().unwrap().to_owned();
        assert!(left.contains(&now[..10]), "not when it happened: {left}, and it is {now}");
    }
    assert_eq!(length(&visitor, "/w/main/runs?left_since=2099-01-01").await, 0);
}
