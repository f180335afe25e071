//! History is refused to change by the database itself.

use runledger_ledger::store::Store;
use runledger_tests::superuser_of;

use crate::audit::{audit, rows};
use crate::bed::{Bed, on_every_store};
use crate::reports::{dispatch, started, with_id};

on_every_store!(
    update_and_delete_are_refused,
    an_insert_that_would_replace_is_refused,
    the_place_of_an_event_is_taken_once,
    the_database_has_no_known_fault,
);

/// Runs `statement` past the ledger, and returns what the database says against it.
async fn refusal(store: &Store, statement: &'static str) -> String {
    let error = match (store.postgres(), store.sqlite()) {
        (Some(pool), _) => {
            // Whom only the triggers refuse.
            sqlx::query(statement).execute(&mut superuser_of(pool).await).await.err()
        }
        (_, Some((pool, _))) => sqlx::query(statement).execute(pool).await.err(),
        _ => unreachable!("a store is one of the two"),
    };
    error.unwrap_or_else(|| panic!("was not refused: {statement}")).to_string()
}

async fn filled(bed: &Bed) {
    let run = bed.new_run();
    bed.submit(vec![with_id(dispatch(run), "a", "1"), started(run)]).await;
}

async fn update_and_delete_are_refused(bed: Bed) {
    filled(&bed).await;
    for statement in [
        "UPDATE events SET body = body",
        "UPDATE events SET recorded_at = 0 WHERE position = 2",
        "DELETE FROM events",
        "DELETE FROM events WHERE position = 2",
    ] {
        let said = refusal(bed.store(), statement).await;
        assert!(said.contains("events are immutable"), "{statement}: {said}");
    }
    if bed.store().postgres().is_some() {
        for statement in ["TRUNCATE events", "TRUNCATE TABLE events CASCADE"] {
            let said = refusal(bed.store(), statement).await;
            assert!(said.contains("TRUNCATE is refused"), "{statement}: {said}");
        }
    } else {
        let said = refusal(bed.store(), "UPDATE OR REPLACE events SET position = 3").await;
        assert!(said.contains("events are immutable"), "{said}");
    }
    assert_eq!(audit(bed.store(), bed.workspace).await.len(), 4);
}

async fn an_insert_that_would_replace_is_refused(bed: Bed) {
    filled(&bed).await;
    // Each meets the third event in another one of its keys: place, stream, id.
    let upserts = [
        "INSERT INTO events SELECT workspace_id, position, aggregate_type, aggregate_id, \
         sequence + 10, event_type, recorded_at, body, leaf_hash, source, NULL, content_hash \
         FROM events WHERE position = 2 \
         ON CONFLICT (workspace_id, position) DO UPDATE SET body = excluded.body",
        "INSERT INTO events SELECT workspace_id, position + 10, aggregate_type, aggregate_id, \
         sequence, event_type, recorded_at, body, leaf_hash, source, NULL, content_hash \
         FROM events WHERE position = 2 \
         ON CONFLICT (workspace_id, aggregate_type, aggregate_id, sequence) \
         DO UPDATE SET body = excluded.body",
        "INSERT INTO events SELECT workspace_id, position + 10, aggregate_type, aggregate_id, \
         sequence + 10, event_type, recorded_at, body, leaf_hash, source, event_id, content_hash \
         FROM events WHERE position = 2 \
         ON CONFLICT (workspace_id, source, event_id) WHERE event_id IS NOT NULL \
         DO UPDATE SET body = excluded.body",
    ];
    let replaces = [
        "INSERT OR REPLACE INTO events SELECT workspace_id, position, aggregate_type, \
         aggregate_id, sequence + 10, event_type, recorded_at, body, leaf_hash, source, NULL, \
         content_hash FROM events WHERE position = 2",
        "REPLACE INTO events SELECT workspace_id, position + 10, aggregate_type, aggregate_id, \
         sequence, event_type, recorded_at, body, leaf_hash, source, NULL, content_hash \
         FROM events WHERE position = 2",
        "INSERT OR REPLACE INTO events SELECT workspace_id, position + 10, aggregate_type, \
         aggregate_id, sequence + 10, event_type, recorded_at, body, leaf_hash, source, event_id, \
         content_hash FROM events WHERE position = 2",
    ];
    let on_sqlite = bed.store().sqlite().is_some();
    let statements = upserts.into_iter().chain(replaces.into_iter().filter(|_| on_sqlite));
    let before = rows(bed.store(), bed.workspace).await;
    for statement in statements {
        let said = refusal(bed.store(), statement).await;
        assert!(said.contains("events are immutable"), "{statement}: {said}");
    }
    let after = audit(bed.store(), bed.workspace).await;
    assert_eq!(format!("{before:?}"), format!("{after:?}"));
}

async fn the_place_of_an_event_is_taken_once(bed: Bed) {
    filled(&bed).await;
    let said = refusal(bed.store(), "INSERT INTO events SELECT * FROM events WHERE position = 2");
    let said = said.await;
    assert!(said.contains("duplicate key") || said.contains("is taken"), "{said}");
}

async fn the_database_has_no_known_fault(bed: Bed) {
    // SQLite before 3.51.3 may corrupt a WAL database when a checkpoint meets a reset.
    let Some((writer, readers)) = bed.store().sqlite() else {
        let pool = bed.store().postgres().unwrap();
        let (version,): (String,) =
            sqlx::query_as("SHOW server_version_num").fetch_one(pool).await.unwrap();
        assert!(version.parse::<u32>().unwrap() >= 150_000, "{version}");
        return;
    };
    for pool in [writer, readers] {
        let (version,): (String,) =
            sqlx::query_as("SELECT sqlite_version()").fetch_one(pool).await.unwrap();
        let parts: Vec<u32> = version.split('.').map(|part| part.parse().unwrap()).collect();
        assert!(parts >= vec![3, 51, 3], "{version}");
    }
}
