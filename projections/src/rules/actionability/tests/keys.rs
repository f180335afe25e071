//! Which run supersedes which, and which follow-ups are one thing to do.

use runledger_ledger::run::Named;

use super::*;

fn named(environment: Option<&str>, subject: Option<&str>, fingerprint: Option<&str>) -> Named {
    Named {
        environment: environment.map(name),
        subject: subject.map(|text| text.parse().unwrap()),
        fingerprint: fingerprint.map(name),
        ..Named::default()
    }
}

/// A problem of `operation` settled at minute 10, named like this.
fn problem(operation: &str, named: &Named) -> Run {
    Story::named(operation, 0, 0, named.clone()).ended_as(10, Outcome::Failed).run
}

/// A success of `operation`, dispatched at minute 11.
fn success(operation: &str, named: &Named) -> Run {
    Story::named(operation, 11, 11, named.clone()).ended_as(12, Outcome::Succeeded).run
}

fn supersedes(of: &str, problem_is: &Named, success_is: &Named) -> bool {
    may_supersede(&problem(of, problem_is), &success(of, success_is), &operation(of))
}

#[test]
fn proof_counts_only_inside_one_environment() {
    let of = |environment| named(environment, None, None);
    assert!(supersedes(SYNC, &of(Some("prod")), &of(Some("prod"))));
    assert!(supersedes(SYNC, &of(None), &of(None)));
    assert!(!supersedes(SYNC, &of(Some("prod")), &of(Some("staging"))));
    assert!(!supersedes(SYNC, &of(Some("prod")), &of(None)));
    assert!(!supersedes(SYNC, &of(None), &of(Some("prod"))));
}

#[test]
fn another_operation_of_the_same_family_proves_nothing() {
    let here = named(Some("prod"), None, None);
    let other = success("policy.sync", &here);
    assert!(!may_supersede(&problem(SYNC, &here), &other, &operation(SYNC)));
}

#[test]
fn each_supersession_asks_for_its_own_key() {
    let of = |subject, fingerprint| named(Some("prod"), subject, fingerprint);
    let (a, b) = (Some("thing/a"), Some("thing/b"));
    // scope: equal subjects, or both none; a fingerprint says nothing.
    assert!(supersedes(SYNC, &of(a, Some("f")), &of(a, Some("g"))));
    assert!(!supersedes(SYNC, &of(a, None), &of(b, None)));
    assert!(!supersedes(SYNC, &of(None, None), &of(a, None)));
    assert!(!supersedes(SYNC, &of(a, None), &of(None, None)));
    // subject: both present.
    assert!(supersedes(CHECK, &of(a, Some("f")), &of(a, Some("g"))));
    assert!(!supersedes(CHECK, &of(a, None), &of(b, None)));
    assert!(!supersedes(CHECK, &of(None, None), &of(None, None)));
    // fingerprint: both present; a subject says nothing.
    assert!(supersedes(REVIEW, &of(a, Some("f")), &of(b, Some("f"))));
    assert!(!supersedes(REVIEW, &of(a, Some("f")), &of(a, Some("g"))));
    assert!(!supersedes(REVIEW, &of(a, None), &of(a, None)));
    // none: nothing.
    assert!(!supersedes(RESTORE, &of(a, Some("f")), &of(a, Some("f"))));
    assert!(!supersedes("acme.custom.thing", &of(a, Some("f")), &of(a, Some("f"))));
}

#[test]
fn only_an_uncontradicted_success_dispatched_strictly_later_supersedes() {
    let problem = failed(SYNC).run;
    let check = |story: Story| may_supersede(&problem, &story.run, &operation(SYNC));
    assert!(check(Story::dispatched(SYNC, 11).ended_as(12, Outcome::Succeeded)));
    assert!(!check(Story::dispatched(SYNC, 10).ended_as(12, Outcome::Succeeded)));
    assert!(!check(Story::dispatched(SYNC, 0).ended_as(12, Outcome::Succeeded)));
    assert!(!check(Story::dispatched(SYNC, 11)));
    assert!(!check(Story::dispatched(SYNC, 11).ended_as(12, Outcome::PartiallySucceeded)));
    let contradicted =
        Story::dispatched(SYNC, 11).ended_as(12, Outcome::Succeeded).ended_as(13, Outcome::Failed);
    assert!(!check(contradicted));
    let reconciled = Story::dispatched(SYNC, 11).reconciled(12, AdapterDecision::Succeeded);
    assert!(check(reconciled));
    // What a source claims to have dispatched earlier, was.
    assert!(!check(Story::claimed(SYNC, 9, 30).ended_as(31, Outcome::Succeeded)));
}

#[test]
fn an_active_run_is_superseded_by_nothing() {
    let active = Story::dispatched(SYNC, 0).run;
    let success = Story::dispatched(SYNC, 11).ended_as(12, Outcome::Succeeded).run;
    assert!(!may_supersede(&active, &success, &operation(SYNC)));
}

fn item_of(run: &Run, id: u128) -> ItemKey {
    let operation = operation(run.operation.as_ref().unwrap().as_str());
    let verdict = actionability(run, &operation, &Evidence::default());
    item_key(run, run_id(id), &operation, &verdict)
}

#[test]
fn ten_failed_syncs_in_a_row_are_one_thing_to_do() {
    let here = named(Some("prod"), None, None);
    let items: std::collections::BTreeSet<_> =
        (0..10).map(|id| item_of(&problem(SYNC, &here), id)).collect();
    assert_eq!(items.len(), 1);
}

#[test]
fn what_differs_in_any_part_of_its_key_is_another_thing_to_do() {
    let runs = [
        problem(SYNC, &named(Some("prod"), None, None)),
        problem(SYNC, &named(Some("staging"), None, None)),
        problem(SYNC, &named(None, None, None)),
        problem(SYNC, &named(Some("prod"), Some("a/bc"), None)),
        problem(SYNC, &named(Some("prod"), Some("ab/c"), None)),
        problem("policy.sync", &named(Some("prod"), None, None)),
        problem(CHECK, &named(Some("prod"), Some("a/bc"), None)),
        problem(REVIEW, &named(Some("prod"), None, Some("f1"))),
        problem(REVIEW, &named(Some("prod"), None, Some("f2"))),
    ];
    let items: std::collections::BTreeSet<_> = runs.iter().map(|run| item_of(run, 1)).collect();
    assert_eq!(items.len(), runs.len());
}

#[test]
fn manual_review_and_families_without_supersession_are_items_of_their_own() {
    let here = named(Some("prod"), Some("set/1"), None);
    let contradicted = failed(SYNC).ended_as(11, Outcome::Succeeded).run;
    for run in [
        problem(RESTORE, &here),
        problem("acme.custom.thing", &here),
        problem(CHECK, &named(Some("prod"), None, None)),
        contradicted,
    ] {
        assert_eq!(item_of(&run, 1), item_of(&run, 1));
        assert_ne!(item_of(&run, 1), item_of(&run, 2), "{:?}", run.operation);
    }
}

#[test]
fn an_item_keeps_its_name_for_ever() {
    let item = item_of(&problem(SYNC, &named(Some("prod"), None, None)), 1);
    assert_eq!(item.to_string(), "8e888c2c2cc7a09438ff067e96b8c793");
    assert_eq!(item.to_string().parse::<ItemKey>(), Ok(item));
    let json = serde_json::to_value(item).unwrap();
    assert_eq!(serde_json::from_value::<ItemKey>(json).unwrap(), item);
}
