//! `environment.review.compose` over the documented schema.

use runledger_adapters::adapter::{Case, Wake};
use runledger_ledger::run::{Failed, RunEvent};
use runledger_ledger::words::{Name, Outcome, Status};
use sqlx::PgPool;

use crate::stand::{Stand, all_said, composing, said};

/// What a composer does: it claims the fingerprint with a draft. None if another one has it.
async fn claim(pool: &PgPool) -> Option<i64> {
    let claimed = sqlx::query_scalar(
        "INSERT INTO environment_reviews (workspace, environment, fingerprint, status)
         VALUES ('main', 'production', 'raced', 'draft') RETURNING id",
    )
    .fetch_one(pool)
    .await;
    match claimed {
        Ok(id) => Some(id),
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => None,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn the_loser_of_a_race_for_a_fingerprint_is_proven_by_the_winners_review() {
    let stand = Stand::new().await;
    let registry = stand.registry();
    let (first, second) = tokio::join!(claim(&stand.pool), claim(&stand.pool));
    let winner = match (first, second) {
        (Some(id), None) | (None, Some(id)) => id,
        other => panic!("the index let {other:?} through"),
    };

    // The loser's run says that it failed.
    let failed = RunEvent::Failed(Failed {
        fills: Default::default(),
        message: None,
        outcome: Outcome::Failed,
        reason_code: Name::new("duplicate_fingerprint").unwrap(),
        retryable: None,
    });
    let mut loser = composing("raced");
    loser.run.status = Status::Completed;
    loser.run.outcome = Outcome::Failed;
    assert_eq!(registry.handle(&failed, &loser.run), Wake::Wake);

    // While the winner is at it, nothing is proven. Then it is.
    let about = format!("environment_review/{winner}");
    assert_eq!(stand.says(loser.clone()).await, format!("no_change review_is_a_draft {about}"));
    stand.run("UPDATE environment_reviews SET status = 'ready' WHERE fingerprint = 'raced'").await;
    for run in [loser, composing("raced")] {
        assert_eq!(stand.says(run).await, format!("succeeded review_ready {about}"));
    }
    assert_eq!(claim(&stand.pool).await, None, "ready, it still holds its fingerprint");
}

#[tokio::test]
async fn a_failed_review_makes_room_for_another_try_which_then_counts() {
    let stand = Stand::new().await;
    let first = claim(&stand.pool).await.unwrap();
    stand.run("UPDATE environment_reviews SET status = 'failed' WHERE fingerprint = 'raced'").await;
    let about_first = format!("environment_review/{first}");
    assert_eq!(stand.says(composing("raced")).await, format!("failed review_failed {about_first}"));
    let second = claim(&stand.pool).await.unwrap();
    let about_second = format!("environment_review/{second}");
    let says = stand.says(composing("raced")).await;
    assert_eq!(says, format!("no_change review_is_a_draft {about_second}"));
}

#[tokio::test]
async fn lineages_are_followed_to_their_end_in_one_query_a_page() {
    let stand = Stand::new().await;
    stand
        .run(
            "INSERT INTO environment_reviews
                (id, workspace, environment, fingerprint, status, superseded_by)
             VALUES
                -- A chain of three that ends well.
                (3, 'main', 'production', 'chain-c', 'published', NULL),
                (2, 'main', 'production', 'chain-b', 'superseded', 3),
                (1, 'main', 'production', 'chain', 'superseded', 2),
                -- A circle.
                (11, 'main', 'production', 'circle-b', 'superseded', NULL),
                (10, 'main', 'production', 'circle', 'superseded', 11),
                -- Two that are there, one after the other.
                (22, 'main', 'production', 'two-c', 'published', NULL),
                (21, 'main', 'production', 'two-b', 'ready', 22),
                (20, 'main', 'production', 'two', 'superseded', 21),
                -- A successor in another environment.
                (31, 'main', 'elsewhere', 'away', 'ready', NULL),
                (30, 'main', 'production', 'away', 'superseded', 31),
                -- Two that are there for one fingerprint.
                (40, 'main', 'production', 'twice', 'published', NULL),
                (41, 'main', 'production', 'twice', 'ready', NULL);
             UPDATE environment_reviews SET superseded_by = 10 WHERE id = 11;
             -- A chain that is longer than anybody should follow.
             INSERT INTO environment_reviews
                (id, workspace, environment, fingerprint, status, superseded_by)
             SELECT n, 'main', 'production', 'long-' || n,
                CASE n WHEN 100 THEN 'ready' ELSE 'superseded' END, nullif(n - 1, 99)
             FROM generate_series(100, 150) AS n ORDER BY n;",
        )
        .await;
    let fingerprints = ["chain", "circle", "two", "away", "twice", "long-120", "long-150", "none"];
    let cases: Vec<Case> = fingerprints.iter().map(|one| composing(one)).collect();
    let judged = stand.registry().judge(cases).await;
    assert_eq!(
        all_said(&judged),
        [
            "succeeded superseded_by_ready_review environment_review/3",
            "needs_attention ambiguous_lineage -",
            "needs_attention ambiguous_lineage -",
            "needs_attention no_ready_successor -",
            "needs_attention ambiguous_lineage -",
            "succeeded superseded_by_ready_review environment_review/100",
            "needs_attention ambiguous_lineage -",
            "no_change no_review_found -",
        ]
    );
}

#[tokio::test]
async fn a_review_of_another_environment_or_workspace_is_no_evidence() {
    let stand = Stand::new().await;
    stand
        .run(
            "INSERT INTO environment_reviews (workspace, environment, fingerprint, status) VALUES
                ('main', 'staging', 'same', 'ready'),
                ('main', '', 'same', 'ready'),
                ('other', 'production', 'same', 'ready'),
                ('MAIN', 'production', 'same', 'ready')",
        )
        .await;
    let fresh = composing("same");
    let stale = Case { stale: true, ..fresh.clone() };
    assert_eq!(stand.says(fresh).await, "no_change no_review_found -");
    assert_eq!(stand.says(stale).await, "needs_attention no_review_found -");
    let mut of_workspace = composing("same");
    of_workspace.run.environment = None;
    assert!(stand.says(of_workspace).await.starts_with("succeeded review_ready"));
}

#[tokio::test]
async fn more_reviews_of_one_fingerprint_than_are_looked_at_are_ambiguous() {
    let stand = Stand::new().await;
    stand
        .run(
            "INSERT INTO environment_reviews (workspace, environment, fingerprint, status)
             SELECT 'main', 'production', 'many', 'failed' FROM generate_series(1, 100)",
        )
        .await;
    assert_eq!(stand.says(composing("many")).await, "needs_attention ambiguous_lineage -");
}

#[tokio::test]
async fn the_seed_of_the_example_is_judged() {
    let stand = Stand::new().await;
    let demo = |environment: &str, fingerprint: &str| {
        let mut case = composing(fingerprint);
        case.workspace_name = Name::new("demo").unwrap();
        case.run.environment = Some(Name::new(environment).unwrap());
        case
    };
    let says = async |case| said(&stand.judge(case).await);
    assert_eq!(
        says(demo("production", "sha256:fcde2b2edba56bf4")).await,
        "succeeded superseded_by_ready_review environment_review/1002"
    );
    assert_eq!(
        says(demo("staging", "sha256:5feceb66ffc86f38")).await,
        "failed review_failed environment_review/1005"
    );
}
