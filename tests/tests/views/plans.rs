//! What a question costs: how many statements, and that each is answered from an index, whatever
//! the history.

use std::collections::BTreeSet;

use runledger_ledger::run::Named;
use runledger_ledger::submission::Submission;
use runledger_ledger::words::{Outcome, Status};
use runledger_projections::rules::actionability::Actionability;
use runledger_projections::rules::freshness::Freshness;
use runledger_projections::{
    FollowUpFilter, ItemOrder, PageRequest, RunFilter, Sight, Truncated, View, ViewError, Watched,
    watch,
};
use runledger_tests::superuser_of;
use runledger_tests::world::{
    BEGIN, World, dispatch, ended, name, run, started, subject, within, worker,
};

on_both_databases! {
    every_question_is_answered_from_an_index =>
        every_question_is_answered_from_an_index_on_sqlite,
        every_question_is_answered_from_an_index_on_postgresql;
    a_long_page_costs_as_many_statements_as_a_short_one =>
        a_long_page_costs_as_many_statements_as_a_short_one_on_sqlite,
        a_long_page_costs_as_many_statements_as_a_short_one_on_postgresql;
}

/// Runs of every kind: of each hundred, a few are active and a few failed.
fn history(numbers: std::ops::Range<u128>) -> Vec<Submission> {
    let mut submissions = Vec::new();
    for number in numbers {
        let operation = match number % 4 {
            0 => "inventory.sync",
            1 => "backup.set.create",
            _ => "restore.execute",
        };
        let named = Named {
            subject: Some(subject(&format!("host/{}", number % 97))),
            queue: Some(name(["sync", "backups"][usize::try_from(number % 2).unwrap()])),
            ..within(["prod", "test", "stage"][usize::try_from(number % 5 % 3).unwrap()])
        };
        submissions.push(dispatch(run(number), operation, named));
        match number % 50 {
            0 => continue,
            1 => submissions.push(started(run(number))),
            2..20 => submissions.push(ended(run(number), Outcome::Failed)),
            20 => submissions.push(ended(run(number), Outcome::Cancelled)),
            _ => submissions.push(ended(run(number), Outcome::Succeeded)),
        }
    }
    submissions
}

async fn with_history(world: &World, runs: u128) {
    world.record(worker("w1", &["sync", "backups"])).await;
    for begin in (1..=runs).step_by(200) {
        world.submit(history(begin..(begin + 200).min(runs + 1))).await;
        world.wait(1);
    }
    world.projections.catch_up(world.workspace).await.unwrap();
    if let Some(pool) = world.ledger.store().postgres() {
        // What the database does by itself in time: statistics, and which pages need no look.
        sqlx::query("VACUUM ANALYZE").execute(&mut superuser_of(pool).await).await.unwrap();
    }
}

fn run_filters() -> Vec<RunFilter> {
    let any = RunFilter::default;
    let named = |text: &str| Some(text.to_owned());
    vec![
        any(),
        RunFilter { status: Some(Status::Queued), ..any() },
        RunFilter { status: Some(Status::Running), ..any() },
        RunFilter { status: Some(Status::Completed), ..any() },
        RunFilter { outcome: Some(Outcome::Pending), ..any() },
        RunFilter { outcome: Some(Outcome::Succeeded), ..any() },
        RunFilter { outcome: Some(Outcome::Failed), ..any() },
        RunFilter { freshness: Some(Freshness::StaleQueued), ..any() },
        RunFilter { freshness: Some(Freshness::FreshRunning), ..any() },
        RunFilter { freshness: Some(Freshness::Terminal), ..any() },
        RunFilter { freshness: Some(Freshness::ReconciledTerminal), ..any() },
        RunFilter { overdue: Some(true), ..any() },
        RunFilter { overdue: Some(false), environment: named("prod"), ..any() },
        RunFilter { actionability: Some(Actionability::SupersededByLaterSuccess), ..any() },
        RunFilter { actionability: Some(Actionability::NotTerminal), ..any() },
        RunFilter { actionability: Some(Actionability::InformationalOnly), ..any() },
        RunFilter { follow_up: Some(true), ..any() },
        RunFilter { follow_up: Some(false), ..any() },
        RunFilter { operation: named("inventory.sync"), ..any() },
        RunFilter { family: named("backup"), ..any() },
        RunFilter { environment: named("prod"), ..any() },
        RunFilter { subject: Some(subject("host/7")), ..any() },
        RunFilter { queue: named("sync"), ..any() },
        RunFilter { text: named("HOST/7"), ..any() },
        RunFilter { text: named(&run(7).to_string()), ..any() },
        RunFilter { text: named(&run(7).to_string()[24..]), ..any() },
        RunFilter { since: Some(BEGIN), until: Some(BEGIN.plus(minutes(5))), ..any() },
        RunFilter { environment: named("prod"), follow_up: Some(true), ..any() },
        RunFilter { left_since: Some(BEGIN), ..any() },
        RunFilter {
            left_since: Some(BEGIN),
            actionability: Some(Actionability::SupersededByLaterSuccess),
            ..any()
        },
    ]
}

