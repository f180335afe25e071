//! Subjects that adapters look at by themselves, on a schedule and without a run.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rstest::rstest;
use runledger_adapters::adapter::{
    Adapter, Case, Decision, Manifest, Observation, SourceClass, SourceError, Wake, Watched,
};
use runledger_adapters::built_in;
use runledger_adapters::conformance::{Set, Specimens, case, check};
use runledger_adapters::domain::{Domain, DomainSettings};
use runledger_adapters::probe::Probes;
use runledger_adapters::registry::Registry;
use runledger_ledger::catalog::Catalog;
use runledger_ledger::run::{
    AdapterDecision, Dispatch, Named, Origin, Report, Run, RunCommand, RunEvent,
};
use runledger_ledger::subject::SubjectState;
use runledger_ledger::submission::{Command, Submission};
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::{Name, Outcome, RunId, WordError};
use runledger_projections::AdapterHealth;
use runledger_projections::rules::actionability::Actionability;
use runledger_tests::domain::DomainDatabase;
use runledger_tests::test_database;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::world::{World, database};

const CHECK: &str = "provider.connection.check";
const EVERY: Span = Span::from_secs(300);
const REFRESH: Span = Span::from_secs(86_400);

/// What is to be seen of connections, by environment and id; empty for the workspace itself.
#[derive(Clone, Default)]
struct Sights {
    states: Arc<Mutex<HashMap<(String, String), SubjectState>>>,
    fault: Arc<Mutex<Option<SourceClass>>>,
    /// Subjects that were asked about.
    asked: Arc<AtomicUsize>,
}

impl Sights {
    fn show(&self, environment: &str, id: &str, state: SubjectState) {
        let key = (environment.to_owned(), id.to_owned());
        self.states.lock().unwrap().insert(key, state);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn registry(&self) -> Registry {
        let manifest = Manifest::new("connections", 1).reads("what a test shows").observes(
            "provider_connection",
            EVERY,
            REFRESH,
        );
        let adapter = Observer { sights: self.clone(), manifest };
        built_in(None).with(adapter).build(&Catalog::built_in()).unwrap()
    }
}

struct Observer {
    sights: Sights,
    manifest: Manifest,
}

type Sight = Option<(String, String, SubjectState)>;

#[async_trait]
impl Adapter for Observer {
    type Evidence = Sight;

    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn handle(&self, _: &RunEvent, _: &Run) -> Wake {
        Wake::Ignore
    }

    async fn gather(&self, cases: &[Case]) -> Result<Vec<Sight>, SourceError> {
        Ok(vec![None; cases.len()])
    }

    fn decide(&self, _: &Case, _: &Sight) -> Decision {
        Decision::new(AdapterDecision::NoChange, "only_observes")
    }

    async fn survey(&self, watched: &[Watched]) -> Result<Vec<Sight>, SourceError> {
        self.sights.asked.fetch_add(watched.len(), Ordering::SeqCst);
        if let Some(class) = *self.sights.fault.lock().unwrap() {
            return Err(SourceError::new(class, "looking at connections"));
        }
        let states = self.sights.states.lock().unwrap();
        let seen = |one: &Watched| {
            let key = (one.environment().to_owned(), one.subject.id.to_string());
            let state = states.get(&key)?;
            Some((one.workspace_name.to_string(), key.0, *state))
        };
        Ok(watched.iter().map(seen).collect())
    }

