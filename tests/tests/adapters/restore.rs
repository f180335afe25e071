//! `restore.execute` over the documented schema.

use runledger_adapters::adapter::Case;

use crate::stand::{Stand, all_said, restoring};

#[tokio::test]
async fn each_record_decides_its_own_run_in_one_query_a_page() {
    let stand = Stand::new().await;
    stand
        .run(
            "INSERT INTO restore_runs (id, workspace, environment, run_id, status) VALUES
                (1, 'main', 'production', '00000000-0000-0000-0000-000000000001', 'completed'),
                (2, 'main', 'production', '00000000-0000-0000-0000-000000000002', 'completed_with_errors'),
                (3, 'main', 'production', '00000000-0000-0000-0000-000000000003', 'failed'),
                (4, 'main', 'production', '00000000-0000-0000-0000-000000000004', 'aborted'),
                (5, 'main', 'production', '00000000-0000-0000-0000-000000000005', 'executing'),
                (6, 'main', 'production', '00000000-0000-0000-0000-000000000006', 'previewed'),
                (7, 'main', 'staging', '00000000-0000-0000-0000-000000000007', 'completed'),
                (8, 'other', 'production', '00000000-0000-0000-0000-000000000008', 'completed'),
                (9, 'main', 'production', '00000000-0000-0000-0000-000000000009', 'completed'),
                (10, 'main', 'production', '00000000-0000-0000-0000-000000000009', 'failed')",
        )
        .await;
    let cases = (1..=9).map(restoring).collect();
    let judged = stand.registry().judge(cases).await;
    assert_eq!(
        all_said(&judged),
        [
            "succeeded restore_completed restore_run/1",
            "partially_succeeded restore_completed_with_errors restore_run/2",
            "failed restore_failed restore_run/3",
            "blocked restore_aborted restore_run/4",
            "no_change restore_is_executing restore_run/5",
            "no_change restore_is_previewed restore_run/6",
            "no_change no_restore_found -",
            "no_change no_restore_found -",
            "needs_attention ambiguous_restore -",
        ]
    );
    let stale = Case { stale: true, ..restoring(7) };
    assert_eq!(stand.says(stale).await, "needs_attention no_restore_found -");
}

#[tokio::test]
async fn a_record_is_found_by_the_runs_subject_in_its_own_scope_only() {
    let stand = Stand::new().await;
    stand
        .run(
            "INSERT INTO restore_runs (id, workspace, environment, run_id, status) VALUES
                (1, 'main', 'production', NULL, 'completed'),
                (2, 'main', 'staging', NULL, 'completed'),
                (3, 'main', 'production', '00000000-0000-0000-0000-0000000000ff', 'completed')",
        )
        .await;
    let named = |subject: &str| {
        let mut case = restoring(77);
        case.run.subject = Some(subject.parse().unwrap());
        case
    };
    let found = "succeeded restore_completed restore_run/1";
    assert_eq!(stand.says(named("restore_run/1")).await, found);
    for nobody in ["restore_run/2", "restore_run/3", "restore_run/x", "backup/1"] {
        assert_eq!(stand.says(named(nobody)).await, "no_change no_restore_found -", "{nobody}");
    }
}
