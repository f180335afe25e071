//! A superuser of PostgreSQL who switches the triggers off, changes history, and switches them on again:
//! `verify database` says what and where, with the right exit code, and nothing once it was put back.

use crate::Audit;

/// What is done to a log of 602 events, what is said of it, and the exit code.
const ATTACKS: &[(&str, &str, i32)] = &[
    (
        "UPDATE events SET body = set_byte(body, 100, get_byte(body, 100) # 1) WHERE position = 300",
        "the event at position 300: its bytes are not those that were recorded",
        1,
    ),
    (
        "UPDATE events SET leaf_hash = set_byte(leaf_hash, 9, get_byte(leaf_hash, 9) # 64) \
         WHERE position = 300",
        "the event at position 300: its bytes are not those that were recorded",
        1,
    ),
    (
        "UPDATE tile_hashes SET hash = set_byte(hash, 31, get_byte(hash, 31) # 1) WHERE place = 1",
        "hash 1 of level 1 of the tree is",
        1,
    ),
    (
        "UPDATE checkpoints SET root = set_byte(root, 0, get_byte(root, 0) # 1) WHERE size = 602",
        "the database's checkpoint of 602 events is not what was signed",
        1,
    ),
    (
        "UPDATE checkpoints SET size = 601 WHERE size = 602",
        "the database's checkpoint of 601 events is not what was signed",
        1,
    ),
    ("DELETE FROM events WHERE position = 300", "the event at position 300: it is missing", 1),
    (
        "UPDATE events AS here SET body = there.body, leaf_hash = there.leaf_hash FROM events AS there \
         WHERE (here.position, there.position) IN ((300, 400), (400, 300))",
        "the event at position 300: the column position is 300, and the bytes say 400",
        1,
    ),
    (
        "UPDATE events SET recorded_at = recorded_at - 1 WHERE position = 300",
        "the event at position 300: the column recorded_at is",
        1,
    ),
    (
        "INSERT INTO events SELECT workspace_id, 602, aggregate_type, gen_random_uuid(), 1, event_type, \
         recorded_at, body, leaf_hash FROM events WHERE position = 601",
        "the event at position 602: it is no part of the log, whose head counts 602 events",
        1,
    ),
    (
        "DELETE FROM events WHERE position >= 500",
        "the event at position 500: the log ends before it, and a checkpoint of 602 events was signed",
        1,
    ),
    ("UPDATE heads SET size = 601", "the event at position 601: it is no part of the log", 1),
    (
        "DELETE FROM checkpoints WHERE size = 602",
        "it was signed at 602 events, and that checkpoint is not in the database any more",
        2,
    ),
    ("SELECT 1", "main: intact; 602 events", 0),
];

/// A statement for each table that holds history or follows from it.
const KEEP: &[&str] = &[
    "CREATE TABLE kept_events AS SELECT * FROM events",
    "CREATE TABLE kept_heads AS SELECT * FROM heads",
    "CREATE TABLE kept_checkpoints AS SELECT * FROM checkpoints",
    "CREATE TABLE kept_tile_hashes AS SELECT * FROM tile_hashes",
];
const PUT_BACK: &[&str] = &[
    "DELETE FROM events",
    "INSERT INTO events SELECT * FROM kept_events",
    "DELETE FROM heads",
    "INSERT INTO heads SELECT * FROM kept_heads",
    "DELETE FROM checkpoints",
    "INSERT INTO checkpoints SELECT * FROM kept_checkpoints",
    "DELETE FROM tile_hashes",
    "INSERT INTO tile_hashes SELECT * FROM kept_tile_hashes",
];
const OFF: &[&str] = &[
    "ALTER TABLE events DISABLE TRIGGER ALL",
    "ALTER TABLE heads DISABLE TRIGGER ALL",
    "ALTER TABLE checkpoints DISABLE TRIGGER ALL",
];
const ON: &[&str] = &[
    "ALTER TABLE events ENABLE ALWAYS TRIGGER events_immutable_rows",
    "ALTER TABLE events ENABLE ALWAYS TRIGGER events_immutable_table",
    "ALTER TABLE heads ENABLE ALWAYS TRIGGER heads_only_grow",
    "ALTER TABLE heads ENABLE ALWAYS TRIGGER heads_no_delete",
    "ALTER TABLE heads ENABLE ALWAYS TRIGGER heads_no_truncate",
    "ALTER TABLE checkpoints ENABLE ALWAYS TRIGGER checkpoints_no_change",
    "ALTER TABLE checkpoints ENABLE ALWAYS TRIGGER checkpoints_no_truncate",
];

#[tokio::test]
async fn a_superuser_who_changes_history_and_leaves_no_other_trace_is_told_with_the_position() {
    let database = runledger_tests::ledger_database().await;
    let audit = Audit::over(Some(database)).await;
    audit.on_file(KEEP).await;
    let url = audit.database.as_deref().map(runledger_tests::database::superuser).unwrap();
    let verify = ["verify", "database", "--policy", "trust.policy", "--database-url", &url];
    for (attack, words, code) in ATTACKS {
        audit.on_file(&[OFF, &[attack], ON].concat()).await;
        let (said, found) = audit.says(&verify).await;
        assert_eq!(found, Some(*code), "{attack}: {said}");
        assert!(said.contains(words), "{attack}: {said}");
        assert!(!said.contains("the trigger"), "{attack}: {said}");
        audit.on_file(&[OFF, PUT_BACK, ON].concat()).await;
    }
}
