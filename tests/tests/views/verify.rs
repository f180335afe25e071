//! What a verification finds: everything that somebody changed behind the ledger's back, and
//! nothing else.

use std::sync::atomic::{AtomicU64, Ordering};

use runledger_ledger::correlation::{Correlation, Named as Names};
use runledger_ledger::run::{ExternalId, FollowUpAction, Named, RunCommand};
use runledger_ledger::store::Store;
use runledger_ledger::submission::Command;
use runledger_ledger::words::{Outcome, UniqueMode};
use runledger_projections::{Difference, Verification};
use runledger_tests::superuser_of;
use runledger_tests::world::{
    BEGIN, World, blind, dispatch, ended, follow_up, name, run, started, within, worker,
};

on_both_databases! {
    an_intact_workspace_has_no_differences =>
        an_intact_workspace_has_no_differences_on_sqlite,
        an_intact_workspace_has_no_differences_on_postgresql;
    a_flipped_byte_is_found_where_it_is =>
        a_flipped_byte_is_found_where_it_is_on_sqlite,
        a_flipped_byte_is_found_where_it_is_on_postgresql;
    every_damage_to_a_log_is_named =>
        every_damage_to_a_log_is_named_on_sqlite, every_damage_to_a_log_is_named_on_postgresql;
    a_changed_row_of_a_read_model_is_named =>
        a_changed_row_of_a_read_model_is_named_on_sqlite,
        a_changed_row_of_a_read_model_is_named_on_postgresql;
    a_log_whose_tail_was_cut_is_behind_its_read_models =>
        a_log_whose_tail_was_cut_is_behind_its_read_models_on_sqlite,
        a_log_whose_tail_was_cut_is_behind_its_read_models_on_postgresql;
    what_lies_beside_the_log_is_checked_too =>
        what_lies_beside_the_log_is_checked_too_on_sqlite,
        what_lies_beside_the_log_is_checked_too_on_postgresql;
    a_changed_reservation_is_named =>
        a_changed_reservation_is_named_on_sqlite, a_changed_reservation_is_named_on_postgresql;
    a_changed_correlation_is_named_and_a_rebuild_puts_it_right =>
        a_changed_correlation_is_named_and_a_rebuild_puts_it_right_on_sqlite,
        a_changed_correlation_is_named_and_a_rebuild_puts_it_right_on_postgresql;
}

async fn some_days(world: &World) {
    world.record(worker("w1", &["sync"])).await;
    for number in 1..=40 {
        world.record(dispatch(run(number), "inventory.sync", within("prod"))).await;
        world.record(started(run(number))).await;
        world.wait(1);
        match number % 5 {
            0 => continue,
            1 | 2 => world.record(ended(run(number), Outcome::Failed)).await,
            _ => world.record(ended(run(number), Outcome::Succeeded)).await,
        }
    }
    for number in [41, 42] {
        world.record(dispatch(run(number), "restore.execute", within("prod"))).await;
        world.record(ended(run(number), Outcome::Failed)).await;
    }
    world.record(follow_up(run(41), FollowUpAction::Resolve)).await;
    let (from, to) = (BEGIN, BEGIN.plus(runledger_ledger::time::Span::from_secs(600)));
    world.record(blind(from, to)).await;
    world.projections.catch_up(world.workspace).await.unwrap();
}

async fn verify(world: &World) -> Verification {
    world.projections.verify(world.workspace, &|_| {}).await.unwrap()
}

/// Changes the database behind the ledger's back, as its owner can.
async fn tamper(world: &World, statement: &'static str) {
    match world.ledger.store() {
        Store::Postgres(store) => {
            let events = "ALTER TABLE events DISABLE TRIGGER ALL";
            let heads = "ALTER TABLE heads DISABLE TRIGGER ALL";
            for sql in [events, heads, statement] {
                sqlx::query(sql).execute(&mut superuser_of(store.pool()).await).await.unwrap();
            }
        }
        Store::Sqlite(store) => {
            for sql in
                ["events_no_update", "events_no_delete", "events_no_replace", "heads_only_grow"]
            {
                let drop = format!("DROP TRIGGER IF EXISTS {sql}");
                sqlx::query(sqlx::AssertSqlSafe(drop)).execute(store.writer()).await.unwrap();
            }
            sqlx::query(statement).execute(store.writer()).await.unwrap();
        }
    }
}

