//! What somebody found who walked every page: weights of the longest lists, words of the past, what
//! cannot be seen in what was given, and counts that leave nothing out.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::pages::weight;
use super::{Visitor, between, happenings};
use crate::service::{Database, Service, event, run};

/// One on whose pages there is more than fits.
async fn crowded() -> Visitor {
    let visitor = Visitor::of(Service::following(Database::Sqlite).await).await;
    let dispatched = |number: u8, subject: String| {
        let subject = json!({"type": "provider_connection", "id": subject});
        let operation = if number > 100 { "inventory.sync" } else { "permission.posture.check" };
        let data = json!({"operation": operation, "environment": "production", "subject": subject});
        event(number, "run.dispatched", data)
    };
    let failed = |number: u8| event(number, "run.failed", json!({"reason_code": "timeout"}));
    let mut events: Vec<Value> = Vec::new();
    for number in 1..=90 {
        let subject = format!("a-subscription-with-a-long-name-{number:03}");
        events.extend([dispatched(number, subject), failed(number)]);
    }
    // Half of the others are made good by a run of the same work that came later.
    let subject = |number: u8| format!("another-one-with-a-long-name-{:03}", number / 2);
    for number in (102..=190).step_by(2) {
        events.extend([dispatched(number, subject(number)), failed(number)]);
    }
    visitor.service.record(&events).await;
    visitor.service.wait(60);
    let good = (103..=191).step_by(2).flat_map(|number| {
        [dispatched(number, subject(number)), event(number, "run.succeeded", json!({}))]
    });
    visitor.service.record(&good.collect::<Vec<_>>()).await;
    let alive = |number: u64| {
        let progress = json!({"done": number, "total": 300, "phase": format!("part {number}")});
        event(250, "run.heartbeat", json!({"progress": progress}))
    };
    let data = json!({"operation": "inventory.sync", "environment": "production"});
    let mut long = vec![event(250, "run.dispatched", data), event(250, "run.started", json!({}))];
    long.extend((1..=300).map(alive));
    visitor.service.record(&long).await;
    visitor.service.wait(60);
    visitor.service.record(&[failed(250)]).await;
    visitor.page("/w/main").await;
    visitor
}

#[tokio::test]
async fn the_longest_lists_weigh_no_more_than_any_page_and_say_that_they_go_on() {
    let visitor = crowded().await;
    for (path, rows) in [
        ("/w/main/runs?limit=500", 40),
        ("/w/main/runs?follow_up=true&limit=500", 30),
        ("/w/main/runs?actionability=superseded_by_later_success&limit=500", 30),
        ("/w/main/runs?left_since=2020-01-01&limit=500", 30),
        ("/w/main/runs?limit=60", 40),
        ("/w/main/follow-ups?limit=500", 25),
        ("/w/main/follow-ups?actionability=superseded_by_later_success&limit=500", 25),
    ] {
        let page = visitor.page(path).await;
        assert_eq!(page.matches("data-row=\"").count(), rows, "{path}: {page}");
        let bytes = weight(&visitor, &page).await;
        assert!(bytes < 150 * 1024, "{path} weighs {bytes} bytes");
        let said = between(&page, "data-capped>", "</p>");
        let asked = between(&format!("{path}&"), "limit=", "&");
        assert!(said.contains(&asked) && said.contains(&rows.to_string()), "{path}: {said}");
        assert!(said.contains("rel=\"next\"") && said.contains("cursor="), "{path}: {said}");
    }
    for path in ["/w/main/runs", "/w/main/runs?limit=20", "/w/main/follow-ups"] {
        let page = visitor.page(path).await;
        assert!(!page.contains("data-capped"), "{path} shows as many as were asked for");
    }
    let of_run = format!("/w/main/runs/{}", run(250));
    for path in ["/w/main/log", "/w/main/log?type=run.heartbeat", of_run.as_str()] {
        let bytes = weight(&visitor, &visitor.page(path).await).await;
        assert!(bytes < 150 * 1024, "{path} weighs {bytes} bytes");
    }
}

