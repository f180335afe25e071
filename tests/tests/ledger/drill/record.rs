//! What was written down of what was signed, and what is missing on either side.

use runledger_ledger::access::{AccessChange, KeyRotated};
use runledger_ledger::checkpoints::{Anchors, Fork, Gap, Keys, SignError, Signer};
use runledger_ledger::clock::Entropy;
use runledger_ledger::submission::{Command, Submission};
use runledger_ledger::time::Moment;
use runledger_ledger::words::WorkspaceId;
use runledger_ledger::workspace::WorkspaceCommand;
use runledger_proof::witness::Seen;

use super::Drill;
use crate::bed::{Bed, on_every_store};

on_every_store!(
    what_is_missing_on_either_side_is_named,
    a_checkpoint_that_is_missing_at_the_end_is_put_back_as_it_was,
    keys_that_are_not_those_that_signed_sign_nothing,
    a_row_that_somebody_has_put_among_the_checkpoints_stops_nobody,
    a_log_that_was_set_back_goes_on_once_somebody_has_said_so,
);

fn elsewhere(drill: &Drill, name: &str) -> Signer {
    let anchors = Anchors::new(drill.directory.path().join(name));
    Signer::new(drill.bed.store().clone(), drill.bed.clock.clone(), anchors)
}

async fn what_is_missing_on_either_side_is_named(bed: Bed) {
    let drill = Drill::new(bed).await;
    let log = drill.bed.workspace;
    assert_eq!(drill.signer.gaps().await.unwrap(), []);
    let nothing = elsewhere(&drill, "empty").gaps().await.unwrap();
    assert_eq!(nothing, [Gap::Nothing { log, signed: 700 }]);
    // A log that is not in the database.
    let other = WorkspaceId(uuid::Uuid::from_u128(7));
    let seen = Seen { size: 9, root: [1; 32] };
    drill.anchors.add(other, seen, Moment::from_micros(1)).await.unwrap();
    let gone = [Gap::Gone { log: other, signed: Some(9) }];
    assert_eq!(drill.signer.gaps().await.unwrap(), gone);
    // A file that was emptied, and one that is gone, while others are there.
    let written = std::fs::read(drill.anchors.file(log)).unwrap();
    std::fs::write(drill.anchors.file(log), "").unwrap();
    let gaps = drill.signer.gaps().await.unwrap();
    assert!(gaps.contains(&gone[0]) && gaps.contains(&Gap::Removed { log }), "{gaps:?}");
    std::fs::write(drill.anchors.file(log), written).unwrap();
    std::fs::remove_file(drill.anchors.file(log)).unwrap();
    let gaps = drill.signer.gaps().await.unwrap();
    assert_eq!(gaps, [gone[0].clone(), Gap::Removed { log }]);
    std::fs::remove_file(drill.anchors.file(other)).unwrap();
    let gaps = drill.signer.gaps().await.unwrap();
    assert_eq!(gaps, [Gap::Removed { log }, Gap::Gone { log: other, signed: None }]);
}

async fn a_checkpoint_that_is_missing_at_the_end_is_put_back_as_it_was(bed: Bed) {
    let mut drill = Drill::new(bed).await;
    let (store, log) = (drill.bed.store().clone(), drill.bed.workspace);
    let last = store.last_checkpoint(log).await.unwrap().unwrap();
    drill.tamper(&["DELETE FROM checkpoints WHERE size = 700"]).await;
    drill.sign().await;
    assert_eq!(store.last_checkpoint(log).await.unwrap().unwrap(), last);
    drill.tamper(&["DELETE FROM checkpoints WHERE size = 700"]).await;
    drill.grow(1).await;
    drill.sign().await;
    assert_eq!(store.checkpoint_at(log, 700).await.unwrap().unwrap(), last);
    assert_eq!(store.last_checkpoint(log).await.unwrap().unwrap().size, 701);
}

async fn keys_that_are_not_those_that_signed_sign_nothing(bed: Bed) {
    let drill = Drill::new(bed).await;
    let (log, keys) =
        (drill.bed.workspace, Keys::make("ledger.example", &Entropy::system()).unwrap());
    drill.grow(1).await;
    let strange = |error: SignError| match error {
        SignError::Keys { signed, .. } => signed,
        error => panic!("{error}"),
    };
    assert_eq!(strange(drill.signer.knows(log, &keys).await.unwrap_err()), 700);
    assert_eq!(strange(drill.signer.sign(log, &keys).await.unwrap_err()), 700);
    // Also where nothing is written down.
    let other = elsewhere(&drill, "empty");
    assert_eq!(strange(other.sign(log, &keys).await.unwrap_err()), 700);
    // Somebody says that they have taken the place of the others.
    let all: Vec<String> = keys.verifiers(log).iter().map(ToString::to_string).collect();
    let (added, retired) = (all.clone(), vec!["00000000".to_owned()]);
    let rotated = KeyRotated { added, keys: all, retired, reason: None };
    let change = WorkspaceCommand::NoteAccess(AccessChange::KeyRotated(rotated));
    drill.bed.record(Submission::new(Command::Workspace(change))).await;
    assert_eq!(drill.signer.sign(log, &keys).await.unwrap().unwrap().size, 702);
    assert!(!drill.signer.check(log, &keys).await.unwrap());
}

async fn a_row_that_somebody_has_put_among_the_checkpoints_stops_nobody(bed: Bed) {
    let mut drill = Drill::new(bed).await;
    let log = drill.bed.workspace;
    let stranger = Keys::make("ledger.example", &Entropy::system()).unwrap();
    let other = elsewhere(&drill, "empty");
    let (size, root) = (800, [9; 32]);
    let text = runledger_proof::checkpoint::Checkpoint::new(&stranger.origin(log), size, root);
    let signers = stranger.of_log(log);
    let note = runledger_proof::note::Note::sign(
        &text.to_string(),
        &signers.iter().collect::<Vec<_>>(),
        0,
    );
    let signed_at = Moment::from_micros(1);
    let note = note.to_string().into_bytes();
    let row = runledger_ledger::store::SignedCheckpoint { size, root, signed_at, note };
    drill.bed.store().add_checkpoint(log, &row).await.unwrap();
    drill.grow(1).await;
    // What is written down tells which one is ours; whoever has nothing written down cannot know.
    drill.sign().await;
    assert!(matches!(other.sign(log, &drill.keys).await, Err(SignError::Keys { signed: 800, .. })));
}

async fn a_log_that_was_set_back_goes_on_once_somebody_has_said_so(bed: Bed) {
    let mut drill = Drill::new(bed).await;
    let log = drill.bed.workspace;
    drill
        .tamper(&[
            "DELETE FROM events WHERE position >= 350",
            "DELETE FROM checkpoints WHERE size > 350",
        ])
        .await;
    drill.rebuild().await;
    let standing = drill.signer.standing(log, &drill.keys).await.unwrap();
    assert_eq!((standing.published.size, standing.written.unwrap().size), (300, 700));
    assert_eq!(standing.otherwise, Some(Fork::Shorter { found: 350, signed: 700 }));
    drill.signer.go_on_from(log, standing.published).await.unwrap();
    drill.sign().await;
    assert_eq!(drill.signed.last().unwrap().size, 350);
    let standing = drill.signer.standing(log, &drill.keys).await.unwrap();
    assert_eq!((standing.published.size, standing.otherwise), (350, None));
}
