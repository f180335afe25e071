//! Every row of DESIGN section 9 for `environment.review.compose`, and what it leaves open.

use AdapterDecision::{Blocked, Failed, NeedsAttention, NoChange, Succeeded};
use rstest::rstest;

use super::*;

/// `id:status`, or `id:status>successor`. A `!` before the id puts it in another environment, a `~`
/// gives it another fingerprint.
fn review(text: &str) -> Review {
    let (foreign, text) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
    let (other, text) = text.strip_prefix('~').map_or((false, text), |rest| (true, rest));
    let (id, status) = text.split_once(':').unwrap();
    let (status, successor) = status.split_once('>').map_or((status, None), |(s, n)| (s, Some(n)));
    Review {
        id: id.to_owned(),
        workspace: "main".to_owned(),
        environment: if foreign { "elsewhere" } else { "production" }.to_owned(),
        fingerprint: if other { "f9" } else { "f0" }.to_owned(),
        status: status.to_owned(),
        superseded_by: successor.map(str::to_owned),
    }
}

fn evidence(reviews: &str) -> ReviewEvidence {
    let reviews = reviews.split_whitespace().map(review).collect();
    ReviewEvidence { reviews, truncated: false }
}

fn judged(reviews: &str, stale: bool) -> Decision {
    let case = Case { stale, ..case(ADAPTER).unwrap() };
    decide(&case, &evidence(reviews))
}

/// The decision, while fresh and once stale, with its reason and what it is related to.
#[rstest]
// Exactly one that is there.
#[case("1:ready", Succeeded, Succeeded, "review_ready", Some("1"))]
#[case("1:published", Succeeded, Succeeded, "review_ready", Some("1"))]
#[case("1:ready 2:ready", NeedsAttention, NeedsAttention, "ambiguous_lineage", None)]
#[case("1:ready 2:published", NeedsAttention, NeedsAttention, "ambiguous_lineage", None)]
// Lineages.
#[case("1:superseded>2 ~2:ready", Succeeded, Succeeded, "superseded_by_ready_review", Some("2"))]
#[case("1:superseded>2 2:published", Succeeded, Succeeded, "review_ready", Some("2"))]
#[case(
    "1:superseded>2 ~2:superseded>3 ~3:ready",
    Succeeded,
    Succeeded,
    "superseded_by_ready_review",
    Some("3")
)]
#[case(
    "1:superseded>3 2:superseded>3 ~3:ready",
    Succeeded,
    Succeeded,
    "superseded_by_ready_review",
    Some("3")
)]
#[case(
    "1:superseded>2 ~2:ready>3 ~3:published",
    NeedsAttention,
    NeedsAttention,
    "ambiguous_lineage",
    None
)]
#[case(
    "1:superseded>3 2:superseded>4 ~3:ready ~4:ready",
    NeedsAttention,
    NeedsAttention,
    "ambiguous_lineage",
    None
)]
#[case(
    "1:superseded>2 ~2:ready 3:ready",
    NeedsAttention,
    NeedsAttention,
    "ambiguous_lineage",
    None
)]
#[case("1:superseded", NeedsAttention, NeedsAttention, "no_ready_successor", None)]
#[case("1:superseded>2 ~2:draft", NeedsAttention, NeedsAttention, "no_ready_successor", None)]
#[case("1:superseded>2 ~2:failed", NeedsAttention, NeedsAttention, "no_ready_successor", None)]
#[case("1:superseded>1", NeedsAttention, NeedsAttention, "ambiguous_lineage", None)]
#[case("1:superseded>2 ~2:ready>1", NeedsAttention, NeedsAttention, "ambiguous_lineage", None)]
#[case("1:superseded>2 2:superseded>1", NeedsAttention, NeedsAttention, "ambiguous_lineage", None)]
#[case("1:superseded 2:ready", NeedsAttention, NeedsAttention, "ambiguous_lineage", None)]
// A successor in another scope is none.
#[case("1:superseded>2 !~2:ready", NeedsAttention, NeedsAttention, "no_ready_successor", None)]
// Only failures, drafts, archived ones.
#[case("1:failed", Failed, Failed, "review_failed", Some("1"))]
#[case("1:failed 2:failed", Failed, Failed, "review_failed", None)]
#[case("1:draft", NoChange, NeedsAttention, "review_is_a_draft", Some("1"))]
#[case("1:draft 2:draft", NoChange, NeedsAttention, "ambiguous_lineage", None)]
#[case("1:archived", Blocked, Blocked, "archived", Some("1"))]
#[case("1:archived 2:archived", Blocked, Blocked, "archived", None)]
// One beside another.
#[case("1:failed 2:draft", NoChange, NeedsAttention, "review_is_a_draft", Some("2"))]
#[case("1:failed 2:failed 3:draft", NoChange, NeedsAttention, "review_is_a_draft", Some("3"))]
#[case("1:failed 2:draft 3:draft", NeedsAttention, NeedsAttention, "ambiguous_lineage", None)]
#[case("1:failed 2:ready", Succeeded, Succeeded, "review_ready", Some("2"))]
#[case("1:draft 2:published", Succeeded, Succeeded, "review_ready", Some("2"))]
#[case("1:draft 2:failed 3:ready", Succeeded, Succeeded, "review_ready", Some("3"))]
#[case("1:failed 2:ready 3:ready", NeedsAttention, NeedsAttention, "ambiguous_lineage", None)]
#[case("1:archived 2:ready", NeedsAttention, NeedsAttention, "ambiguous_lineage", None)]
#[case("1:archived 2:failed", NeedsAttention, NeedsAttention, "ambiguous_lineage", None)]
// Nothing.
#[case("", NoChange, NeedsAttention, "no_review_found", None)]
#[case("!1:ready", NoChange, NeedsAttention, "no_review_found", None)]
#[case("~1:ready", NoChange, NeedsAttention, "no_review_found", None)]
#[case("!1:ready 2:failed", Failed, Failed, "review_failed", Some("2"))]
#[case("1:composing", NeedsAttention, NeedsAttention, "unknown_review_status", None)]
#[case("1:ready 2:composing", NeedsAttention, NeedsAttention, "unknown_review_status", None)]
fn a_review_decides(
    #[case] reviews: &str,
    #[case] fresh: AdapterDecision,
    #[case] stale: AdapterDecision,
    #[case] reason: &str,
    #[case] related: Option<&str>,
) {
    for (is_stale, wanted) in [(false, fresh), (true, stale)] {
        let decision = judged(reviews, is_stale);
        assert_eq!((decision.decision, decision.reason_code.as_str()), (wanted, reason));
        assert_eq!(decision.related.map(|related| related.id).as_deref(), related);
    }
}

