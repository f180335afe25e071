//! Archives: bodies leave the database for a directory, verified, and nothing is lost or believed
//! that should not be.

mod shelf;

use std::path::Path;

use runledger_ledger::archive::{
    self, Archive, ArchiveError, ArchiveState, Until, archive_of, marker,
};
use runledger_ledger::audit;
use runledger_ledger::clock::Entropy;
use runledger_ledger::erasure::What;
use runledger_ledger::event::{Actor, Stream};
use runledger_ledger::store::{StoreError, StoredEvent};
use runledger_ledger::tree;
use runledger_proof::merkle::verify_inclusion;
use uuid::Uuid;

use self::shelf::{Shelf, TO, ada, afresh, audit_of, read, why};
use crate::bed::{Bed, on_every_store, words};
use crate::drill::{literal, tamper};
use crate::erasure::{erase, eraser, run};
use crate::reports::{dispatch, failed, name, progress, resolve, succeeded, with_id};

on_every_store!(
    bodies_leave_are_read_elsewhere_and_come_back,
    an_archive_that_cannot_be_read_is_named_and_nothing_is_guessed,
    an_archive_that_is_not_what_was_signed_is_refused,
    only_whole_tiles_under_a_checkpoint_are_archived,
    what_was_erased_stays_erased_in_the_archive,
    tampering_is_found_after_bodies_were_dropped,
    the_database_refuses_what_no_order_names,
    a_drop_that_was_interrupted_is_gone_on_with,
);

async fn bodies_leave_are_read_elsewhere_and_come_back(bed: Bed) {
    let mut shelf = Shelf::new(bed).await;
    let before = shelf.read().await.unwrap();
    let exported = shelf.export(Until::Through(TO + 30), "first").await.unwrap();
    let manifest = &exported.verified.manifest;
    assert_eq!((manifest.from, manifest.to, manifest.size), (0, TO, 612), "whole tiles");
    let trusted = archive::verify(&shelf.path("first"), Some(&shelf.policy())).unwrap();
    assert!(trusted.is_intact(), "{:?}", trusted.differences);
    assert!(shelf.export(Until::Through(TO), "first").await.unwrap().was_there);
    assert_eq!(shelf.read().await.unwrap(), before, "an export changes nothing");

    let archived = shelf.archived("first").await;
    assert_eq!(archived.state(), ArchiveState::Dropped);
    assert_eq!(archived.ordered_by, Some(ada()));
    assert_eq!(archived.ordered.digest, exported.verified.digest);
    let kept = shelf.kept().await;
    let gone = |event: &StoredEvent| archive_of(&event.body) == Some(archived.id);
    assert!(kept[..2].iter().all(|event| !gone(event)), "what the log is read by stays");
    assert!(!gone(&kept[2]), "a run that has not ended stays");
    assert!(kept[3..512].iter().all(gone) && !kept[512..].iter().any(gone));
    assert_eq!(archived.dropped.map(|(bodies, _)| bodies), Some(TO - 3));
    assert_eq!(shelf.read().await.unwrap()[..612], before, "read where they are");

    let audit = shelf.audit().await;
    assert!(audit.flaws.is_empty(), "{:?}", audit.flaws);
    let [range] = &audit.archived[..] else { panic!("{:?}", audit.archived) };
    assert_eq!((range.from, range.to, range.bodies, range.verified), (0, TO, TO - 3, TO - 3));
    assert!(range.place.ends_with("first") && range.why.is_none());
    let (store, workspace) = (shelf.bed.store(), shelf.bed.workspace);
    let size = shelf.bed.size().await;
    let root = tree::root(store, workspace, size).await.unwrap();
    for position in [3, 300, 511, 600] {
        let leaf = kept[usize::try_from(position).unwrap()].leaf_hash[..].try_into().unwrap();
        let proof = tree::inclusion(store, workspace, position, size).await.unwrap();
        verify_inclusion(position, size, &leaf, &proof, &root).unwrap();
    }

    // What comes late is judged by what is in the archive.
    let first = shelf.ended[0];
    let again = with_id(dispatch(first), &format!("report {first}"), "1");
    let answers = shelf
        .bed
        .submit(vec![
            again,
            failed(first),
            succeeded(first),
            resolve(first),
            progress(shelf.active, 1),
        ])
        .await;
    let said = words(&answers);
    assert_eq!(said[..2], ["duplicate of 5", "duplicate"]);
    assert!(said[2..].iter().all(|word| word.parse::<u64>().is_ok()), "{said:?}");
    assert!(shelf.audit().await.flaws.is_empty());

    // The next one begins where this one ends, and what is in this one is not dropped twice.
    shelf.bed.submit((0..200).map(|_| dispatch(shelf.bed.new_run())).collect()).await;
    shelf.sign().await;
    let next = shelf.export(Until::Through(800), "next").await.unwrap().verified.manifest;
    assert_eq!((next.from, next.to), (TO, 768));

    let may = eraser(&shelf.bed).await;
    let place = shelf.path("first");
    let back = archive::restore(&may, workspace, &archived, &place, &|_, _| {}).await.unwrap();
    assert_eq!(back, TO - 3);
    let said = (back, why());
    archive::restored(&shelf.bed.ledger, workspace, &archived, said, &ada()).await.unwrap();
    std::fs::remove_dir_all(&place).unwrap();
    assert_eq!(shelf.kept().await[..612], before);
    let store = afresh(&shelf.bed, Vec::new());
    let audit = audit_of(&store, &shelf.bed).await;
    assert!(audit.flaws.is_empty() && audit.archived.is_empty(), "{:?}", audit.flaws);
    let listed = archive::list(&store, workspace).await.unwrap();
    assert_eq!(listed.iter().map(Archive::state).collect::<Vec<_>>(), [ArchiveState::Restored]);
}

