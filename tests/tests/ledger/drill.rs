//! The drill: whoever rules the database does what he can, and is found out, with the position.
//!
//! He may switch triggers off, change, delete, swap and insert rows, cut the end off, derive every
//! hash anew, and put an old backup in place. What he cannot do is change what was signed and lies
//! elsewhere.

mod record;

use runledger_ledger::audit::{self, Flaw};
use runledger_ledger::checkpoints::{Anchors, Fork, Keys, SignError, Signer};
use runledger_ledger::clock::Entropy;
use runledger_ledger::merkle::{Frontier, leaf_hash};
use runledger_ledger::store::Store;
use runledger_ledger::tree;
use runledger_proof::tile;
use runledger_proof::witness::Seen;
use runledger_tests::superuser_of;
use sqlx::AssertSqlSafe;

use crate::bed::{Bed, on_every_store};
use crate::reports::dispatch;

on_every_store!(
    a_log_that_only_grew_is_signed_again_and_again,
    flipped_bits_are_found_where_they_are,
    rows_that_are_deleted_swapped_or_inserted_are_found,
    a_log_whose_end_was_cut_off_is_not_signed,
    a_head_that_is_not_where_the_events_end_is_not_signed,
    history_that_was_rewritten_with_all_its_hashes_is_not_signed,
    an_old_backup_that_goes_on_is_not_signed,
    keys_are_replaced_with_an_overlap,
    another_server_goes_on_from_what_the_first_one_signed,
);

struct Drill {
    bed: Bed,
    signer: Signer,
    anchors: Anchors,
    keys: Keys,
    /// What an auditor wrote down.
    signed: Vec<Seen>,
    directory: tempfile::TempDir,
}

impl Drill {
    /// A log of 700 events, signed now and then.
    async fn new(bed: Bed) -> Drill {
        let directory = tempfile::tempdir().unwrap();
        let anchors = Anchors::new(directory.path().join("signed"));
        let signer = Signer::new(bed.store().clone(), bed.clock.clone(), anchors.clone());
        let keys = Keys::make("ledger.example", &Entropy::system()).unwrap();
        let mut drill = Drill { bed, signer, anchors, keys, signed: Vec::new(), directory };
        for by in [98, 200, 300, 100] {
            drill.grow(by).await;
            drill.sign().await;
        }
        drill
    }

    async fn grow(&self, by: usize) {
        self.bed.submit((0..by).map(|_| dispatch(self.bed.new_run())).collect()).await;
    }

    async fn sign(&mut self) {
        let signed = self.signer.sign(self.bed.workspace, &self.keys).await.unwrap().unwrap();
        self.signed.push(Seen { size: signed.size, root: signed.root });
    }

    async fn check(&self) -> Result<bool, SignError> {
        self.signer.check(self.bed.workspace, &self.keys).await
    }

    /// Why it is not signed any more.
    async fn fork(&self) -> Fork {
        let refused = self.signer.sign(self.bed.workspace, &self.keys).await;
        match refused {
            Err(SignError::Fork(fork)) => fork,
            other => panic!("it was signed, or not looked at: {other:?}"),
        }
    }

    /// What `verify database` finds, of the log alone and against what was signed.
    async fn flaws(&self) -> Vec<Flaw> {
        let (store, workspace) = (self.bed.store(), self.bed.workspace);
        let mut flaws = audit::audit(store, workspace, &|_, _| {}).await.unwrap().unwrap().flaws;
        flaws.extend(audit::compare(store, workspace, &self.signed).await.unwrap());
        flaws
    }

    fn names(flaws: &[Flaw], position: u64) -> bool {
        flaws.iter().any(|flaw| flaw.position == Some(position))
    }

    async fn tamper(&self, statements: &[&str]) {
        tamper(self.bed.store(), statements).await;
    }

    async fn bodies(&self) -> Vec<Vec<u8>> {
        let log = self.bed.store().log(self.bed.workspace, 0, u64::MAX >> 1, 10_000).await;
        log.unwrap().into_iter().map(|event| event.body).collect()
    }

