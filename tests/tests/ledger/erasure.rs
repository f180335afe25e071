//! Erasure: bodies go, hashes and proofs stay, and it takes two people.

use std::collections::BTreeSet;

use runledger_ledger::audit::{self, Audit};
use runledger_ledger::checkpoints::{Anchors, Keys, Signer};
use runledger_ledger::clock::Entropy;
use runledger_ledger::erasure::{
    self, Erasure, ErasureError, ErasureState, PATIENCE, What, tombstone,
};
use runledger_ledger::event::{Actor, Recorded};
use runledger_ledger::run::{ExternalId, Report, RunCommand, Scalar};
use runledger_ledger::store::{Store, StoreUrl};
use runledger_ledger::submission::{Command, Submission};
use runledger_ledger::tree;
use runledger_ledger::words::{Note, Outcome, RunId};
use runledger_proof::merkle::verify_inclusion;
use runledger_proof::witness::Seen;
use runledger_tests::database::{create_role, superuser};
use runledger_tests::superuser_of;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::bed::{Bed, on_every_store, words};
use crate::drill::{literal, tamper};
use crate::reports::{dispatch, name, observed, resolve, seen, signal, started, with_id};

on_every_store!(
    an_erased_body_is_gone_and_every_proof_still_holds,
    a_subject_is_forgotten_in_everything_that_names_it,
    a_body_that_is_emptied_without_an_approved_erasure_is_tampering,
    the_database_refuses_what_no_approved_erasure_names,
    nobody_erases_alone_late_or_twice,
    what_the_log_is_read_by_is_never_erased,
    an_erasure_that_was_interrupted_goes_on_where_it_stopped,
);

const SECRET: &str = "anna.secret@example.test";

fn actor(id: &str) -> Actor {
    Actor { id: name(id), kind: name("user") }
}

fn why() -> (Note, Note) {
    let note = |text: &str| Note::new(text).unwrap();
    (note("she asked for it"), note("GDPR Art. 17(1)(b)"))
}

/// Somebody who may erase: on PostgreSQL not the service.
pub(crate) async fn eraser(bed: &Bed) -> Store {
    let StoreUrl::Postgres(url) = &bed.url else { return bed.store().clone() };
    let admin = superuser(url);
    let role = create_role(&admin).await.unwrap();
    let mut connection = PgConnection::connect(&admin).await.unwrap();
    let grant = AssertSqlSafe(format!("GRANT runledger_eraser TO {}", role.name));
    connection.execute(sqlx::raw_sql(grant)).await.unwrap();
    Store::open(&StoreUrl::Postgres(role.url)).await.unwrap()
}

/// A run that says the secret wherever something can be said, and is over.
async fn told(bed: &Bed, subject: &str) -> RunId {
    let run = bed.new_run();
    let mut first = dispatch(run);
    if let Command::Run(_, RunCommand::Dispatch(dispatch)) = &mut first.command {
        dispatch.named.subject = format!("tenant/{subject}").parse().ok();
        dispatch.named.external_ids =
            vec![ExternalId { id: name(SECRET), kind: name("job"), source: name("queue") }];
        dispatch.origin.initiator = Some(name(SECRET));
        dispatch.origin.labels = [(name("who"), Note::new(SECRET).unwrap())].into();
    }
    let message = Some(Note::new(format!("{SECRET} has no account")).unwrap());
    let failed = Report::Failed {
        message,
        outcome: Outcome::Failed,
        reason_code: name("broken"),
        retryable: Some(false),
    };
    let late = Report::Succeeded {
        artifacts: vec![format!("file/{SECRET}").parse().unwrap()],
        summary: [(name("mail"), Scalar::Text(Note::new(SECRET).unwrap()))].into(),
    };
    let by = |submission: Submission| submission.by(actor(SECRET));
    let answers = bed
        .submit(vec![
            by(with_id(first, &report_id(run), "1")),
            by(signal(run, Report::Started { attempt: None, worker: Some(name(SECRET)) })),
            by(signal(run, failed)),
            by(signal(run, late)),
            by(resolve(run)),
        ])
        .await;
    assert!(words(&answers).iter().all(|word| word.parse::<u64>().is_ok()), "{answers:?}");
    run
}

fn report_id(run: RunId) -> String {
    format!("{SECRET} {run}")
}

