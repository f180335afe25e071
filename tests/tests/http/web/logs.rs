//! The log as a page: what it says where nothing is, and where it ends.

use super::{Visitor, happenings};
use crate::service::{Database, run};

#[tokio::test]
async fn a_log_says_where_it_ends_and_that_nothing_fits() {
    let visitor = Visitor::on(Database::Sqlite).await;
    happenings(&visitor.service).await;
    visitor.page("/w/main").await;
    let whole = visitor.page("/w/main/log").await;
    assert!(!whole.contains("data-beyond"), "{whole}");
    // Just behind the last event is where the log ends; further on there is nothing.
    let size = whole.split("data-row=\"").nth(1).unwrap().split('"').next().unwrap();
    let size = size.parse::<u64>().unwrap() + 1;
    let at_its_end = visitor.page(&format!("/w/main/log?before={size}")).await;
    assert!(!at_its_end.contains("data-beyond"), "{at_its_end}");
    let beyond = visitor.page("/w/main/log?before=90000").await;
    assert!(beyond.contains("data-beyond") && beyond.contains("position 90000"), "{beyond}");
    let nothing = visitor.page("/w/main/log?type=erasure.requested").await;
    assert!(nothing.contains("No event fits what is asked for."), "{nothing}");
    assert!(!nothing.contains("Nothing is recorded yet."), "{nothing}");
}

#[tokio::test]
async fn a_run_is_found_by_what_pages_show_of_its_id() {
    let visitor = Visitor::on(Database::Sqlite).await;
    happenings(&visitor.service).await;
    visitor.page("/w/main").await;
    let id = run(2).to_string();
    let shown = id.rsplit_once('-').unwrap().1;
    let list = visitor.page(&format!("/w/main/runs?text={shown}")).await;
    assert_eq!(list.matches("data-row=\"").count(), 1, "{list}");
    assert!(list.contains(&id), "{list}");
    let log = visitor.page(&format!("/w/main/log?run={}", shown.to_uppercase())).await;
    assert_eq!(log.matches("data-row=\"").count(), 2, "{log}");
}