    /// Puts `body` in place of an event.
    async fn put(&self, position: u64, body: &[u8]) {
        let body = literal(self.bed.store(), body);
        let put = format!("UPDATE events SET body = {body} WHERE position = {position}");
        self.tamper(&[&put]).await;
    }

    /// Derives every hash from the bodies anew, as a superuser who knows how we do it.
    async fn rebuild(&self) {
        let store = self.bed.store();
        let (mut frontier, mut tiles) = (Frontier::default(), Vec::new());
        let mut statements = vec!["DELETE FROM tile_hashes".to_owned()];
        for (position, body) in self.bodies().await.iter().enumerate() {
            let leaf = leaf_hash(body);
            tile::push(&mut frontier, leaf, &mut tiles);
            let leaf = literal(store, &leaf);
            statements
                .push(format!("UPDATE events SET leaf_hash = {leaf} WHERE position = {position}"));
        }
        let edge = literal(store, &frontier.to_bytes());
        let size = frontier.size();
        statements.push(format!("UPDATE heads SET size = {size}, frontier = {edge}"));
        let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
        self.tamper(&statements).await;
        tree::fill(store, self.bed.workspace).await.unwrap();
    }
}

/// As the owner of the database, past every trigger.
pub(crate) async fn tamper(store: &Store, statements: &[&str]) {
    match store {
        Store::Postgres(store) => {
            let mut connection = superuser_of(store.pool()).await;
            for table in ["events", "checkpoints", "heads"] {
                let off = format!("ALTER TABLE {table} DISABLE TRIGGER ALL");
                sqlx::query(AssertSqlSafe(off)).execute(&mut connection).await.unwrap();
            }
            for statement in statements {
                let statement = AssertSqlSafe((*statement).to_owned());
                sqlx::query(statement).execute(&mut connection).await.unwrap();
            }
        }
        Store::Sqlite(store) => {
            let mut connection = store.writer().acquire().await.unwrap();
            let triggers = "SELECT name FROM sqlite_schema WHERE type = 'trigger'";
            let triggers: Vec<String> =
                sqlx::query_scalar(triggers).fetch_all(&mut *connection).await.unwrap();
            for name in triggers {
                let off = AssertSqlSafe(format!("DROP TRIGGER {name}"));
                sqlx::query(off).execute(&mut *connection).await.unwrap();
            }
            for statement in statements {
                let statement = AssertSqlSafe((*statement).to_owned());
                sqlx::query(statement).execute(&mut *connection).await.unwrap();
            }
        }
    }
}

pub(crate) fn literal(store: &Store, bytes: &[u8]) -> String {
    match store {
        Store::Postgres(_) => format!("'\\x{}'::bytea", hex::encode(bytes)),
        Store::Sqlite(_) => format!("x'{}'", hex::encode(bytes)),
    }
}

async fn a_log_that_only_grew_is_signed_again_and_again(bed: Bed) {
    let mut drill = Drill::new(bed).await;
    assert!(!drill.check().await.unwrap(), "nothing is new");
    drill.grow(1).await;
    assert!(drill.check().await.unwrap());
    drill.sign().await;
    assert!(drill.flaws().await.is_empty());
    let kept = drill.bed.store().checkpoints(drill.bed.workspace, 0, 10).await.unwrap();
    assert_eq!(kept.iter().map(|one| one.size).collect::<Vec<_>>(), [100, 300, 600, 700, 701]);
    let last = drill.anchors.last(drill.bed.workspace).await.unwrap().unwrap();
    assert_eq!(Some(&last), drill.signed.last());
}

async fn flipped_bits_are_found_where_they_are(bed: Bed) {
    let drill = Drill::new(bed).await;
    let bodies = drill.bodies().await;
    for position in [0, 255, 256, 699_u64] {
        let body = &bodies[usize::try_from(position).unwrap()];
        let mut flipped = body.clone();
        let place = usize::try_from(position * 37).unwrap() % flipped.len();
        flipped[place] ^= 1 << (position % 8);
        drill.put(position, &flipped).await;
        let flaws = drill.flaws().await;
        assert!(Drill::names(&flaws, position), "{position}: {flaws:?}");
        drill.put(position, body).await;
    }
    assert!(drill.flaws().await.is_empty(), "all is as it was");
    // A hash instead of what it is of.
    let wrong = literal(drill.bed.store(), &[7; 32]);
    drill.tamper(&[&format!("UPDATE events SET leaf_hash = {wrong} WHERE position = 300")]).await;
    assert!(Drill::names(&drill.flaws().await, 300));
}

