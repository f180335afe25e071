//! Nothing ever crosses from one workspace to another.

use runledger_ledger::catalog::Catalog;
use runledger_ledger::ledger::{CreateError, SubmitError};
use runledger_ledger::submission::Answer;
use runledger_ledger::words::{UniqueMode, WorkspaceId};

use crate::audit::audit;
use crate::bed::{Bed, create_workspace, on_every_store, submit, tell, try_tell, words};
use crate::reports::{
    dispatch, failed, name, observed, publish, seen, started, succeeded, unique, with_id,
};

on_every_store!(
    runs_ids_and_keys_of_two_workspaces_do_not_meet,
    a_catalog_is_in_force_in_its_own_workspace,
    a_workspace_that_does_not_exist_takes_nothing,
    a_name_is_given_once,
    a_workspace_whose_making_was_cut_off_is_finished_by_the_next_one,
);

async fn runs_ids_and_keys_of_two_workspaces_do_not_meet(bed: Bed) {
    let other = create_workspace(&bed.ledger, "other").await;
    let run = bed.new_run();
    let reports = || {
        vec![
            with_id(unique(run, UniqueMode::Subject, "x"), "a", "1"),
            started(run),
            observed("x"),
            seen("w"),
        ]
    };
    assert_eq!(words(&bed.submit(reports()).await), ["2", "3", "4", "5"]);
    let unheard = submit(&bed.ledger, other, vec![started(run)]).await;
    assert_eq!(words(&unheard), ["unknown_run"]);
    assert_eq!(words(&submit(&bed.ledger, other, reports()).await), ["2", "3", "4", "5"]);
    bed.record(failed(run)).await;
    let second = bed.new_run();
    bed.record(unique(second, UniqueMode::Subject, "x")).await;
    let answer = tell(&bed.ledger, other, unique(second, UniqueMode::Subject, "x")).await;
    assert_eq!(answer, Answer::Existing(run));
    assert_eq!(words(&[tell(&bed.ledger, other, succeeded(run)).await]), ["6"]);
    for workspace in [bed.workspace, other] {
        audit(bed.store(), workspace).await;
    }
}

async fn a_catalog_is_in_force_in_its_own_workspace(bed: Bed) {
    let other = create_workspace(&bed.ledger, "other").await;
    let text = Catalog::built_in().text().replace("[\"inventory_sync\"]", "[\"stock\"]");
    bed.record(publish(&text)).await;
    let canonical = |catalog: &Catalog| catalog.canonical("stock").to_owned();
    let here = bed.ledger.catalog(bed.workspace).await.unwrap();
    let there = bed.ledger.catalog(other).await.unwrap();
    assert_eq!((canonical(&here), canonical(&there)), ("inventory.sync".into(), "stock".into()));
}

async fn a_workspace_that_does_not_exist_takes_nothing(bed: Bed) {
    let nowhere = WorkspaceId(bed.new_run().0);
    let error = try_tell(&bed.ledger, nowhere, dispatch(bed.new_run())).await.unwrap_err();
    assert!(matches!(error, SubmitError::NoWorkspace), "{error}");
    assert_eq!(bed.store().head(nowhere).await.unwrap(), None);
}

async fn a_name_is_given_once(bed: Bed) {
    let error = bed.ledger.create_workspace(&name("main"), &Catalog::built_in()).await.unwrap_err();
    assert!(matches!(error, CreateError::Exists(_)), "{error}");
    assert_eq!(bed.store().workspaces().await.unwrap(), [(bed.workspace, "main".to_owned())]);
    assert_eq!(bed.store().workspace_by_name("main").await.unwrap(), Some(bed.workspace));
}

async fn a_workspace_whose_making_was_cut_off_is_finished_by_the_next_one(bed: Bed) {
    let cut_off = WorkspaceId(bed.new_run().0);
    assert!(bed.store().create_workspace(cut_off, &name("half"), bed.clock.now()).await.unwrap());
    assert_eq!(bed.store().workspace_by_name("half").await.unwrap(), None);
    assert_eq!(bed.store().workspaces().await.unwrap().len(), 1);
    let text = Catalog::built_in().text().replace("[\"inventory_sync\"]", "[\"stock\"]");
    let catalog = Catalog::parse(&text).unwrap();
    let made = bed.ledger.create_workspace(&name("half"), &catalog).await.unwrap();
    assert_eq!(made, cut_off);
    assert_eq!(bed.ledger.catalog(made).await.unwrap().text(), text);
    assert_eq!(bed.store().head(made).await.unwrap().unwrap().size(), 2);
    audit(bed.store(), made).await;
    let error = bed.ledger.create_workspace(&name("half"), &catalog).await.unwrap_err();
    assert!(matches!(error, CreateError::Exists(_)), "{error}");
}
