//! What runs and verdicts are related to: the first link everywhere, and a link only where it leads
//! somewhere.

use rstest::rstest;
use serde_json::{Value, json};

use super::{Visitor, between, happenings};
use crate::service::{Database, event, run};

fn made(number: u8, thing: Value) -> [Value; 2] {
    let operation = json!({"operation": "acme.made"});
    [
        event(number, "run.dispatched", operation),
        event(number, "run.succeeded", json!({"artifacts": [thing]})),
    ]
}

#[rstest]
#[case::sqlite(Database::Sqlite)]
#[case::postgresql(Database::Postgres)]
#[tokio::test]
async fn related_things_are_the_first_links_and_links_only_where_they_lead_somewhere(
    #[case] database: Database,
) {
    let visitor = Visitor::on(database).await;
    happenings(&visitor.service).await;
    let elsewhere = "0195f3c0-0000-7000-8000-0000000000ff";
    let address = "https://reports.example/7";
    for (number, thing) in [
        (11, json!({"type": "run", "id": run(3)})),
        (12, json!({"type": "report", "id": address})),
        (13, json!({"type": "report", "id": "javascript:alert(1)"})),
        (14, json!({"type": "run", "id": elsewhere})),
    ] {
        visitor.service.record(&made(number, thing)).await;
    }
    let list = visitor.page("/w/main/runs?operation=acme.made").await;
    let to_run = format!("href=\"/w/main/runs/{}\"", run(3));
    let to_page = format!("href=\"{address}\" rel=\"external noopener noreferrer\"");
    for (number, link) in [(11, Some(&to_run)), (12, Some(&to_page)), (13, None), (14, None)] {
        let of_run = visitor.page(&format!("/w/main/runs/{}", run(number))).await;
        let row = between(&list, &format!("data-row=\"{}\"", run(number)), "</tr>");
        let now = between(&row, "class=\"now-side\"", "</td>");
        for shown in [between(&of_run, "class=\"truth now", "</section>"), now] {
            let shown = between(&shown, "class=\"related\"", "</span>");
            assert_eq!(
                shown.contains("href=\"/w/") || shown.contains("href=\"http"),
                link.is_some()
            );
            assert!(link.is_none_or(|link| shown.contains(link)), "{number}: {shown}");
        }
        assert!(!of_run.contains("href=\"javascript"), "{of_run}");
        assert!(!of_run.contains(&format!("/runs/{elsewhere}")), "{of_run}");
    }
    // A run that another one superseded leads to that one, wherever it is listed.
    for page in [
        format!("/w/main/runs/{}", run(1)),
        "/w/main/runs?actionability=superseded_by_later_success".to_owned(),
        "/w/main/follow-ups?actionability=superseded_by_later_success".to_owned(),
    ] {
        let shown = visitor.page(&page).await;
        let first = between(&shown, "class=\"related\"><a href=\"", "\"");
        assert_eq!(first, format!("/w/main/runs/{}", run(3)), "{page}");
    }
}