fn minutes(minutes: i64) -> runledger_ledger::time::Span {
    runledger_ledger::time::Span::from_secs(minutes * 60)
}

fn item_filters() -> Vec<FollowUpFilter> {
    let any = FollowUpFilter::default;
    let manual = Some(Actionability::RequiresManualReview);
    let named = |text: &str| Some(text.to_owned());
    vec![
        any(),
        FollowUpFilter { environment: Some("prod".to_owned()), ..any() },
        FollowUpFilter { operation: Some("inventory.sync".to_owned()), ..any() },
        FollowUpFilter { family: Some("backup".to_owned()), ..any() },
        FollowUpFilter { actionability: manual, ..any() },
        FollowUpFilter { sort: Some(ItemOrder::Oldest), ..any() },
        FollowUpFilter { sort: Some(ItemOrder::Oldest), environment: named("prod"), ..any() },
        FollowUpFilter { sort: Some(ItemOrder::Oldest), actionability: manual, ..any() },
    ]
}

/// Every question that lists or counts, each with its name.
async fn ask_everything(view: &View) -> Result<Vec<(String, Vec<Watched>)>, ViewError> {
    let mut asked = Vec::new();
    for filter in run_filters() {
        let (page, watched) = watch(view.runs(&filter, &PageRequest::first(20))).await;
        let page = page?;
        asked.push((format!("runs {filter:?}"), watched));
        if let Some(next) = page.next {
            let (next, watched) = watch(view.runs(&filter, &PageRequest::first(20).at(next))).await;
            next?;
            asked.push((format!("next runs {filter:?}"), watched));
        }
    }
    for filter in item_filters() {
        let (page, watched) = watch(view.follow_ups(&filter, &PageRequest::first(5))).await;
        let page = page?;
        asked.push((format!("follow-ups {filter:?}"), watched));
        let next = PageRequest::first(5).at(page.next.unwrap());
        let (next, watched) = watch(view.follow_ups(&filter, &next)).await;
        asked.push((format!("next follow-ups {filter:?}"), watched));
        let key = next?.items[0].key;
        let (item, watched) = watch(view.follow_up(key)).await;
        item?;
        asked.push(("an item".to_owned(), watched));
        let (runs, watched) = watch(view.occurrences(key, &PageRequest::first(5))).await;
        runs?;
        asked.push(("occurrences".to_owned(), watched));
    }
    let (answers, watched) = watch(async {
        view.overview(None).await?;
        view.overview(Some("prod")).await?;
        view.environments().await?;
        view.operations(None).await?;
        view.queues().await?;
        view.queue(None, "sync").await?;
        view.run(run(5)).await
    })
    .await;
    answers?;
    asked.push(("counts".to_owned(), watched));
    for environment in [None, Some("prod")] {
        let (recent, watched) = watch(view.recent_runs(environment, BEGIN, minutes(30))).await;
        assert!(!recent?.runs.is_empty());
        asked.push((format!("recent runs {environment:?}"), watched));
    }
    for environment in [None, Some("prod")] {
        let (left, watched) = watch(view.left_since(environment, BEGIN)).await;
        assert!(!left?.runs.is_empty());
        assert_eq!(watched.len(), 1);
        asked.push((format!("what left {environment:?}"), watched));
    }
    for environment in [None, Some("prod")] {
        let counts = view.overview(environment).await?.counts;
        let (front, watched) = watch(view.front(environment, &counts, 5, 5)).await;
        let front = front?;
        assert!(front.oldest.iter().all(|items| !items.is_empty()));
        assert!(!front.stale.is_empty(), "{counts:?}");
        assert!(watched.len() <= 14, "{watched:#?}");
        asked.push((format!("front of an overview {environment:?}"), watched));
    }
    for filter in run_filters() {
        let (counted, watched) = watch(view.count_runs(&filter)).await;
        counted?;
        assert!(watched.len() <= 2, "{watched:#?}");
        asked.push((format!("count of runs {filter:?}"), watched));
        let (facets, watched) = watch(view.facets(&filter)).await;
        facets?;
        asked.push((format!("facets {filter:?}"), watched));
    }
    let (families, watched) = watch(view.families_by_environment()).await;
    assert!(!families?.is_empty());
    asked.push(("families by environment".to_owned(), watched));
    Ok(asked)
}