async fn rows_that_are_deleted_swapped_or_inserted_are_found(bed: Bed) {
    let drill = Drill::new(bed).await;
    let bodies = drill.bodies().await;
    drill.put(40, &bodies[41]).await;
    drill.put(41, &bodies[40]).await;
    let flaws = drill.flaws().await;
    assert!(Drill::names(&flaws, 40) && Drill::names(&flaws, 41), "{flaws:?}");
    drill.put(40, &bodies[40]).await;
    drill.put(41, &bodies[41]).await;
    drill.tamper(&["DELETE FROM events WHERE position = 50"]).await;
    assert!(Drill::names(&drill.flaws().await, 50));
    drill
        .tamper(&["INSERT INTO events SELECT workspace_id, 700, aggregate_type, aggregate_id, \
                   sequence + 9, event_type, recorded_at, body, leaf_hash, source, NULL, \
                   content_hash FROM events WHERE position = 60"])
        .await;
    drill.tamper(&["UPDATE heads SET size = 701"]).await;
    // The head cannot be that of so many events.
    let refused = drill.check().await;
    assert!(matches!(refused, Err(SignError::Fork(Fork::Broken(_)))), "{refused:?}");
}

async fn a_log_whose_end_was_cut_off_is_not_signed(bed: Bed) {
    let drill = Drill::new(bed).await;
    // First the rows alone, then with a head that fits them.
    drill.tamper(&["DELETE FROM events WHERE position >= 650"]).await;
    assert!(matches!(drill.fork().await, Fork::Broken(_)));
    assert!(Drill::names(&drill.flaws().await, 650));
    drill.rebuild().await;
    assert_eq!(drill.fork().await, Fork::Shorter { found: 650, signed: 700 });
    let flaws = drill.flaws().await;
    assert!(Drill::names(&flaws, 650), "{flaws:?}");
    let said = drill.fork().await.to_string();
    assert!(said.contains("650 events") && said.contains("700 were signed"), "{said}");
}

async fn a_head_that_is_not_where_the_events_end_is_not_signed(bed: Bed) {
    let drill = Drill::new(bed).await;
    drill.tamper(&["UPDATE heads SET last_recorded_at = last_recorded_at + 1"]).await;
    let Fork::Broken(said) = drill.fork().await else { panic!("it is not broken") };
    assert!(said.contains("the last event was recorded"), "{said}");
    drill.tamper(&["UPDATE heads SET last_recorded_at = last_recorded_at - 1"]).await;
    assert!(!drill.check().await.unwrap());
    // A row behind the head: what an append met that was taken back by hand.
    drill
        .tamper(&["INSERT INTO events SELECT workspace_id, 700, aggregate_type, aggregate_id, \
                   sequence + 9, event_type, recorded_at, body, leaf_hash, source, NULL, \
                   content_hash FROM events WHERE position = 60"])
        .await;
    let Fork::Broken(said) = drill.fork().await else { panic!("it is not broken") };
    assert!(said.contains("counts 700 events, and its rows end at 701"), "{said}");
}

async fn history_that_was_rewritten_with_all_its_hashes_is_not_signed(bed: Bed) {
    let drill = Drill::new(bed).await;
    let body = String::from_utf8(drill.bodies().await.swap_remove(400)).unwrap();
    let place = body.find("\"nonce\":\"").unwrap() + 9;
    let other = if &body[place..=place] == "0" { "1" } else { "0" };
    let forged = format!("{}{other}{}", &body[..place], &body[place + 1..]);
    drill.put(400, forged.as_bytes()).await;
    drill.rebuild().await;
    // The log alone says nothing against it: everything fits everything.
    let audit = audit::audit(drill.bed.store(), drill.bed.workspace, &|_, _| {}).await;
    assert!(audit.unwrap().unwrap().flaws.is_empty());
    assert_eq!(drill.fork().await, Fork::Rewritten { signed: 700 });
    // Positions 300 to 599 were signed together, and only those from 300 on can be concerned.
    let flaws = drill.flaws().await;
    assert_eq!(flaws[0].position, Some(300), "{flaws:?}");
    assert!(flaws[0].problem.to_string().contains("300") && flaws.len() == 2);
    // A server that went on meanwhile remembers the edge of the true tree, and goes on from it.
    drill.grow(5).await;
    assert_eq!(drill.fork().await, Fork::Head { size: 705 });
}

