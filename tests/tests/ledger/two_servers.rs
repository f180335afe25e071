//! Two servers over one PostgreSQL take events for the same workspace at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use runledger_ledger::catalog::Catalog;
use runledger_ledger::clock::Entropy;
use runledger_ledger::ledger::Ledger;
use runledger_ledger::store::{Store, StoreUrl};
use runledger_ledger::submission::Answer;
use runledger_ledger::words::{RunId, UniqueMode, WorkspaceId};

use crate::audit::{Row, audit, every_event_has_one_receipt};
use crate::bed::{Bed, FIRST, On, receipt, submit, tell, words};
use crate::line::Line;
use crate::reports::{
    dispatch, failed, not_canonical, observed, progress, publish, resolve, seen, started,
    succeeded, unique, with_id,
};

/// What a server that works is done with long before.
const PATIENCE: Duration = Duration::from_secs(60);

async fn two_servers() -> (Bed, Ledger) {
    let bed = Bed::new(On::Postgres).await;
    let other = bed.another().await.unwrap();
    (bed, other)
}

/// The built-in catalog with another alias, so that it can be published again and again.
fn catalog(number: usize) -> String {
    Catalog::built_in().text().replace("[\"inventory_sync\"]", &format!("[\"stock{number}\"]"))
}

/// What caller `caller` sends in its step `step`: to runs of its own, to runs that all share, under
/// ids that all share, for keys that all want.
async fn one_step(
    ledger: &Ledger,
    workspace: WorkspaceId,
    shared: &[RunId],
    (caller, step): (usize, usize),
) -> Vec<Answer> {
    let run = ledger.new_run_id().unwrap();
    let theirs = shared[(caller + step) % shared.len()];
    let count = u64::try_from(caller * 1_000 + step).unwrap();
    let name = format!("{}", (caller * 7 + step) % 40);
    let send = |submissions, atomic| ledger.submit(workspace, submissions, atomic);
    match (caller + 3 * step) % 11 {
        0..=3 => {
            let own = vec![dispatch(run), started(run), progress(run, count), failed(run)];
            send(own, false).await.unwrap()
        }
        4 => {
            let on_theirs = vec![dispatch(theirs), started(theirs), progress(theirs, count)];
            send(on_theirs, false).await.unwrap()
        }
        5 => {
            let first = unique(run, UniqueMode::Subject, &format!("{}", step % 3));
            let mut answers = send(vec![first], false).await.unwrap();
            if matches!(answers[0], Answer::Recorded(_)) {
                answers.extend(send(vec![started(run)], false).await.unwrap());
                answers.extend(send(vec![succeeded(run)], false).await.unwrap());
            }
            answers
        }
        6 => send(vec![with_id(observed(&name), &name, "the same")], false).await.unwrap(),
        7 => send(vec![seen(&name), observed(&name)], true).await.unwrap(),
        8 => send(vec![dispatch(run), not_canonical(run)], true).await.unwrap(),
        9 => {
            let ends = [succeeded(theirs), failed(theirs), resolve(theirs)];
            send(vec![ends[step % 3].clone()], false).await.unwrap()
        }
        _ => send(vec![publish(&catalog(step % 2)), seen("w")], false).await.unwrap(),
    }
}