async fn every_question_is_answered_from_an_index(world: World) {
    with_history(&world, 8_000).await;
    let view = world.view().await;
    let mut walks = BTreeSet::new();
    let mut statements = 0;
    let mut asked = ask_everything(&view).await.unwrap();
    for number in 2..6 {
        let (size, at) = (view.position(), view.at());
        let told = world.projections.timeline(world.workspace, run(number), size, at);
        let (told, watched) = Box::pin(watch(told)).await;
        assert!(told.unwrap().is_some());
        assert_eq!(watched.len(), 1, "{watched:?}");
        asked.push(("a timeline".to_owned(), watched));
    }
    // One that waits, in a queue with thousands before it.
    let sight = Sight::default();
    let moment = (view.position(), view.at());
    // Each two hundred were dispatched a minute after those before them.
    let soon = (view.position(), BEGIN.plus(minutes(24)));
    let told = world.projections.whole_timeline(world.workspace, run(3_600), soon, &sight);
    let (told, watched) = Box::pin(watch(told)).await;
    let queue = told.unwrap().unwrap().queue.unwrap();
    assert!(!queue.verdicts.is_empty() && queue.truncated.is_empty(), "{queue:#?}");
    assert!((5..20).contains(&watched.len()), "{watched:#?}");
    asked.push(("a queue's timeline".to_owned(), watched));
    // Two that have waited since early and late: of what is before them and behind them only so much is
    // read, and it is said where that is not all.
    for (number, truncated) in [(50, Truncated::ManyChanges), (7_950, Truncated::OlderRuns)] {
        let told = world.projections.whole_timeline(world.workspace, run(number), moment, &sight);
        let (told, watched) = Box::pin(watch(told)).await;
        let queue = told.unwrap().unwrap().queue.unwrap();
        assert_eq!(queue.truncated, BTreeSet::from([truncated]), "{number}");
        assert_eq!(queue.told_until.is_some(), truncated == Truncated::ManyChanges, "{number}");
        let of = |table: &str| {
            let of = watched.iter().filter(|one| one.sql.contains(table));
            (of.clone().count(), of.map(|one| one.rows).sum::<usize>())
        };
        let ((statements, rows), (_, events)) = (of("FROM runs"), of("FROM events"));
        assert!(
            statements <= 4 && (1_000..=4_003).contains(&rows),
            "{number}: {statements}, {rows}"
        );
        assert!(events <= 4_003 && watched.len() < 20, "{number}: {events}, {}", watched.len());
        asked.push(("a busy queue's timeline".to_owned(), watched));
    }
    for (question, watched) in asked {
        for Watched { sql, plan, .. } in watched {
            statements += 1;
            if let Some(line) = plan.iter().find(|line| is_walk(line, &sql)) {
                walks.insert(format!("{question}: {line}\n  {sql}"));
            }
        }
    }
    assert!(statements > 100, "only {statements} statements were seen");
    assert!(walks.is_empty(), "{}", walks.into_iter().collect::<Vec<_>>().join("\n"));
    let (overview, watched) = watch(view.overview(None)).await;
    overview.unwrap();
    let active = watched.iter().find(|one| one.sql.contains("r.deadline IS NULL")).unwrap();
    let from_the_index_alone =
        ["COVERING INDEX runs_deadlines", "Index Only Scan using runs_deadlines on runs"];
    let alone = |line: &String| from_the_index_alone.iter().any(|index| line.contains(index));
    assert!(active.plan.iter().any(alone), "{active:#?}");
}

