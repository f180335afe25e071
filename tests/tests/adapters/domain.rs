//! A domain database that is down, slow, or refuses: never a decision, and never a word of its.

use std::time::Duration;

use runledger_adapters::domain::{Domain, DomainFault, DomainSettings};
use runledger_adapters::registry::Unjudged;
use runledger_adapters::source::{SourceClass, SourceError};
use sqlx::{Connection, Executor};

use crate::stand::{Stand, all_said, composing, restoring};

#[tokio::test]
async fn a_database_that_is_down_decides_nothing() {
    let mut stand = Stand::new().await;
    stand.settings = DomainSettings::new("postgres://role:hunter2@127.0.0.1:1/none");
    stand.settings.connect_timeout = Duration::from_millis(200);
    let asked = stand.judge(composing("f")).await;
    let error = asked.result.unwrap_err();
    assert_eq!(error.code(), "unavailable");
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_lock_that_is_not_to_be_had_is_a_timeout() {
    let stand = Stand::new().await;
    let mut holder = stand.pool.begin().await.unwrap();
    holder.execute("LOCK TABLE environment_reviews IN ACCESS EXCLUSIVE MODE").await.unwrap();
    assert_eq!(stand.says(composing("f")).await, "timeout");
    // The other adapter reads another table.
    assert_eq!(stand.says(restoring(1)).await, "no_change no_restore_found -");
    holder.rollback().await.unwrap();
    assert_eq!(stand.says(composing("f")).await, "no_change no_review_found -");
}

#[tokio::test]
async fn a_slow_answer_is_a_timeout() {
    let stand = Stand::new().await;
    stand
        .run(
            "ALTER TABLE environment_reviews RENAME TO reviews;
             CREATE VIEW environment_reviews AS SELECT * FROM reviews
                 WHERE (SELECT true FROM pg_sleep(30));
             INSERT INTO reviews (workspace, environment, fingerprint, status)
                 VALUES ('main', 'production', 'f', 'ready');",
        )
        .await;
    stand.let_read("environment_reviews").await;
    assert_eq!(stand.says(composing("f")).await, "timeout");
}

#[tokio::test]
async fn a_missing_right_and_a_missing_table_are_refusals() {
    let stand = Stand::new().await;
    stand.run("REVOKE SELECT ON restore_runs FROM PUBLIC; DROP TABLE environment_reviews").await;
    let error = stand.judge(composing("f")).await.result.unwrap_err();
    assert_eq!(error.code(), "refused");
    assert!(!format!("{error:?} {error}").contains("environment_reviews"), "{error:?}");
    assert_eq!(stand.says(restoring(1)).await, "no_change no_restore_found -");
    let role = &stand.role;
    let revoke = format!("REVOKE SELECT ON restore_runs FROM {role}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(revoke)).execute(&stand.pool).await.unwrap();
    assert_eq!(stand.says(restoring(1)).await, "refused");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_hides_no_other_run() {
    let stand = Stand::new().await;
    stand
        .run(
            "ALTER TABLE environment_reviews ALTER COLUMN status DROP NOT NULL;
             INSERT INTO environment_reviews (workspace, environment, fingerprint, status) VALUES
                ('main', 'production', 'good', 'ready'), ('main', 'production', 'bad', NULL)",
        )
        .await;
    let cases = ["none", "good", "bad", "none", "good"].map(composing).to_vec();
    let said = all_said(&stand.registry().judge(cases).await);
    assert_eq!((said[0].as_str(), said[2].as_str()), ("no_change no_review_found -", "malformed"));
    assert!(said[1].starts_with("succeeded") && said[4] == said[1], "{said:?}");
}

#[tokio::test]
async fn more_rows_than_may_be_read_are_no_evidence() {
    let mut stand = Stand::new().await;
    stand.settings.row_cap = 4;
    stand
        .run(
            "INSERT INTO environment_reviews (workspace, environment, fingerprint, status)
             SELECT 'main', 'production', 'many', 'failed' FROM generate_series(1, 10)
             UNION ALL SELECT 'main', 'production', 'few', 'failed'",
        )
        .await;
    let judged = stand.registry().judge(vec![composing("many"), composing("few")]).await;
    let error = judged[0].asked[0].result.clone().unwrap_err();
    let class = |error| match error {
        Unjudged::Source(SourceError { class, .. }) => Some(class),
        _ => None,
    };
    assert_eq!(class(error), Some(SourceClass::Malformed));
    assert!(all_said(&judged)[1].starts_with("failed review_failed"));
}

#[tokio::test]
async fn the_role_of_the_example_cannot_write_and_one_that_can_is_refused() {
    let stand = Stand::new().await;
    assert_eq!(stand.domain().check().await, Ok(()));

    // Not even past the read-only transaction.
    let mut reader = sqlx::PgConnection::connect(&stand.settings.url).await.unwrap();
    reader.execute("SET default_transaction_read_only = off").await.unwrap();
    for statement in [
        "INSERT INTO restore_runs (workspace, status) VALUES ('main', 'completed')",
        "UPDATE environment_reviews SET status = 'ready'",
        "DELETE FROM restore_runs",
        "TRUNCATE environment_reviews",
        "CREATE TABLE mine (id int)",
    ] {
        let error = reader.execute(statement).await.unwrap_err();
        let code = error.as_database_error().and_then(|error| error.code()).unwrap().into_owned();
        assert_eq!(code, "42501", "{statement}: {error}");
    }

    let role = &stand.role;
    let grant = format!("GRANT UPDATE ON restore_runs TO {role}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(grant)).execute(&stand.pool).await.unwrap();
    assert!(matches!(stand.domain().check().await, Err(DomainFault::CanWrite(_))));

    let base = sqlx::query_scalar::<_, String>("SELECT current_user::text");
    assert_eq!(base.fetch_one(&stand.pool).await.unwrap(), "postgres");
    let superuser = Domain::new(&DomainSettings::new(superuser_url(&stand))).unwrap();
    assert_eq!(superuser.check().await, Err(DomainFault::CanWrite("it is a superuser")));
}

#[tokio::test]
async fn a_read_cannot_write_whoever_reads() {
    let stand = Stand::new().await;
    let superuser = Domain::new(&DomainSettings::new(superuser_url(&stand))).unwrap();
    let write: sqlx::query::QueryAs<'_, _, (i64,), _> = sqlx::query_as(
        "INSERT INTO restore_runs (workspace, status) VALUES ('main', 'failed') RETURNING id",
    );
    assert_eq!(superuser.rows(write).await.unwrap_err().class, SourceClass::Refused);
}

/// The same database, signed in as the superuser that made it.
fn superuser_url(stand: &Stand) -> String {
    let (scheme, rest) = stand.settings.url.split_once("://").unwrap();
    let (_, server) = rest.split_once('@').unwrap();
    format!("{scheme}://postgres@{server}")
}