async fn an_archive_that_cannot_be_read_is_named_and_nothing_is_guessed(bed: Bed) {
    let shelf = Shelf::new(bed).await;
    let before = shelf.read().await.unwrap();
    let archived = shelf.archived("first").await;
    let (away, elsewhere) = (shelf.path("away"), shelf.path("elsewhere"));
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::rename(shelf.path("first"), &away).unwrap();
    let bed = &shelf.bed;
    let store = afresh(bed, Vec::new());
    let refused = read(&store, bed).await.unwrap_err();
    let StoreError::Archived(missing) = &refused else { panic!("{refused:?}") };
    assert_eq!((missing.archive, missing.position), (archived.id, 3));
    assert!(refused.to_string().contains(archived.ordered.place.as_str()), "{refused}");
    let audit = audit_of(&store, bed).await;
    assert!(audit.flaws.is_empty(), "{:?}", audit.flaws);
    assert_eq!((audit.archived[0].bodies, audit.archived[0].verified), (TO - 3, 0));
    assert!(audit.archived[0].why.is_some());
    let told = store.log_as_kept(bed.workspace, 3, 4, 1).await.unwrap();
    let told = store.told(bed.workspace, told).await.unwrap().remove(0);
    let whereabouts = told.archived.unwrap();
    assert_eq!(whereabouts.digest, archived.ordered.digest);
    assert!(whereabouts.why.is_some());

    // A ledger that has read nothing yet, as after a restart.
    let ledger =
        runledger_ledger::ledger::Ledger::new(store.clone(), bed.clock.clone(), Entropy::system());
    let first = shelf.ended[0];
    let size = bed.size().await;
    let reports = vec![
        with_id(dispatch(first), &format!("report {first}"), "1"),
        with_id(dispatch(first), &format!("report {first}"), "2"),
        succeeded(first),
        resolve(first),
        progress(shelf.active, 1),
        dispatch(bed.new_run()),
    ];
    let answers = ledger.submit(bed.workspace, reports, false).await.unwrap();
    let said = words(&answers);
    let (active, new) = ((size + 1).to_string(), (size + 2).to_string());
    let wanted = ["duplicate of 5", "conflict with 5", "archived", "archived", &active, &new];
    assert_eq!(said, wanted, "{answers:?}");

    // Another archive in its place is not taken for it, and one that was moved is found.
    let other = Shelf::new(Bed::new(crate::bed::On::Memory).await).await;
    other.export(Until::Through(TO - 1), "first").await.unwrap();
    std::fs::rename(other.path("first"), shelf.path("first")).unwrap();
    assert!(matches!(read(&store, bed).await, Err(StoreError::Archived(_))));
    std::fs::rename(&away, elsewhere.join("first")).unwrap();
    for below in [vec![elsewhere.clone()], vec![elsewhere.join("first")]] {
        let store = afresh(bed, below);
        assert_eq!(read(&store, bed).await.unwrap()[..612], before);
    }
    // What is read is believed by its hash alone.
    let bundle = elsewhere.join("first/tile/entries/001");
    change(&bundle, |bytes| {
        let last = bytes.len() - 3;
        bytes[last] ^= 1;
    });
    let store = afresh(bed, vec![elsewhere]);
    let refused = read(&store, bed).await.unwrap_err().to_string();
    assert!(
        refused.contains("position 511") && refused.contains("not what was recorded"),
        "{refused}"
    );
}