/// Whether a line of a plan walks through a table that grows with history, or sorts what it found
/// there.
fn is_walk(line: &str, sql: &str) -> bool {
    const PARTIAL: [&str; 2] = ["runs_active ", "runs_waiting "];
    const GROWING: [&str; 3] = ["runs", "events", "follow_up_items"];
    let on_sqlite = line.starts_with("SCAN ")
        && !line.contains("CONSTANT ROW")
        && !line.contains("VALUES CLAUSE")
        && !line.starts_with("SCAN (")
        && !line.starts_with("SCAN c ")
        // What was read of an index, to be counted.
        && !["SCAN latest", "SCAN counted"].contains(&line);
    // What is overdue has not ended, which is little.
    let overdue = sql.contains(" status < 2 ") && sql.contains(" ORDER BY deadline");
    let sorted = line.contains("USE TEMP B-TREE FOR ORDER BY") && !overdue;
    let on_postgresql = line
        .split_once("Seq Scan on ")
        .is_some_and(|(_, rest)| GROWING.contains(&rest.split(' ').next().unwrap_or_default()));
    // All rows of an index that holds every run, and not the first of them in its order.
    let all = line.contains("SEARCH runs ")
        && line.ends_with("(workspace_id=? AND generation=?)")
        && !PARTIAL.iter().any(|index| line.contains(index))
        && !sql.contains(" LIMIT ");
    on_sqlite || all || sorted || on_postgresql
}

async fn a_long_page_costs_as_many_statements_as_a_short_one(world: World) {
    with_history(&world, 3).await;
    let statements = async |limit: u16| {
        let view = world.view().await;
        let mut counts = Vec::new();
        for filter in [
            RunFilter { queue: Some("sync".to_owned()), ..RunFilter::default() },
            RunFilter { environment: Some("prod".to_owned()), ..RunFilter::default() },
        ] {
            let (page, watched) = watch(view.runs(&filter, &PageRequest::first(limit))).await;
            counts.push((page.unwrap().items.len(), watched.len()));
        }
        let filter = FollowUpFilter::default();
        let (items, watched) = watch(view.follow_ups(&filter, &PageRequest::first(limit))).await;
        counts.push((items.unwrap().items.len(), watched.len()));
        let (overview, watched) = watch(view.overview(None)).await;
        overview.unwrap();
        counts.push((usize::from(limit), watched.len()));
        let (operations, watched) = watch(view.operations(None)).await;
        operations.unwrap();
        counts.push((usize::from(limit), watched.len()));
        counts
    };
    let of_one = Box::pin(statements(1)).await;
    with_history(&world, 6_000).await;
    let of_many = Box::pin(statements(200)).await;
    for ((short, few), (long, many)) in of_one.iter().zip(&of_many) {
        assert!(*short <= 1 && *long > 30, "a page of {short} and one of {long}");
        assert_eq!(few, many, "a page of {short} and one of {long}");
        assert!(*many <= 6, "{many} statements");
    }
}