#[test]
fn the_order_of_the_rows_changes_nothing() {
    let forward = "1:superseded>2 ~2:superseded>3 ~3:ready 4:failed 5:draft";
    let backward: Vec<&str> = forward.split_whitespace().rev().collect();
    let decision = judged(forward, false);
    assert_eq!(decision, judged(&backward.join(" "), false));
    assert_eq!(decision.decision, Succeeded);
}

#[test]
fn a_run_without_a_fingerprint_has_no_review() {
    let mut case = case(ADAPTER).unwrap();
    case.run.fingerprint = None;
    let decision = decide(&case, &evidence("1:ready"));
    assert_eq!(decision.reason_code, "no_review_found");
}

#[test]
fn a_row_of_another_workspace_is_none() {
    let foreign = Review { workspace: "other".to_owned(), ..review("1:ready") };
    let found = ReviewEvidence { reviews: vec![foreign], truncated: false };
    let decision = decide(&case(ADAPTER).unwrap(), &found);
    assert_eq!(decision.reason_code, "no_review_found");
}

#[test]
fn rows_go_to_their_case_each_once_and_too_many_are_said_to_be() {
    let row = |place, step, id: &str| Row {
        place,
        step,
        id: id.to_owned(),
        workspace: "main".to_owned(),
        environment: "production".to_owned(),
        fingerprint: "f0".to_owned(),
        status: "superseded".to_owned(),
        superseded_by: Some("1".to_owned()),
    };
    let cycle =
        vec![row(1, 0, "1"), row(1, 1, "1"), row(2, 0, "2"), row(2, 0, "3"), row(9, 0, "4")];
    let counts: Vec<_> =
        per_case(cycle, 3).iter().map(|one| (one.reviews.len(), one.truncated)).collect();
    assert_eq!(counts, [(1, false), (2, false), (0, false)]);
    let many = (0..=MOST_REVIEWS).map(|id| row(1, 0, &id.to_string())).collect();
    assert!(per_case(many, 1)[0].truncated);
    assert!(per_case(vec![row(1, MOST_STEPS, "1")], 1)[0].truncated);
}