fn is_sqlite(world: &World) -> bool {
    world.ledger.store().sqlite().is_some()
}

async fn an_intact_workspace_has_no_differences(world: World) {
    some_days(&world).await;
    let told = AtomicU64::new(0);
    let progress = |_| {
        told.fetch_add(1, Ordering::Relaxed);
    };
    let found = world.projections.verify(world.workspace, &progress).await.unwrap();
    assert!(found.is_intact(), "{:#?}", found.differences);
    let head = world.ledger.store().head(world.workspace).await.unwrap().unwrap();
    assert_eq!(found.events, head.size());
    assert_eq!(found.root, hex::encode(head.frontier.root()));
    assert!(found.rows.unwrap() > 41, "{:?}", found.rows);
    assert!(told.into_inner() >= 3);
    // Read models that have not caught up are behind, not wrong.
    world.record(dispatch(run(50), "inventory.sync", within("prod"))).await;
    let behind = verify(&world).await;
    assert!(behind.is_intact() && behind.events == found.events + 1);
    let other = world.other_workspace("other").await;
    other.projections.catch_up(other.workspace).await.unwrap();
    assert!(verify(&other).await.is_intact());
}

async fn a_flipped_byte_is_found_where_it_is(world: World) {
    some_days(&world).await;
    // An "o" of a name becomes an "n": still JSON, still an event.
    let flip = if is_sqlite(&world) {
        "UPDATE events SET body = CAST(replace(CAST(body AS TEXT), 'inventory.sync', \
         'inventnry.sync') AS BLOB) WHERE position = 6"
    } else {
        "UPDATE events SET body = convert_to(replace(convert_from(body, 'UTF8'), \
         'inventory.sync', 'inventnry.sync'), 'UTF8') WHERE position = 6"
    };
    tamper(&world, flip).await;
    let found = verify(&world).await;
    assert!(!found.is_intact() && found.rows.is_none());
    let [Difference::Log { position: Some(6), problem }] = found.differences.as_slice() else {
        panic!("{:#?}", found.differences)
    };
    assert!(problem.contains("not those that were recorded"), "{problem}");
    assert!(found.differences[0].to_string().starts_with("the event at position 6: "));
    assert_eq!(found.root.len(), 64);
}

async fn every_damage_to_a_log_is_named(world: World) {
    some_days(&world).await;
    let last = world.ledger.store().head(world.workspace).await.unwrap().unwrap().size() - 1;
    for (statement, expected) in [
        ("UPDATE events SET recorded_at = recorded_at - 1 WHERE position = 20", "position 20: "),
        ("UPDATE events SET event_type = event_type + 1 WHERE position = 21", "position 21: "),
        ("UPDATE events SET sequence = sequence + 7 WHERE position = 22", "position 22: "),
        ("UPDATE events SET event_id = 'x', source = 'y' WHERE position = 23", "position 23: "),
        ("DELETE FROM events WHERE position = 24", "position 24: it is missing"),
        ("UPDATE heads SET last_recorded_at = last_recorded_at + 1", "the log: the head's last"),
    ] {
        tamper(&world, statement).await;
        let found = verify(&world).await;
        let told: Vec<String> = found.differences.iter().map(ToString::to_string).collect();
        assert!(told.iter().any(|one| one.contains(expected)), "{statement}: {told:#?}");
        assert_eq!(found.events, last + 1);
    }
    // A tree that was cut and grown again gives itself away by the head.
    let cut = "DELETE FROM events WHERE position = (SELECT max(position) FROM events)";
    tamper(&world, cut).await;
    let told: Vec<String> =
        verify(&world).await.differences.iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|one| one.starts_with("the log: the head's size")), "{told:#?}");
}