fn change(path: &Path, how: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    how(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

async fn an_archive_that_is_not_what_was_signed_is_refused(bed: Bed) {
    let shelf = Shelf::new(bed).await;
    shelf.export(Until::Through(TO - 1), "first").await.unwrap();
    let (before, size) = (shelf.kept().await, shelf.bed.size().await);
    let files = [
        ("tile/entries/000", 300),
        ("tile/entries/001", 9_000),
        ("tile/0/000", 77),
        ("tile/0/002.p/100", 5),
        ("tile/1/000.p/2", 40),
        ("trust/policy.txt", 1),
    ];
    for (file, place) in files {
        let path = shelf.path("first").join(file);
        let whole = std::fs::read(&path).unwrap();
        change(&path, |bytes| bytes[place] ^= 4);
        let verified = archive::verify(&shelf.path("first"), Some(&shelf.policy())).unwrap();
        assert!(!verified.differences.is_empty(), "{file}");
        let refused = shelf.order("first").await.unwrap_err();
        assert!(matches!(refused, ArchiveError::NotIntact(_)), "{file}: {refused:?}");
        std::fs::remove_file(&path).unwrap();
        let verified = archive::verify(&shelf.path("first"), Some(&shelf.policy())).unwrap();
        assert_eq!(verified.missing, [file]);
        assert!(matches!(shelf.order("first").await, Err(ArchiveError::NotIntact(_))), "{file}");
        std::fs::write(&path, whole).unwrap();
    }
    // A checkpoint that was changed is not believed, and neither is one of another log.
    let checkpoint = shelf.path("first").join("checkpoint");
    let whole = std::fs::read(&checkpoint).unwrap();
    change(&checkpoint, |bytes| {
        let root = bytes.iter().rposition(|byte| *byte == b'\n').unwrap() - 20;
        bytes[root] = if bytes[root] == b'A' { b'B' } else { b'A' };
    });
    assert!(archive::verify(&shelf.path("first"), Some(&shelf.policy())).is_err());
    std::fs::write(&checkpoint, whole).unwrap();
    let other = Shelf::new(Bed::new(crate::bed::On::Memory).await).await;
    other.export(Until::Through(TO - 1), "other").await.unwrap();
    std::fs::rename(other.path("other"), shelf.path("other")).unwrap();
    assert!(matches!(shelf.order("other").await, Err(ArchiveError::OtherLog(_))));
    // The database itself was changed after the export: nothing is dropped over it.
    let ordered = {
        let (store, event) = (shelf.bed.store(), before[300].clone());
        let forged = literal(store, &[&event.body[..event.body.len() - 1], b" }"].concat());
        tamper(store, &[&format!("UPDATE events SET body = {forged} WHERE position = 300")]).await;
        let refused = shelf.order("first").await.unwrap_err();
        assert!(matches!(refused, ArchiveError::Damaged(300)), "{refused:?}");
        let whole = literal(store, &event.body);
        tamper(store, &[&format!("UPDATE events SET body = {whole} WHERE position = 300")]).await;
        shelf.kept().await
    };
    assert_eq!(ordered, before);
    assert_eq!(shelf.bed.size().await, size, "nothing was recorded");
}

async fn only_whole_tiles_under_a_checkpoint_are_archived(bed: Bed) {
    let shelf = Shelf::new(bed).await;
    shelf.bed.submit((0..300).map(|_| dispatch(shelf.bed.new_run())).collect()).await;
    let refused = shelf.export(Until::Through(800), "far").await.unwrap_err();
    assert!(matches!(refused, ArchiveError::NotSigned { to: 768, signed: 612 }), "{refused:?}");
    assert!(refused.to_string().contains("checkpoint is of 612 events"), "{refused}");
    assert!(!shelf.path("far").exists() && !shelf.path("far.part").exists());
    let refused = shelf.export(Until::Through(254), "small").await.unwrap_err();
    assert!(matches!(refused, ArchiveError::NothingWhole { .. }), "{refused:?}");
    let refused = shelf.export(Until::Through(2_000), "none").await.unwrap_err();
    assert!(matches!(refused, ArchiveError::NoEvent { .. }), "{refused:?}");
    // What is there already is left as it is.
    std::fs::create_dir(shelf.path("there")).unwrap();
    std::fs::write(shelf.path("there").join("letter"), "dear").unwrap();
    let refused = shelf.export(Until::Through(600), "there").await.unwrap_err();
    assert!(matches!(refused, ArchiveError::Exists(_)), "{refused:?}");
    assert_eq!(std::fs::read(shelf.path("there").join("letter")).unwrap(), b"dear");
    // What an interrupted run has left is gone on with.
    let part = shelf.path("first.part/tile/entries");
    std::fs::create_dir_all(&part).unwrap();
    std::fs::write(part.join("000"), "half").unwrap();
    std::fs::write(part.join("009"), "of another range").unwrap();
    let exported = shelf.export(Until::Through(600), "first").await.unwrap();
    assert!(exported.verified.is_intact() && !shelf.path("first/tile/entries/009").exists());
    assert!(!shelf.path("first.part").exists());
}

async fn what_was_erased_stays_erased_in_the_archive(bed: Bed) {
    let mut shelf = Shelf::new(bed).await;
    let (first, second) = (shelf.ended[0], shelf.ended[1]);
    let id = erase(&shelf.bed, What::Run(first)).await.id;
    // The checkpoint does not tell of the erasure yet.
    let early = shelf.export(Until::Through(TO - 1), "first").await;
    assert!(matches!(early, Err(ArchiveError::NotIntact(_))), "{early:?}");
    shelf.sign().await;
    let exported = shelf.export(Until::Through(TO - 1), "first").await.unwrap();
    let erased = exported.verified.erased.erased;
    assert_eq!(erased.keys().copied().collect::<Vec<_>>(), [5, 6]);
    assert!(erased.values().all(|by| *by == id.to_string()));
    let bundle = std::fs::read(shelf.path("first/tile/entries/000")).unwrap();
    let words = format!("report {first}");
    assert!(!bundle.windows(words.len()).any(|part| part == words.as_bytes()));
    // What is erased afterwards is still in the archive: it is not dropped for it.
    erase(&shelf.bed, What::Run(second)).await;
    assert!(matches!(shelf.order("first").await, Err(ArchiveError::Erased(7))));
    shelf.sign().await;
    std::fs::remove_dir_all(shelf.path("first")).unwrap();
    let archived = shelf.archived("first").await;
    assert_eq!(archived.dropped.map(|(bodies, _)| bodies), Some(TO - 3 - 4));
    let audit = shelf.audit().await;
    assert!(audit.flaws.is_empty() && audit.erased.len() == 4, "{:?}", audit.flaws);
    // An erasure does not reach the directory, and says so.
    let what = What::Positions([9].into());
    let (ledger, workspace) = (&shelf.bed.ledger, shelf.bed.workspace);
    let asked =
        runledger_ledger::erasure::request(ledger, workspace, &what, (why(), why()), &ada())
            .await
            .unwrap();
    let bert = Actor { id: name("bert"), kind: name("user") };
    runledger_ledger::erasure::approve(ledger, workspace, asked.id, why(), &bert).await.unwrap();
    let refused = runledger_ledger::erasure::order(ledger, workspace, asked.id, &ada()).await;
    assert_eq!(refused.unwrap_err().code(), Some("archived"));
}

async fn tampering_is_found_after_bodies_were_dropped(bed: Bed) {
    let shelf = Shelf::new(bed).await;
    let whole = shelf.kept().await;
    let archived = shelf.archived("first").await;
    let away = shelf.path("away");
    let store = shelf.bed.store();
    let kept = shelf.kept().await;
    let put = async |position: usize, column: &str, bytes: &[u8]| {
        let bytes = literal(store, bytes);
        let put = format!("UPDATE events SET {column} = {bytes} WHERE position = {position}");
        tamper(store, &[&put]).await;
    };
    let stream = Stream::run(shelf.ended[10]).id;
    // With the archive at hand, and without it.
    for without in [false, true] {
        if without {
            std::fs::rename(shelf.path("first"), &away).unwrap();
        }
        let found = async |position: usize| {
            let audit = audit_of(&afresh(&shelf.bed, Vec::new()), &shelf.bed).await;
            let named = |flaw: &audit::Flaw| flaw.position == Some(position as u64);
            assert!(audit.flaws.iter().any(named), "{position}: {:?}", audit.flaws);
        };
        // A body that was blanked without an order: beyond the range, by an archive that there is
        // not, and one that was never dropped.
        let blank = |archive| marker(stream, archive, "run.dispatched");
        put(600, "body", &blank(archived.id)).await;
        found(600).await;
        put(600, "body", &whole[600].body).await;
        put(25, "body", &blank(Uuid::nil())).await;
        found(25).await;
        // Another marker than that of its row.
        put(25, "body", &marker(stream, archived.id, "run.succeeded")).await;
        found(25).await;
        // Another body, and no body.
        for body in [&whole[27].body[..], b"", b"{}"] {
            put(25, "body", body).await;
            found(25).await;
        }
        put(25, "body", &kept[25].body).await;
        // Another hash: the tree does not lead to what was signed any more.
        put(25, "leaf_hash", &[7; 32]).await;
        let audit = audit_of(&afresh(&shelf.bed, Vec::new()), &shelf.bed).await;
        assert!(!audit.flaws.is_empty());
        put(25, "leaf_hash", &whole[25].leaf_hash).await;
        // A body that comes back is looked at like any other.
        put(25, "body", &whole[25].body).await;
        let audit = audit_of(&afresh(&shelf.bed, Vec::new()), &shelf.bed).await;
        assert!(audit.flaws.is_empty(), "{:?}", audit.flaws);
        put(25, "body", &kept[25].body).await;
    }
}

async fn the_database_refuses_what_no_order_names(bed: Bed) {
    let shelf = Shelf::new(bed).await;
    let whole = shelf.kept().await;
    shelf.export(Until::Through(TO - 1), "first").await.unwrap();
    let ordered = shelf.order("first").await.unwrap();
    let bed = &shelf.bed;
    let put = |position: u64, body: &[u8], rest: &str| {
        let body = literal(bed.store(), body);
        format!("UPDATE events SET body = {body}{rest} WHERE position = {position}")
    };
    let refused = async |statement: String| {
        let said = run(bed, statement.clone()).await.expect_err(&statement);
        assert!(said.contains("events are immutable") || said.contains("JSON"), "{said}");
    };
    let id_of = |position: usize| {
        let event = runledger_ledger::event::Recorded::decode(&whole[position].body).unwrap();
        (event.stream.id, event.fact.event)
    };
    use runledger_ledger::fact::EventKind as _;
    let of = |position: usize, archive: Uuid| {
        let (id, event) = id_of(position);
        marker(id, archive, event.event_type().as_str())
    };
    let id = ordered.id;
    refused(put(600, &of(600, id), "")).await;
    refused(put(5, &of(5, Uuid::nil()), "")).await;
    refused(put(5, &of(6, id), "")).await;
    refused(put(0, &of(0, id), "")).await;
    let told = [&of(5, id)[..of(5, id).len() - 1], b",\"x\":1}"].concat();
    refused(put(5, &told, "")).await;
    refused(put(5, &of(5, id), ", event_id = NULL, source = NULL, content_hash = NULL")).await;
    refused(put(5, &of(5, id), ", recorded_at = 1")).await;
    refused(put(5, &of(5, id), ", leaf_hash = body")).await;
    run(bed, put(5, &of(5, id), "")).await.unwrap();
    // Only what was there comes back. On SQLite the audit looks at its hash.
    refused(put(5, &whole[7].body, "")).await;
    refused(put(5, &of(7, id), "")).await;
    refused(put(5, b"", "")).await;
    let text = String::from_utf8(whole[5].body.clone()).unwrap();
    let forged = text.replace("inventory.sync", "inventory.sink");
    if bed.store().postgres().is_some() {
        refused(put(5, forged.as_bytes(), "")).await;
        let service = bed.store().put_markers(bed.workspace, &[(7, of(7, id))]).await;
        assert!(format!("{:?}", service.unwrap_err()).contains("permission denied"));
        let (stores, place) = ((bed.store(), bed.store()), shelf.path("first"));
        let refused =
            archive::drop_bodies(stores, bed.workspace, &ordered, &place, &|_, _| {}).await;
        assert!(matches!(refused, Err(ArchiveError::NotHere)));
    }
    run(bed, put(5, &whole[5].body, "")).await.unwrap();
    assert_eq!(shelf.kept().await[..612], whole);
}

async fn a_drop_that_was_interrupted_is_gone_on_with(bed: Bed) {
    let shelf = Shelf::new(bed).await;
    shelf.export(Until::Through(TO - 1), "first").await.unwrap();
    let ordered = shelf.order("first").await.unwrap();
    let half = Archive {
        ordered: archive::Ordered { to: 256, ..ordered.ordered.clone() },
        ..ordered.clone()
    };
    shelf.drop_bodies(&half).await.unwrap();
    assert!(shelf.audit().await.flaws.is_empty());
    // The same command again finds what was ordered, and goes on with it.
    let again = shelf.order("first").await.unwrap();
    assert_eq!(again, ordered);
    // A directory that was changed meanwhile stops it, and what is there stays.
    let bundle = shelf.path("first/tile/entries/001");
    let good = std::fs::read(&bundle).unwrap();
    change(&bundle, |bytes| bytes[40] ^= 1);
    let stopped = shelf.drop_bodies(&ordered).await.unwrap_err();
    assert!(matches!(stopped, ArchiveError::OtherEntry(256)), "{stopped:?}");
    let count = archive::count(shelf.bed.store(), shelf.bed.workspace, &ordered).await.unwrap();
    assert_eq!(count, 256 - 3);
    std::fs::write(&bundle, good).unwrap();
    shelf.drop_bodies(&ordered).await.unwrap();
    let (ledger, workspace) = (&shelf.bed.ledger, shelf.bed.workspace);
    for _ in 0..2 {
        let at = archive::load(shelf.bed.store(), workspace, ordered.id).await.unwrap().unwrap();
        let done = archive::complete(ledger, workspace, &at, &ada()).await.unwrap();
        assert_eq!(done.dropped.map(|(bodies, _)| bodies), Some(TO - 3));
        assert_eq!(done.events, 2, "once");
    }
    // Nothing overlaps, and the same range is not archived twice.
    let none = shelf.export(Until::Through(TO - 1), "second").await;
    assert!(matches!(none, Err(ArchiveError::NothingWhole { from: TO, .. })), "{none:?}");
}