#[tokio::test]
async fn a_run_of_many_events_shows_the_last_of_them_and_leads_to_the_rest() {
    let visitor = crowded().await;
    let page = visitor.page(&format!("/w/main/runs/{}", run(250))).await;
    let raw = page.split("class=\"card raw\"").nth(1).unwrap();
    assert_eq!(raw.matches("id=\"event-").count(), 16, "{raw}");
    assert!(raw.contains("Reported a problem"), "its end is among them: {raw}");
    assert!(raw.contains("The last 16") && raw.contains(&format!("run={}", run(250))), "{raw}");
    // What has ended goes on no more: its progress is said to be the last one.
    let progress = between(&page, "<p class=\"progress\">", "</p>");
    assert!(progress.contains("Last reported: ") && progress.contains("\"stopped\""), "{progress}");
    let few = visitor.page(&format!("/w/main/runs/{}", run(1))).await;
    assert!(!few.contains("The last "), "all of it is there: {few}");
}

#[tokio::test]
async fn a_run_as_of_a_moment_is_told_of_that_moment() {
    let visitor = Visitor::on(Database::Sqlite).await;
    happenings(&visitor.service).await;
    let path = format!("/w/main/runs/{}", run(1));
    let page = visitor.page(&path).await;
    assert!(page.contains("<h2 data-moment>Now</h2>") && page.contains("until now"), "{page}");
    let page = visitor.page(&format!("{path}?as_of=6")).await;
    let main = page.split("<main").nth(1).unwrap();
    let heading = between(main, "<h2 data-moment>", "</h2>");
    assert!(heading.starts_with("As of <time"), "{heading}");
    for now in [">Now<", "until now", "true now"] {
        assert!(!main.contains(now), "{now} of a moment that is past: {main}");
    }
    assert!(main.contains("until that moment"), "{main}");
    let list = visitor.page("/w/main/runs?as_of=6").await;
    assert!(!list.split("<main").nth(1).unwrap().contains(">Now<"), "{list}");
}

#[tokio::test]
async fn what_cannot_be_seen_is_shown_by_a_sign_where_it_is_refused() {
    let visitor = Visitor::on(Database::Sqlite).await;
    for path in ["/w/main/runs?text=a%00b", "/w/main/log?run=a%00b", "/w/main/runs?status=a%00b"] {
        let reply = visitor.get(path).await;
        let page = String::from_utf8(reply.body.to_vec()).unwrap();
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(!page.contains('\0') && page.contains("a␀b"), "{path}: {page}");
    }
}

#[tokio::test]
async fn a_form_without_a_field_says_which() {
    let visitor = Visitor::on(Database::Sqlite).await;
    happenings(&visitor.service).await;
    visitor.page("/w/main").await;
    let to = format!("/w/main/runs/{}/follow-up", run(2));
    for (form, named) in [
        ("action=resolve&note=&next=/", "reason"),
        ("reason=fixed&note=&next=/", "action"),
        ("action=resolve&reason=fixed&note=&next=/&colour=red", "colour"),
        ("action=resolve&reason=a&reason=b&note=&next=/", "reason"),
        ("action=close&reason=a&note=&next=/", "close"),
    ] {
        let reply = visitor.post(&to, form).await;
        let page = String::from_utf8(reply.body.to_vec()).unwrap();
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{form}: {page}");
        let card = between(&page, "fault-card", "</section>");
        assert!(card.contains(named), "{form} does not name {named}: {card}");
    }
}

/// Counts that leave out what the list is narrowed by would be beside a list that has fewer.
#[tokio::test]
async fn choices_tell_no_count_that_their_list_does_not_have() {
    let visitor = Visitor::on(Database::Sqlite).await;
    happenings(&visitor.service).await;
    let counted = "<span class=\"facet-count\">";
    assert!(visitor.page("/w/main/runs?outcome=failed").await.contains(counted));
    for narrowed in ["text=tenant", "freshness=terminal", "since=2020-01-01", "overdue=true"] {
        let page = visitor.page(&format!("/w/main/runs?{narrowed}")).await;
        assert!(!page.contains(counted), "{narrowed}: {page}");
        assert!(page.contains("is not counted where"), "{narrowed}: {page}");
        assert!(page.contains("class=\"facet-label\""), "the choices are there: {page}");
    }
}