async fn a_changed_row_of_a_read_model_is_named(world: World) {
    some_days(&world).await;
    let row = format!("the row run_id={} of runs: ", run(3));
    for (statement, expected) in [
        ("UPDATE run_counts SET runs = runs + 1 WHERE status = 1", "of run_counts: runs is 9"),
        ("UPDATE queues SET waits = '[1]'", "of queues: waits is \"[1]\""),
        ("DELETE FROM workers", "worker=\"w1\" of workers: it is missing"),
        ("UPDATE follow_up_items SET occurrences = 99", "occurrences is 99"),
        ("UPDATE projections SET recorded_at = 5", "of projections: recorded_at is "),
        (
            "INSERT INTO item_counts SELECT workspace_id, generation, 'elsewhere', 6, 1 \
             FROM projections",
            "environment=\"elsewhere\" actionability=6 of item_counts: it should not be there",
        ),
        (
            "UPDATE runs SET queue = 'q' WHERE run_id = (SELECT run_id FROM runs ORDER BY run_id LIMIT 1 OFFSET 2)",
            row.as_str(),
        ),
    ] {
        tamper(&world, statement).await;
        let found = verify(&world).await;
        let told: Vec<String> = found.differences.iter().map(ToString::to_string).collect();
        assert!(told.iter().any(|one| one.contains(expected)), "{statement}: {told:#?}");
        assert!(!found.is_intact() && found.rows.is_some());
    }
    world.projections.rebuild(world.workspace, &|_| {}).await.unwrap();
    let mended = verify(&world).await;
    assert!(mended.is_intact(), "{:#?}", mended.differences);
}

/// What a verification tells.
async fn told(world: &World) -> Vec<String> {
    let found = verify(world).await;
    assert!(!found.is_intact());
    found.differences.iter().map(ToString::to_string).collect()
}

async fn a_log_whose_tail_was_cut_is_behind_its_read_models(world: World) {
    world.record(dispatch(run(1), "inventory.sync", within("prod"))).await;
    let head = world.ledger.store().head(world.workspace).await.unwrap().unwrap();
    for number in 2..=5 {
        world.record(dispatch(run(number), "inventory.sync", within("prod"))).await;
    }
    world.projections.catch_up(world.workspace).await.unwrap();
    let size = i64::try_from(head.size()).unwrap();
    tamper(&world, "DELETE FROM events WHERE position > 2").await;
    let set = "UPDATE heads SET size = $1, last_recorded_at = $2, frontier = $3";
    let (last, edge) = (head.last_recorded_at.micros(), head.frontier.to_bytes());
    match world.ledger.store() {
        Store::Postgres(store) => {
            let set = sqlx::query(set).bind(size).bind(last).bind(edge);
            set.execute(&mut superuser_of(store.pool()).await).await.unwrap();
        }
        Store::Sqlite(store) => {
            let set = sqlx::query(set).bind(size).bind(last).bind(edge);
            set.execute(store.writer()).await.unwrap();
        }
    }
    let told = told(&world).await;
    assert!(told[0].contains("the read models hold 7 events, the log 3"), "{told:#?}");
}

async fn what_lies_beside_the_log_is_checked_too(world: World) {
    some_days(&world).await;
    let hash = if is_sqlite(&world) { "x'01'" } else { "'\\x01'" };
    for (statement, expected) in [
        (
            "INSERT INTO events (workspace_id, position, aggregate_type, aggregate_id, sequence, \
             event_type, recorded_at, body, leaf_hash) SELECT workspace_id, position + 100000, \
             aggregate_type, aggregate_id, sequence + 100000, event_type, recorded_at, body, \
             leaf_hash FROM events WHERE position = 5"
                .to_owned(),
            "the event at position 100005: it is no part of the log",
        ),
        (
            format!("UPDATE events SET content_hash = {hash} WHERE position = 6"),
            "the event at position 6: the column content_hash",
        ),
    ] {
        tamper(&world, Box::leak(statement.into_boxed_str())).await;
        let told = told(&world).await;
        assert!(told.iter().any(|one| one.contains(expected)), "{told:#?}");
    }
}