fn ids_are_those_of_their_events(rows: &[Row], answers: &[Answer]) {
    for answer in answers {
        if let Answer::Duplicate { position: Some(position), .. } = answer {
            let row = &rows[usize::try_from(*position).unwrap()];
            assert!(row.event_id.is_some(), "{answer:?} is of an event without an id");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_position_is_missing_or_taken_twice_and_no_answer_is_lost() {
    let (bed, other) = two_servers().await;
    let shared: Vec<RunId> = (0..6).map(|_| bed.new_run()).collect();
    let callers = (0..40).map(|caller| {
        let ledger = if caller % 2 == 0 { bed.ledger.clone() } else { other.clone() };
        let (workspace, shared) = (bed.workspace, shared.clone());
        tokio::spawn(async move {
            let mut answers = Vec::new();
            for step in 0..30 {
                answers.extend(one_step(&ledger, workspace, &shared, (caller, step)).await);
            }
            answers
        })
    });
    let all = tokio::time::timeout(PATIENCE, join_all(callers)).await.unwrap();
    let answers: Vec<Answer> = all.into_iter().flat_map(Result::unwrap).collect();
    let rows = audit(bed.store(), bed.workspace).await;
    every_event_has_one_receipt(&rows, FIRST, &answers);
    ids_are_those_of_their_events(&rows, &answers);
    assert!(rows.len() > 1_500, "{}", rows.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_server_was_told_the_other_knows_at_once() {
    let (bed, other) = two_servers().await;
    let (one, other) = (bed.ledger.clone(), other);
    let workspace = bed.workspace;
    let relays = (0..12).map(|relay| {
        let (one, other) = (one.clone(), other.clone());
        tokio::spawn(async move {
            for round in 0..20 {
                let run = one.new_run_id().unwrap();
                // Both have the run in memory from here on, and each makes the other's stale.
                receipt(tell(&one, workspace, dispatch(run)).await);
                receipt(tell(&other, workspace, started(run)).await);
                if relay == 0 {
                    // A new catalog makes the servers load what they know of the workspace again.
                    receipt(tell(&one, workspace, publish(&catalog(round))).await);
                }
                let stale = vec![started(run), failed(run), failed(run)];
                let said = words(&submit(&one, workspace, stale).await);
                assert_eq!((&*said[0], &*said[2]), ("duplicate", "duplicate"));
                receipt(tell(&other, workspace, resolve(run)).await);
                let said = words(&[tell(&one, workspace, resolve(run)).await]);
                assert_eq!(said, ["duplicate"]);
                receipt(tell(&one, workspace, succeeded(run)).await);
                receipt(tell(&other, workspace, resolve(run)).await);
            }
        })
    });
    for relay in tokio::time::timeout(PATIENCE, join_all(relays)).await.unwrap() {
        relay.unwrap();
    }
    audit(bed.store(), workspace).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_on_a_slow_line_is_not_starved_by_a_busy_one() {
    let bed = Bed::new(On::Postgres).await;
    let StoreUrl::Postgres(url) = &bed.url else { unreachable!() };
    let (_line, slow) = Line::to(url, Duration::from_millis(15)).await;
    let slow = Store::open(&StoreUrl::Postgres(slow)).await.unwrap();
    let slow = Ledger::new(slow, bed.clock.clone(), Entropy::system());
    let done = Arc::new(AtomicBool::new(false));
    let flood: Vec<_> = (0..32)
        .map(|_| {
            let (ledger, workspace, done) = (bed.ledger.clone(), bed.workspace, Arc::clone(&done));
            tokio::spawn(async move {
                let mut count = 0;
                while !done.load(Ordering::Relaxed) {
                    tell(&ledger, workspace, dispatch(ledger.new_run_id().unwrap())).await;
                    count += 1;
                }
                count
            })
        })
        .collect();
    let lone = async {
        for _ in 0..5 {
            let run = slow.new_run_id().unwrap();
            receipt(tell(&slow, bed.workspace, dispatch(run)).await);
        }
    };
    let served = tokio::time::timeout(PATIENCE, lone).await;
    done.store(true, Ordering::Relaxed);
    let counts: Vec<u32> = join_all(flood).await.into_iter().map(Result::unwrap).collect();
    assert!(served.is_ok(), "the lone caller waited while {counts:?} others were served");
    audit(bed.store(), bed.workspace).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_after_thousands_of_events_still_decides_rightly() {
    let (bed, other) = two_servers().await;
    let (run, key) = (bed.new_run(), bed.new_run());
    bed.submit(vec![dispatch(run), unique(key, UniqueMode::Subject, "x")]).await;
    // More than a lane catches up with event by event.
    let mut reports = vec![started(run), failed(run), succeeded(key)];
    reports.extend((0..2_500).map(|_| dispatch(other.new_run_id().unwrap())));
    submit(&other, bed.workspace, reports).await;
    let next = bed.new_run();
    let reports = vec![resolve(run), started(run), unique(next, UniqueMode::Subject, "x")];
    let answers = bed.submit(reports).await;
    assert_eq!(words(&answers), ["2507", "duplicate", "2508"]);
    audit(bed.store(), bed.workspace).await;
}