    fn observe(&self, watched: &Watched, evidence: &Sight) -> Option<Observation> {
        let (workspace, environment, state) = evidence.as_ref()?;
        watched.is_scope_of(workspace, environment).then(|| Observation {
            evidence: Default::default(),
            state: *state,
            verified_at: watched.at,
        })
    }
}

impl Specimens for Observer {
    fn specimens(&self) -> Result<Set<Sight>, WordError> {
        let case = case(CHECK)?;
        let seen = ("main".to_owned(), "production".to_owned(), SubjectState::Healthy);
        Ok(Set::new().sight("healthy", &case, Some(seen)))
    }
}

async fn looking(kind: &str) -> (World, Sights) {
    let sights = Sights::default();
    let world = World::new(database(kind).await, sights.registry()).await;
    (world, sights)
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn failed() -> Report {
    Report::Failed {
        message: None,
        outcome: Outcome::Failed,
        reason_code: name("no_answer"),
        retryable: None,
    }
}

/// A run of `operation` on `subject`, which has just failed.
async fn problem(world: &World, operation: &str, environment: &str, subject: &str) -> RunId {
    let run = world.projections.ledger().new_run_id().unwrap();
    let environment = (!environment.is_empty()).then(|| name(environment));
    let named = Named { environment, subject: Some(subject.parse().unwrap()), ..Named::default() };
    let dispatch = RunCommand::Dispatch(Box::new(Dispatch {
        correlation_version: 1,
        operation: name(operation),
        named,
        origin: Origin::default(),
        unique: None,
    }));
    world.submit(vec![Submission::new(Command::Run(run, dispatch))]).await;
    world.report(run, failed()).await;
    run
}

/// Time goes on, and everything that is due is looked at. In steps in which nothing is missed.
async fn go_on(world: &World, until: Span) {
    world.go_to(until).await;
    world.look().await;
}

async fn verdict(world: &World, run: RunId) -> Actionability {
    world.standing(run).await.now.actionability.status
}

fn minutes(minutes: i64) -> Span {
    Span::from_secs(minutes * 60)
}

#[tokio::test]
async fn the_adapter_of_these_tests_keeps_the_contract() {
    assert_eq!(check(&Sights::default().registry()).await, []);
}

#[rstest]
#[tokio::test]
async fn what_is_seen_without_a_run_settles_a_problem_and_only_changes_are_recorded(
    #[values("sqlite", "postgresql")] kind: &str,
) {
    let (world, sights) = looking(kind).await;
    let run = problem(&world, CHECK, "prod", "provider_connection/1").await;
    let elsewhere = problem(&world, CHECK, "", "provider_connection/1").await;
    sights.show("prod", "1", SubjectState::Unhealthy);
    for look in 1..5 {
        go_on(&world, minutes(6 * look)).await;
    }
    assert_eq!((sights.asked(), world.count("subject.observed").await), (8, 1));
    assert_eq!(verdict(&world, run).await, Actionability::Actionable);

    sights.show("prod", "1", SubjectState::Healthy);
    for look in 5..9 {
        go_on(&world, minutes(6 * look)).await;
    }
    assert_eq!(world.count("subject.observed").await, 2);
    let now = world.standing(run).await.now.actionability;
    assert_eq!(now.status, Actionability::ResolvedByCurrentState);
    assert_eq!(now.reason.as_deref(), Some("healthy_subject"));
    assert_eq!(verdict(&world, elsewhere).await, Actionability::Actionable, "another scope");

    // A relapse opens it again.
    sights.show("prod", "1", SubjectState::Unhealthy);
    go_on(&world, minutes(60)).await;
    assert_eq!(world.count("subject.observed").await, 3);
    assert_eq!(verdict(&world, run).await, Actionability::Actionable);
}

#[rstest]
#[tokio::test]
async fn the_same_is_recorded_again_after_another_problem_or_when_it_has_stood_for_long(
    #[values("sqlite", "postgresql")] kind: &str,
) {
    let (world, sights) = looking(kind).await;
    sights.show("prod", "1", SubjectState::Healthy);
    let first = problem(&world, CHECK, "prod", "provider_connection/1").await;
    go_on(&world, minutes(6)).await;
    assert_eq!(verdict(&world, first).await, Actionability::ResolvedByCurrentState);
    go_on(&world, minutes(12)).await;
    assert_eq!(world.count("subject.observed").await, 1);

    world.go_to(minutes(13)).await;
    let second = problem(&world, CHECK, "prod", "provider_connection/1").await;
    assert_eq!(verdict(&world, second).await, Actionability::Actionable);
    go_on(&world, minutes(18)).await;
    assert_eq!(world.count("subject.observed").await, 2);
    assert_eq!(verdict(&world, second).await, Actionability::ResolvedByCurrentState);

    go_on(&world, minutes(18).plus(REFRESH).minus(Span::from_secs(1))).await;
    assert_eq!(world.count("subject.observed").await, 2);
    go_on(&world, minutes(24).plus(REFRESH)).await;
    assert_eq!(world.count("subject.observed").await, 3);
}

#[rstest]
#[tokio::test]
async fn only_subjects_that_an_open_problem_acts_on_are_looked_at(
    #[values("sqlite", "postgresql")] kind: &str,
) {
    let (world, sights) = looking(kind).await;
    problem(&world, CHECK, "prod", "backup_set/1").await;
    let run = world.dispatched(CHECK).await;
    go_on(&world, minutes(1)).await;
    assert_eq!(sights.asked(), 0, "nothing has failed, or of another type");

    world.report(run, failed()).await;
    go_on(&world, minutes(2)).await;
    assert_eq!(sights.asked(), 1);
    // All rows lost are found again.
    assert_eq!(world.lose("DELETE FROM observer_wakes").await, 1);
    go_on(&world, minutes(3)).await;
    assert_eq!(sights.asked(), 2);

    // A later success supersedes the problem, so nobody needs to look any more.
    let later = world.dispatched(CHECK).await;
    world
        .report(later, Report::Succeeded { artifacts: Vec::new(), summary: Default::default() })
        .await;
    go_on(&world, minutes(30)).await;
    go_on(&world, minutes(60)).await;
    assert_eq!(sights.asked(), 2);
    assert_eq!(world.lose("DELETE FROM observer_wakes").await, 0, "it is forgotten");
}

#[rstest]
#[tokio::test]
async fn a_source_that_gives_no_answer_observes_nothing_and_is_asked_less_and_less_often(
    #[values("sqlite", "postgresql")] kind: &str,
) {
    let (world, sights) = looking(kind).await;
    problem(&world, CHECK, "prod", "provider_connection/1").await;
    sights.show("prod", "1", SubjectState::Healthy);
    *sights.fault.lock().unwrap() = Some(SourceClass::Timeout);
    for second in (0..3_600).step_by(5) {
        go_on(&world, Span::from_secs(second)).await;
    }
    let asked = sights.asked();
    assert!((8..25).contains(&asked), "asked {asked} times in an hour");
    assert_eq!(world.count("subject.observed").await, 0);
    let health = async || {
        let now = world.clock.now();
        let mut all = world.projections.adapter_health(world.workspace, now).await.unwrap();
        all.remove("connections").unwrap()
    };
    let AdapterHealth { last_success, last_error, failures, backlog } = health().await;
    assert_eq!((last_success, failures, backlog), (None, asked as u64, 1));
    assert_eq!(last_error.unwrap().0, "timeout");

    *sights.fault.lock().unwrap() = None;
    go_on(&world, minutes(71)).await;
    assert_eq!(world.count("subject.observed").await, 1);
    let AdapterHealth { last_success, failures, backlog, .. } = health().await;
    assert_eq!((last_success, failures, backlog), (Some(world.clock.now()), 0, 0));
}

#[tokio::test]
async fn two_servers_look_at_each_subject_once() {
    let (first, sights) = looking("postgresql").await;
    let second = first.another(sights.registry()).await;
    for number in 0..250 {
        let id = number.to_string();
        problem(&first, CHECK, "prod", &format!("provider_connection/{id}")).await;
        sights.show("prod", &id, SubjectState::Unhealthy);
    }
    first.projections.catch_up(first.workspace).await.unwrap();
    for round in 1..4 {
        first.go_to(minutes(6 * round)).await;
        tokio::join!(first.look(), second.look());
        // Whoever came too late finds nothing to do.
        tokio::join!(first.look(), second.look());
        assert_eq!(sights.asked(), 250 * usize::try_from(round).unwrap());
    }
    assert_eq!(second.count("subject.observed").await, 250);
}

/// A service that says of every connection that it is connected, as of `checked_at`.
async fn service(checked_at: Moment) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let remembered = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            let request = String::from_utf8(request).unwrap();
            remembered.lock().unwrap().push(request.split(' ').nth(1).unwrap().to_owned());
            let body = format!(r#"{{"state": "connected", "checked_at": "{checked_at}"}}"#);
            let length = body.len();
            let head = format!("Content-Length: {length}\r\nConnection: close");
            let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (base, asked)
}

/// Both examples as they are shipped, but for the address of the service.
#[tokio::test]
async fn the_examples_look_at_a_connection_over_http_and_at_a_backup_set_by_a_query() {
    let url = test_database().await;
    let domain = DomainDatabase::in_database(&url).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO backup_sets (workspace, environment, name, state, items, verified_at) VALUES \
             ('main', 'prod', 'wiki', 'complete', 12, '2026-01-01T00:04:00Z'), \
             ('main', 'staging', 'wiki', 'incomplete', 3, '2026-01-01T00:04:00Z'), \
             ('other', 'test', 'wiki', 'complete', 3, '2026-01-01T00:04:00Z')",
    )
    .execute(&domain.pool)
    .await
    .unwrap();
    let (base, asked) = service("2026-01-01T00:04:00Z".parse().unwrap()).await;
    let probes = include_str!("../../../adapters/examples/probes.toml")
        .replace("https://status.example.org", &base)
        .replace("value = \"/state\"", "value = \"/state\"\nallow_private = true");
    let read = Domain::new(&DomainSettings::new(&domain.url)).unwrap();
    let probes = Probes::parse(&probes).unwrap();
    probes.check(&read).await.unwrap();
    let registry = probes.register(built_in(Some(&read)), Some(&read)).unwrap();
    let registry = registry.build(&Catalog::built_in()).unwrap();
    assert_eq!(check(&registry).await, []);

    let world = World::new(database("postgresql").await, registry).await;
    let connection = problem(&world, CHECK, "prod", "provider_connection/a b").await;
    for environment in ["prod", "staging", "test"] {
        problem(&world, "backup.schedule.execute", environment, "backup_set/wiki").await;
    }
    world.go_to(minutes(5)).await;
    world.look().await;
    assert!(asked.lock().unwrap().contains(&"/main/prod/connections/a%20b".to_owned()));
    let now = world.standing(connection).await.now.actionability;
    assert_eq!(now.reason.as_deref(), Some("healthy_subject"));
    assert_eq!(world.count("subject.observed").await, 3, "a connection and two backup sets");
    for word in ["\"state\":\"incomplete\"", "\"items\":12", "\"verifier\":\"backup.set.health\""] {
        assert!(world.log().await.contains(word), "{word} is missing");
    }
    // Nothing of it changes, and so nothing more is recorded.
    for look in 1..6 {
        go_on(&world, minutes(5 + 16 * look)).await;
    }
    assert_eq!(world.count("subject.observed").await, 3);
}