async fn a_changed_reservation_is_named(world: World) {
    let alone = |number: u128, environment: &str| {
        let mut named = within(environment);
        named.fingerprint = Some(name("night"));
        let mut asked = dispatch(run(number), "inventory.sync", named);
        if let Command::Run(_, RunCommand::Dispatch(dispatch)) = &mut asked.command {
            dispatch.unique = Some(UniqueMode::Fingerprint);
        }
        asked
    };
    world.record(alone(1, "prod")).await;
    world.record(alone(2, "test")).await;
    world.record(alone(3, "old")).await;
    world.record(started(run(1))).await;
    world.record(ended(run(3), Outcome::Succeeded)).await;
    world.projections.catch_up(world.workspace).await.unwrap();
    // The read models may be behind; the reservations are of the end of the log.
    world.record(alone(4, "late")).await;
    let found = verify(&world).await;
    assert!(found.is_intact(), "{:#?}", found.differences);
    for (statement, expected) in [
        (
            "UPDATE reservations SET run_id = workspace_id \
             WHERE run_id = (SELECT run_id FROM reservations ORDER BY run_id LIMIT 1)",
            "run_id is ",
        ),
        ("DELETE FROM reservations", "of reservations: it is missing"),
        (
            "INSERT INTO reservations SELECT workspace_id, leaf_hash, aggregate_id FROM events \
             WHERE position = 2",
            "of reservations: it should not be there",
        ),
    ] {
        tamper(&world, statement).await;
        let told = told(&world).await;
        assert!(told.iter().any(|one| one.contains(expected)), "{statement}: {told:#?}");
    }
}

async fn a_changed_correlation_is_named_and_a_rebuild_puts_it_right(world: World) {
    let external = |id: u128| ExternalId {
        id: name(&id.to_string()),
        kind: name("job"),
        source: name("queue"),
    };
    let called = |id| Correlation { environment: Some(name("prod")), id: external(id) };
    for number in 1..=3 {
        let named = Named { external_ids: vec![external(number)], ..within("prod") };
        world.record(dispatch(run(number), "inventory.sync", named)).await;
    }
    world.projections.catch_up(world.workspace).await.unwrap();
    assert!(verify(&world).await.is_intact());
    // One is gone, and another one is somebody else's.
    let statements = match world.ledger.store() {
        Store::Postgres(_) => [
            "DELETE FROM correlations WHERE run_id = '00000000-0000-0000-0000-000000000001'",
            "UPDATE correlations SET run_id = '00000000-0000-0000-0000-000000000003' \
             WHERE run_id = '00000000-0000-0000-0000-000000000002'",
        ],
        Store::Sqlite(_) => [
            "DELETE FROM correlations WHERE run_id = X'00000000000000000000000000000001'",
            "UPDATE correlations SET run_id = X'00000000000000000000000000000003' \
             WHERE run_id = X'00000000000000000000000000000002'",
        ],
    };
    for statement in statements {
        tamper(&world, statement).await;
    }
    let mut told: Vec<String> =
        verify(&world).await.differences.iter().map(row_and_fault).collect();
    let mut expected = vec![
        format!("{} is missing", key_and_run(&called(1), 1)),
        format!("{} is missing", key_and_run(&called(2), 2)),
        format!("{} should not be there", key_and_run(&called(2), 3)),
    ];
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
    world.projections.rebuild(world.workspace, &|_| {}).await.unwrap();
    assert!(verify(&world).await.is_intact());
    for number in 1..=3 {
        let names = world.ledger.store().named(world.workspace, &called(number)).await.unwrap();
        assert_eq!(names, Names::Run(run(number)));
    }
}

fn key_and_run(correlation: &Correlation, number: u128) -> String {
    format!("key={} run_id={}", hex::encode(correlation.key().0), run(number))
}

fn row_and_fault(difference: &Difference) -> String {
    let Difference::Row { table: "correlations", row, stored, .. } = difference else {
        panic!("{difference}");
    };
    format!("{row} {}", if stored.is_some() { "should not be there" } else { "is missing" })
}