async fn an_old_backup_that_goes_on_is_not_signed(bed: Bed) {
    let drill = Drill::new(bed).await;
    // What a backup from before the last checkpoints holds.
    drill
        .tamper(&[
            "DELETE FROM events WHERE position >= 350",
            "DELETE FROM checkpoints WHERE size > 350",
        ])
        .await;
    drill.rebuild().await;
    assert_eq!(drill.fork().await, Fork::Shorter { found: 350, signed: 700 });
    // It goes on, and becomes longer than it ever was.
    let ledger = runledger_ledger::ledger::Ledger::new(
        drill.bed.store().clone(),
        drill.bed.clock.clone(),
        Entropy::system(),
    );
    for _ in 0..4 {
        let more = (0..100).map(|_| dispatch(drill.bed.new_run())).collect();
        ledger.submit(drill.bed.workspace, more, false).await.unwrap();
    }
    assert_eq!(drill.fork().await, Fork::Rewritten { signed: 700 });
    let flaws = drill.flaws().await;
    assert_eq!(
        flaws[0].position,
        Some(300),
        "what was signed before 300 is still there: {flaws:?}"
    );
    // A server that lost its file still knows what the database says that it signed.
    let anchors = Anchors::new(drill.directory.path().join("empty"));
    let other = Signer::new(drill.bed.store().clone(), drill.bed.clock.clone(), anchors);
    assert!(other.check(drill.bed.workspace, &drill.keys).await.unwrap(), "only the file knew");
}

async fn keys_are_replaced_with_an_overlap(bed: Bed) {
    let mut drill = Drill::new(bed).await;
    let workspace = drill.bed.workspace;
    let old = drill.keys.clone();
    let newer = Keys::make("ledger.example", &Entropy::system()).unwrap();
    drill.keys = old.clone().rotate(newer).unwrap();
    assert!(drill.check().await.unwrap(), "the new key has not signed yet");
    drill
        .bed
        .clock
        .set(runledger_ledger::time::Moment::from_micros(drill.bed.clock.now().micros() + 1));
    drill.sign().await;
    let last = drill.bed.store().last_checkpoint(workspace).await.unwrap().unwrap();
    for keys in [&old, &drill.keys.clone().newest()] {
        let policy = runledger_proof::policy::Policy::of_keys(keys.verifiers(workspace));
        assert_eq!(policy.believe(&last.note).unwrap().checkpoint.size, 700);
    }
    assert!(!drill.check().await.unwrap());
}

async fn another_server_goes_on_from_what_the_first_one_signed(bed: Bed) {
    let drill = Drill::new(bed).await;
    let directory = tempfile::tempdir().unwrap();
    let anchors = Anchors::new(directory.path().to_owned());
    let (store, clock) = (drill.bed.store().clone(), drill.bed.clock.clone());
    let other = Signer::new(store, clock, anchors.clone());
    assert!(!other.check(drill.bed.workspace, &drill.keys).await.unwrap());
    let known = anchors.last(drill.bed.workspace).await.unwrap();
    assert_eq!(known.as_ref(), drill.signed.last());
    // From now on it knows by itself.
    drill.tamper(&["DELETE FROM events WHERE position >= 650", "DELETE FROM checkpoints"]).await;
    drill.rebuild().await;
    let refused = other.check(drill.bed.workspace, &drill.keys).await;
    assert!(matches!(refused, Err(SignError::Fork(Fork::Shorter { found: 650, signed: 700 }))));
}