async fn asked(bed: &Bed, what: What) -> Erasure {
    let (ledger, workspace) = (&bed.ledger, bed.workspace);
    erasure::request(ledger, workspace, &what, why(), &actor("anna")).await.unwrap()
}

async fn approved(bed: &Bed, what: What) -> Erasure {
    let (ledger, workspace) = (&bed.ledger, bed.workspace);
    let asked = asked(bed, what).await;
    erasure::approve(ledger, workspace, asked.id, Note::new("checked").unwrap(), &actor("bert"))
        .await
        .unwrap()
}

pub(crate) async fn erase(bed: &Bed, what: What) -> Erasure {
    let (ledger, workspace) = (&bed.ledger, bed.workspace);
    let id = approved(bed, what).await.id;
    let ordered = erasure::order(ledger, workspace, id, &actor("anna")).await.unwrap();
    let may = eraser(bed).await;
    erasure::empty(&may, workspace, &ordered).await.unwrap();
    bed.store().sweep_after_erasure(workspace).await.unwrap();
    erasure::complete(ledger, workspace, id, &actor("anna")).await.unwrap()
}

async fn audited(bed: &Bed) -> Audit {
    audit::audit(bed.store(), bed.workspace, &|_, _| {}).await.unwrap().unwrap()
}

async fn log(bed: &Bed) -> Vec<Vec<u8>> {
    let log = bed.store().log(bed.workspace, 0, u64::MAX >> 1, 10_000).await.unwrap();
    log.into_iter().map(|event| event.body).collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

/// Every byte that SQLite keeps on the disk.
fn files(bed: &Bed) -> Vec<u8> {
    let StoreUrl::SqliteFile(path) = &bed.url else { return Vec::new() };
    let files = std::fs::read_dir(path.parent().unwrap()).unwrap();
    files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
}

async fn an_erased_body_is_gone_and_every_proof_still_holds(bed: Bed) {
    let (workspace, directory) = (bed.workspace, tempfile::tempdir().unwrap());
    let run = told(&bed, "7").await;
    let keys = Keys::make("ledger.example", &Entropy::system()).unwrap();
    let anchors = Anchors::new(directory.path().join("signed"));
    let signer = Signer::new(bed.store().clone(), bed.clock.clone(), anchors);
    let signed = signer.sign(workspace, &keys).await.unwrap().unwrap();
    let before = bed.store().hashes(workspace, 0, 0..signed.size).await.unwrap();
    let facts = |bodies: Vec<Vec<u8>>| -> Vec<_> {
        let read = |body: &Vec<u8>| Recorded::decode(body).unwrap();
        let fact = |event: Recorded| (event.stream, event.sequence, event.fact.recorded_at);
        bodies.iter().map(read).map(fact).collect()
    };
    let facts_before = facts(log(&bed).await);

    let done = erase(&bed, What::Run(run)).await;
    assert_eq!(done.state(bed.clock.now()), ErasureState::Completed);
    assert_eq!(done.bodies(), 5);

    let bodies = log(&bed).await;
    assert!(!bodies.iter().any(|body| holds(body, SECRET)));
    assert!(!holds(&files(&bed), SECRET), "the file still holds it");
    assert_eq!(facts(bodies)[..facts_before.len()], facts_before);
    // The log is what it was, and says what is missing.
    let audit = audited(&bed).await;
    assert!(audit.flaws.is_empty(), "{:?}", audit.flaws);
    assert_eq!(audit.erased.keys().copied().collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
    assert!(audit.erased.values().all(|id| *id == done.id.to_string()));
    let seen = Seen { size: signed.size, root: signed.root };
    assert!(audit::compare(bed.store(), workspace, &[seen]).await.unwrap().is_empty());
    assert!(signer.check(workspace, &keys).await.unwrap(), "it is signed on");
    assert_eq!(bed.store().hashes(workspace, 0, 0..signed.size).await.unwrap(), before);
    for (position, leaf) in &before {
        let proof = tree::inclusion(bed.store(), workspace, *position, signed.size).await.unwrap();
        verify_inclusion(*position, signed.size, leaf, &proof, &signed.root).unwrap();
    }
    // Nothing is known by the ids of its reports any more, and the run is still what it was.
    let id = (name("worker"), name(&report_id(run)));
    let known = bed.store().known_ids(workspace, &[id]).await.unwrap();
    assert!(known.is_empty(), "{known:?}");
    let again = words(&bed.submit(vec![dispatch(run), started(run), resolve(run)]).await);
    assert_eq!(again[..2], ["duplicate", "duplicate"]);
}

async fn a_subject_is_forgotten_in_everything_that_names_it(bed: Bed) {
    let id = "bob.private@example.test";
    told(&bed, id).await;
    told(&bed, id).await;
    bed.submit(vec![observed(id), observed("another"), seen("w1")]).await;
    told(&bed, "another").await;
    let subject = format!("tenant/{id}").parse().unwrap();
    let done = erase(&bed, What::Subject(subject)).await;
    assert_eq!(done.bodies(), 5 + 5 + 1);
    let bodies = log(&bed).await;
    assert!(!bodies.iter().any(|body| holds(body, id)), "also what the erasure says of itself");
    assert!(!holds(&files(&bed), id));
    assert!(audited(&bed).await.flaws.is_empty());
    // Its runs still have one and the same subject.
    let stand_in = format!("erased-{}", done.id);
    let named = bodies.iter().filter(|body| holds(body, &stand_in)).count();
    assert_eq!(named, 2 + 1, "two dispatches and an observation");
    assert!(bodies.iter().any(|body| holds(body, "\"another\"")));
}

async fn a_body_that_is_emptied_without_an_approved_erasure_is_tampering(bed: Bed) {
    let run = told(&bed, "7").await;
    let asked = asked(&bed, What::Run(run)).await;
    let whole = log(&bed).await;
    let put = async |position: u64, body: &[u8]| {
        let body = literal(bed.store(), body);
        let put = format!("UPDATE events SET body = {body} WHERE position = {position}");
        tamper(bed.store(), &[&put]).await;
    };
    // A tombstone of an erasure that nobody approved, of one that there is not, and nothing at all.
    let unapproved = tombstone(&whole[4], asked.id, 1, false).unwrap();
    let unknown = tombstone(&whole[4], uuid::Uuid::nil(), 1, false).unwrap();
    for (instead, words) in [
        (&unapproved[..], "no approved erasure in the log names"),
        (&unknown[..], "no approved erasure in the log names"),
        (b"", "are not those that were recorded"),
        (b"{}", "are not those that were recorded"),
    ] {
        put(4, instead).await;
        let audit = audited(&bed).await;
        assert!(audit.erased.is_empty());
        let said: Vec<String> = audit
            .flaws
            .iter()
            .filter(|flaw| flaw.position == Some(4))
            .map(|flaw| flaw.problem.to_string())
            .collect();
        assert!(said.iter().any(|said| said.contains(words)), "{said:?}");
        put(4, &whole[4]).await;
    }
    assert!(audited(&bed).await.flaws.is_empty());
}

/// Runs a statement as whoever rules the database, with the triggers as they are.
pub(crate) async fn run(bed: &Bed, statement: String) -> Result<(), String> {
    let statement = AssertSqlSafe(statement);
    let done = match (bed.store().postgres(), bed.store().sqlite()) {
        (Some(pool), _) => {
            sqlx::query(statement).execute(&mut superuser_of(pool).await).await.map(drop)
        }
        (_, Some((pool, _))) => sqlx::query(statement).execute(pool).await.map(drop),
        _ => unreachable!("a store is one of the two"),
    };
    done.map_err(|error| error.to_string())
}

async fn the_database_refuses_what_no_approved_erasure_names(bed: Bed) {
    let first = told(&bed, "7").await;
    told(&bed, "8").await;
    let (ledger, workspace) = (&bed.ledger, bed.workspace);
    let whole = log(&bed).await;
    const REST: &str = "source = NULL, event_id = NULL, content_hash = NULL";
    let put = |position: u64, body: &[u8], rest: &str| {
        let body = literal(bed.store(), body);
        format!("UPDATE events SET body = {body}, {rest} WHERE position = {position}")
    };
    let refused = async |statement: String| {
        let said = run(&bed, statement.clone()).await.expect_err(&statement);
        assert!(said.contains("events are immutable") || said.contains("JSON"), "{said}");
    };
    let id = asked(&bed, What::Run(first)).await.id;
    let own = tombstone(&whole[4], id, 1, false).unwrap();
    refused(put(4, &own, REST)).await;
    erasure::approve(ledger, workspace, id, Note::new("checked").unwrap(), &actor("bert"))
        .await
        .unwrap();
    refused(put(4, &own, REST)).await;
    erasure::order(ledger, workspace, id, &actor("anna")).await.unwrap();
    // Another position, another body, other columns, another part, and what is no tombstone.
    let other = tombstone(&whole[9], id, 1, false).unwrap();
    refused(put(9, &other, REST)).await;
    refused(put(4, &tombstone(&whole[4], id, 2, false).unwrap(), REST)).await;
    refused(put(4, b"", REST)).await;
    refused(put(4, b"{\"erased\":1}", REST)).await;
    refused(put(4, b"\"erased\"", REST)).await;
    for rest in ["leaf_hash = body", "recorded_at = 1", "position = 400", "sequence = 77"] {
        refused(put(4, &own, &format!("{REST}, {rest}"))).await;
    }
    refused(put(2, &tombstone(&whole[2], id, 1, false).unwrap(), "source = source")).await;
    if bed.store().postgres().is_some() {
        // There the database knows the hash of the tombstone as well; on SQLite the audit does.
        let forged = String::from_utf8(own.clone()).unwrap().replace("broken", "mended");
        refused(put(4, forged.as_bytes(), REST)).await;
        let service = bed.store().put_tombstones(workspace, &[(4, own.clone())]).await;
        let said = format!("{:?}", service.unwrap_err());
        assert!(said.contains("permission denied"), "{said}");
        let ordered = erasure::load(bed.store(), workspace, id).await.unwrap();
        let not_here = erasure::empty(bed.store(), workspace, &ordered).await;
        assert!(matches!(not_here, Err(ErasureError::NotHere)), "{not_here:?}");
        // Who may erase may do nothing else, and cannot be led to another table either.
        let eraser = eraser(&bed).await;
        let pool = eraser.postgres().unwrap();
        for statement in [
            "DELETE FROM events",
            "UPDATE events SET position = 4",
            "INSERT INTO events SELECT * FROM events",
            "UPDATE heads SET size = size",
            "SELECT 1 FROM runs",
            "TRUNCATE events",
        ] {
            let said = sqlx::query(statement).execute(pool).await.unwrap_err().to_string();
            assert!(said.contains("permission denied"), "{statement}: {said}");
        }
        let scope = format!("SET LOCAL runledger.workspace = '{workspace}'");
        let forged = literal(bed.store(), &other);
        let mine = format!(
            "BEGIN; {scope}; CREATE TEMP TABLE events AS SELECT * FROM public.events; \
             UPDATE public.events SET body = {forged}, {REST} WHERE position = 9; COMMIT"
        );
        let mut connection = pool.acquire().await.unwrap();
        let done = connection.execute(sqlx::raw_sql(AssertSqlSafe(mine))).await;
        let said = done.unwrap_err().to_string();
        assert!(said.contains("events are immutable"), "{said}");
        connection.execute("ROLLBACK").await.unwrap();
    }
    assert_eq!(run(&bed, put(4, &own, REST)).await, Ok(()));
    let audit = audited(&bed).await;
    assert!(audit.flaws.is_empty(), "{:?}", audit.flaws);
    assert_eq!(audit.erased.keys().copied().collect::<Vec<_>>(), [4]);
    // It does not come back, and nothing else takes its place.
    refused(put(4, &whole[4], REST)).await;
}

async fn nobody_erases_alone_late_or_twice(bed: Bed) {
    let (ledger, workspace) = (&bed.ledger, bed.workspace);
    let run = told(&bed, "7").await;
    let (anna, bert) = (actor("anna"), actor("bert"));
    let asked = asked(&bed, What::Run(run)).await;
    let alone =
        erasure::approve(ledger, workspace, asked.id, Note::new("checked").unwrap(), &anna).await;
    assert!(matches!(alone, Err(ErasureError::SamePerson)), "{alone:?}");
    let unapproved = erasure::order(ledger, workspace, asked.id, &anna).await;
    assert!(matches!(unapproved, Err(ErasureError::NotApproved)), "{unapproved:?}");
    let early = erasure::complete(ledger, workspace, asked.id, &anna).await;
    assert!(matches!(early, Err(ErasureError::NotEmptied)), "{early:?}");
    erasure::approve(ledger, workspace, asked.id, Note::new("checked").unwrap(), &bert)
        .await
        .unwrap();
    let twice = erasure::approve(
        ledger,
        workspace,
        asked.id,
        Note::new("checked").unwrap(),
        &actor("carl"),
    )
    .await;
    assert!(matches!(twice, Err(ErasureError::Already(ErasureState::Approved))), "{twice:?}");
    let waiting = self::asked(&bed, What::Run(run)).await;
    bed.clock.set(bed.clock.now().plus(PATIENCE));
    let late =
        erasure::approve(ledger, workspace, waiting.id, Note::new("checked").unwrap(), &bert).await;
    assert!(matches!(late, Err(ErasureError::Expired)), "{late:?}");
    let late = erasure::order(ledger, workspace, asked.id, &anna).await;
    assert!(matches!(late, Err(ErasureError::Expired)), "{late:?}");
    assert!(log(&bed).await.iter().any(|body| holds(body, SECRET)), "nothing was erased");
    let all = bed.store().erasures(workspace, 10).await.unwrap();
    assert_eq!(all.len(), 2);
    let unknown = erasure::load(bed.store(), workspace, uuid::Uuid::nil()).await;
    assert!(matches!(unknown, Err(ErasureError::Unknown(_))), "{unknown:?}");
}

async fn what_the_log_is_read_by_is_never_erased(bed: Bed) {
    let (ledger, workspace, anna) = (&bed.ledger, bed.workspace, actor("anna"));
    let active = bed.new_run();
    bed.submit(vec![dispatch(active)]).await;
    let run = told(&bed, "7").await;
    approved(&bed, What::Run(run)).await;
    let of_erasure = bed.size().await - 1;
    let ask = async |what: What| {
        let refused = erasure::request(ledger, workspace, &what, why(), &anna).await;
        refused.unwrap_err().to_string()
    };
    let positions = |of: &[u64]| What::Positions(of.iter().copied().collect());
    for (what, said) in [
        (positions(&[0]), "position 0 is of the workspace, and is never erased"),
        (positions(&[3, 1]), "position 1 is of the workspace"),
        (positions(&[of_erasure]), "is of the erasure, and is never erased"),
        (positions(&[1_000]), "no event at position 1000"),
        (positions(&[2]), "is still active"),
        (What::Run(active), "is still active"),
        (What::Run(bed.new_run()), "no run"),
        (positions(&[]), "nothing is named"),
        (What::Subject("tenant/nobody".parse().unwrap()), "nothing is recorded of tenant/nobody"),
    ] {
        let refused = ask(what).await;
        assert!(refused.contains(said), "{refused}");
    }
    assert_eq!(bed.size().await, of_erasure + 1, "nothing was recorded");
}

async fn an_erasure_that_was_interrupted_goes_on_where_it_stopped(bed: Bed) {
    let (ledger, workspace, anna) = (&bed.ledger, bed.workspace, actor("anna"));
    let mut positions = BTreeSet::new();
    for _ in 0..90 {
        let first = bed.size().await;
        told(&bed, "7").await;
        positions.extend(first..bed.size().await);
    }
    let id = approved(&bed, What::Positions(positions.clone())).await.id;
    let ordered = erasure::order(ledger, workspace, id, &anna).await.unwrap();
    assert_eq!(ordered.parts.iter().map(|part| part.bodies.len()).collect::<Vec<_>>(), [400, 50]);
    assert_eq!(erasure::order(ledger, workspace, id, &anna).await.unwrap(), ordered, "once");
    let may = eraser(&bed).await;
    // A part of it was done before.
    let half = Erasure { parts: ordered.parts[1..].to_vec(), ..ordered.clone() };
    erasure::empty(&may, workspace, &half).await.unwrap();
    let audit = audited(&bed).await;
    assert!(audit.flaws.is_empty() && audit.erased.len() == 50, "{:?}", audit.flaws);
    let early = erasure::complete(ledger, workspace, id, &anna).await;
    assert!(matches!(early, Err(ErasureError::NotEmptied)), "{early:?}");
    for _ in 0..2 {
        erasure::empty(&may, workspace, &ordered).await.unwrap();
        assert_eq!(audited(&bed).await.erased.keys().copied().collect::<BTreeSet<_>>(), positions);
    }
    let done = erasure::complete(ledger, workspace, id, &anna).await.unwrap();
    assert_eq!(erasure::complete(ledger, workspace, id, &anna).await.unwrap(), done, "once");
    // What is erased already may be named again: a later erasure takes its place.
    let later = erase(&bed, What::Subject("tenant/7".parse().unwrap())).await;
    let audit = audited(&bed).await;
    assert!(audit.flaws.is_empty(), "{:?}", audit.flaws);
    assert!(audit.erased.values().all(|id| *id == later.id.to_string()));
}
