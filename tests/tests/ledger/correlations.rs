//! Which run another system's id names.

use runledger_ledger::correlation::{Correlated, Correlation, Named as Names};
use runledger_ledger::run::{
    Dispatch, ExternalId, FollowUpAction, FollowUpCommand, Named, Origin, Report, RunCommand,
    SignalReport,
};
use runledger_ledger::submission::{Answer, Command, Refusal, Submission};
use runledger_ledger::words::{RunId, UniqueMode};

use crate::audit::{audit, every_event_has_one_receipt};
use crate::bed::{Bed, FIRST, create_workspace, on_every_store, receipt, submit, tell, words};
use crate::reports::{name, not_canonical, with_id};

on_every_store!(
    what_comes_right_behind_the_dispatch_in_one_request_is_of_its_run,
    an_id_that_nobody_knows_opens_a_run_that_is_known_by_it,
    an_id_that_a_later_report_brings_names_the_run_from_then_on,
    an_id_means_nothing_in_another_scope,
    an_id_that_two_runs_claim_names_neither,
    an_id_follows_a_run_whose_environment_is_filled_in,
    a_refused_request_claims_nothing,
    a_request_that_comes_behind_a_refused_one_finds_its_own_run,
    an_event_that_is_known_by_its_id_is_answered_however_its_run_is_named_by_now,
    a_unique_dispatch_that_lands_elsewhere_claims_nothing,
    another_ledger_over_the_database_knows_it_at_once,
    dispatches_of_one_id_at_once_make_exactly_one_run,
    an_id_that_many_claim_stays_ambiguous_until_one_is_left,
);

fn external(id: &str) -> ExternalId {
    ExternalId { id: name(id), kind: name("job"), source: name("queue") }
}

fn within(environment: Option<&str>, id: &str) -> Correlation {
    Correlation { environment: environment.map(name), id: external(id) }
}

/// In the environment `prod`.
fn called(id: &str) -> Correlation {
    within(Some("prod"), id)
}

fn dispatch(environment: Option<&str>, ids: &[&str]) -> RunCommand {
    let named = Named {
        environment: environment.map(name),
        external_ids: ids.iter().map(|id| external(id)).collect(),
        ..Named::default()
    };
    RunCommand::Dispatch(Box::new(Dispatch {
        correlation_version: 1,
        operation: name("inventory.sync"),
        named,
        origin: Origin::default(),
        unique: None,
    }))
}

fn signal(named: Named, report: Report) -> RunCommand {
    RunCommand::Signal(Box::new(SignalReport { named, origin: Origin::default(), report }))
}

fn start() -> RunCommand {
    signal(Named::default(), Report::Started { attempt: None, worker: None })
}

fn success() -> RunCommand {
    let report = Report::Succeeded { artifacts: Vec::new(), summary: Default::default() };
    signal(Named::default(), report)
}

/// A start that may open its run.
fn opening() -> RunCommand {
    let named = Named { operation: Some(name("inventory.sync")), ..Named::default() };
    signal(named, Report::Started { attempt: None, worker: None })
}

fn of(run: RunId, command: RunCommand) -> Submission {
    Submission::new(Command::Run(run, command))
}

impl Bed {
    /// A command on whatever run the id names.
    fn on(&self, correlation: Correlation, command: RunCommand) -> Submission {
        let correlated = Correlated::new(correlation, self.new_run(), command);
        Submission::new(Command::Correlated(Box::new(correlated)))
    }

    async fn names(&self, correlation: &Correlation) -> Names {
        self.store().named(self.workspace, correlation).await.unwrap()
    }
}

fn run_of(answer: &Answer) -> RunId {
    match answer {
        Answer::Recorded(receipt) => receipt.run.unwrap(),
        Answer::Duplicate { run, .. } | Answer::Coalesced { run } => run.unwrap(),
        other => panic!("of no run: {other:?}"),
    }
}

async fn what_comes_right_behind_the_dispatch_in_one_request_is_of_its_run(bed: Bed) {
    let run = bed.new_run();
    let answers = bed
        .submit(vec![
            of(run, dispatch(Some("prod"), &["7"])),
            bed.on(called("7"), start()),
            bed.on(called("7"), success()),
            bed.on(called("8"), start()),
        ])
        .await;
    assert_eq!(words(&answers), ["2", "3", "4", "unknown_run"]);
    assert!(answers[..3].iter().all(|answer| run_of(answer) == run), "{answers:?}");
    assert_eq!(bed.names(&called("7")).await, Names::Run(run));
    let rows = audit(bed.store(), bed.workspace).await;
    every_event_has_one_receipt(&rows, FIRST, &answers);
}

async fn an_id_that_nobody_knows_opens_a_run_that_is_known_by_it(bed: Bed) {
    let word = FollowUpCommand {
        action: FollowUpAction::Resolve,
        by: name("ada"),
        note: None,
        reason: name("done"),
        unless_resolved: false,
    };
    let follow_up = RunCommand::FollowUp(word);
    let refused = vec![bed.on(called("7"), start()), bed.on(called("7"), follow_up.clone())];
    let answers = bed.submit(refused).await;
    assert_eq!(words(&answers), ["unknown_run", "unknown_run"]);
    assert_eq!(answers[0], Answer::Refused(Refusal::UnknownExternalId(called("7"))));
    // A signal that names its operation opens it, and a dispatch makes one.
    let opened = bed.tell(bed.on(called("7"), opening())).await;
    let made = bed.tell(bed.on(called("8"), dispatch(None, &[]))).await;
    assert_ne!(run_of(&opened), run_of(&made));
    assert_eq!(bed.names(&called("7")).await, Names::Run(run_of(&opened)));
    assert_eq!(bed.names(&called("8")).await, Names::Run(run_of(&made)));
    // What comes later is of it: the true dispatch, its repetition, its end, a person's word.
    let later = [dispatch(None, &[]), dispatch(None, &[]), success(), success(), follow_up];
    let later = later.map(|command| bed.on(called("7"), command));
    let answers = bed.submit(later.into()).await;
    assert_eq!(words(&answers), ["5", "duplicate", "6", "duplicate", "7"]);
    assert!(answers.iter().all(|answer| run_of(answer) == run_of(&opened)), "{answers:?}");
    audit(bed.store(), bed.workspace).await;
}

async fn an_id_that_a_later_report_brings_names_the_run_from_then_on(bed: Bed) {
    let run = bed.new_run();
    let brings = |ids: &[&str]| Named {
        external_ids: ids.iter().map(|id| external(id)).collect(),
        ..Named::default()
    };
    let started = Report::Started { attempt: None, worker: None };
    let answers = bed
        .submit(vec![
            of(run, dispatch(Some("prod"), &["1"])),
            bed.on(called("2"), start()),
            of(run, signal(brings(&["2", "1", "2"]), started.clone())),
            bed.on(called("2"), success()),
            // What records nothing claims nothing.
            of(run, signal(brings(&["3"]), started)),
            bed.on(called("3"), success()),
        ])
        .await;
    assert_eq!(words(&answers), ["2", "unknown_run", "3", "4", "duplicate", "unknown_run"]);
    for id in ["1", "2"] {
        assert_eq!(bed.names(&called(id)).await, Names::Run(run));
    }
    let rows = audit(bed.store(), bed.workspace).await;
    let body = String::from_utf8(rows[3].body.clone()).unwrap();
    let fills = r#""fills":{"external_ids":[{"id":"2","kind":"job","source":"queue"}]}"#;
    assert!(body.contains(fills), "{body}");
}

async fn an_id_means_nothing_in_another_scope(bed: Bed) {
    let run = bed.new_run();
    bed.record(of(run, dispatch(Some("prod"), &["7"]))).await;
    for foreign in [within(Some("test"), "7"), within(None, "7")] {
        assert_eq!(bed.names(&foreign).await, Names::Nothing);
        assert_eq!(words(&[bed.tell(bed.on(foreign, start())).await]), ["unknown_run"]);
    }
    let other = create_workspace(&bed.ledger, "other").await;
    assert_eq!(
        words(&[tell(&bed.ledger, other, bed.on(called("7"), start())).await]),
        ["unknown_run"]
    );
    // The same id in each scope is as many runs.
    let test = bed.tell(bed.on(within(Some("test"), "7"), opening())).await;
    let none = bed.tell(bed.on(within(None, "7"), opening())).await;
    let other = tell(&bed.ledger, other, bed.on(called("7"), opening())).await;
    let runs = [run, run_of(&test), run_of(&none), run_of(&other)];
    assert_eq!(runs.iter().collect::<std::collections::HashSet<_>>().len(), 4);
    assert_eq!(bed.names(&called("7")).await, Names::Run(run));
    assert_eq!(bed.names(&within(None, "7")).await, Names::Run(run_of(&none)));
    // Source and kind are part of it.
    let mut of_another = called("7");
    of_another.id.source = name("another");
    assert_eq!(bed.names(&of_another).await, Names::Nothing);
}

async fn an_id_that_two_runs_claim_names_neither(bed: Bed) {
    let (first, second) = (bed.new_run(), bed.new_run());
    bed.record(of(first, dispatch(Some("prod"), &["7", "8"]))).await;
    let answers = bed
        .submit(vec![
            bed.on(called("7"), start()),
            of(second, dispatch(Some("prod"), &["7"])),
            bed.on(called("7"), success()),
            bed.on(called("7"), opening()),
            bed.on(called("7"), dispatch(None, &[])),
            bed.on(called("8"), success()),
        ])
        .await;
    let ambiguous = "ambiguous_external_id";
    assert_eq!(words(&answers), ["3", "4", ambiguous, ambiguous, ambiguous, "5"]);
    assert_eq!(bed.names(&called("7")).await, Names::Ambiguous);
    let again = bed.tell(bed.on(called("7"), success())).await;
    assert_eq!(again, Answer::Refused(Refusal::AmbiguousExternalId(called("7"))));
    // Both go on under their own ids.
    assert_eq!(words(&[bed.tell(of(second, success())).await]), ["6"]);
    audit(bed.store(), bed.workspace).await;
}

async fn an_id_follows_a_run_whose_environment_is_filled_in(bed: Bed) {
    let opened = bed.tell(bed.on(within(None, "7"), opening())).await;
    let run = run_of(&opened);
    let answers = bed
        .submit(vec![
            bed.on(within(None, "7"), start()),
            bed.on(called("7"), start()),
            of(run, dispatch(Some("prod"), &["8"])),
            bed.on(called("7"), success()),
            bed.on(within(None, "7"), success()),
        ])
        .await;
    assert_eq!(words(&answers), ["duplicate", "unknown_run", "4", "5", "unknown_run"]);
    assert_eq!(bed.names(&within(None, "7")).await, Names::Nothing);
    for id in ["7", "8"] {
        assert_eq!(bed.names(&called(id)).await, Names::Run(run));
    }
    audit(bed.store(), bed.workspace).await;
}

async fn a_refused_request_claims_nothing(bed: Bed) {
    let (run, bad) = (bed.new_run(), bed.new_run());
    let request = vec![
        of(run, dispatch(Some("prod"), &["7"])),
        bed.on(called("7"), start()),
        bed.on(called("8"), opening()),
        not_canonical(bad),
    ];
    let not_alone = "atomic_request_refused";
    let answers = words(&bed.atomic(request).await);
    assert_eq!(answers[..3], [not_alone; 3]);
    for id in ["7", "8"] {
        assert_eq!(bed.names(&called(id)).await, Names::Nothing);
    }
    assert_eq!(bed.size().await, FIRST);
    let request = vec![bed.on(called("7"), opening()), bed.on(called("7"), success())];
    let answers = bed.atomic(request).await;
    assert_eq!(words(&answers), ["3", "4"]);
    assert_eq!(bed.names(&called("7")).await, Names::Run(run_of(&answers[0])));
    audit(bed.store(), bed.workspace).await;
}

async fn a_request_that_comes_behind_a_refused_one_finds_its_own_run(bed: Bed) {
    let run = bed.tell(bed.on(within(None, "7"), opening())).await;
    let run = run_of(&run);
    let moves = vec![of(run, dispatch(Some("prod"), &[])), not_canonical(bed.new_run())];
    let stays = vec![bed.on(within(None, "7"), success())];
    // Sent at once, so that they are decided on together.
    let (refused, answered) = tokio::join!(bed.atomic(moves), bed.submit(stays));
    assert!(matches!(refused[1], Answer::Refused(_)), "{refused:?}");
    assert_eq!(run_of(&answered[0]), run);
    assert_eq!(bed.names(&within(None, "7")).await, Names::Run(run));
}

async fn an_event_that_is_known_by_its_id_is_answered_however_its_run_is_named_by_now(bed: Bed) {
    let known = || with_id(bed.on(called("7"), opening()), "e1", "the same");
    let first = bed.tell(known()).await;
    let second = bed.new_run();
    bed.record(of(second, dispatch(Some("prod"), &["7"]))).await;
    let answers = bed.submit(vec![bed.on(called("7"), success()), known()]).await;
    assert_eq!(words(&answers), ["ambiguous_external_id", "duplicate of 3"]);
    assert_eq!(run_of(&answers[1]), run_of(&first));
}

async fn a_unique_dispatch_that_lands_elsewhere_claims_nothing(bed: Bed) {
    let unique = |id: &str| {
        let mut command = dispatch(None, &[]);
        if let RunCommand::Dispatch(dispatch) = &mut command {
            dispatch.named.subject = "site/1".parse().ok();
            dispatch.unique = Some(UniqueMode::Subject);
        }
        bed.on(called(id), command)
    };
    let answers = bed.submit(vec![unique("7"), unique("8")]).await;
    let holder = run_of(&answers[0]);
    assert_eq!(answers[1], Answer::Existing(holder));
    assert_eq!(bed.names(&called("7")).await, Names::Run(holder));
    assert_eq!(bed.names(&called("8")).await, Names::Nothing);
}

async fn another_ledger_over_the_database_knows_it_at_once(bed: Bed) {
    let Some(other) = bed.another().await else { return };
    let opened = bed.tell(bed.on(called("7"), opening())).await;
    let said = tell(&other, bed.workspace, bed.on(called("7"), success())).await;
    assert_eq!(run_of(&said), run_of(&opened));
    // Its own lane has the run in memory, and another server makes the id ambiguous.
    receipt(tell(&other, bed.workspace, of(bed.new_run(), dispatch(Some("prod"), &["7"]))).await);
    assert_eq!(words(&[bed.tell(bed.on(called("7"), success())).await]), ["ambiguous_external_id"]);
    audit(bed.store(), bed.workspace).await;
}

async fn dispatches_of_one_id_at_once_make_exactly_one_run(bed: Bed) {
    let other = bed.another().await.unwrap_or_else(|| bed.ledger.clone());
    for round in 0..10 {
        let id = format!("{round}");
        let send = |ledger| {
            let id = &id;
            let bed = &bed;
            async move {
                let both =
                    vec![bed.on(called(id), dispatch(None, &[])), bed.on(called(id), start())];
                submit(ledger, bed.workspace, both).await
            }
        };
        let (one, two, three) = tokio::join!(send(&bed.ledger), send(&other), send(&bed.ledger));
        let answers: Vec<Answer> = [one, two, three].concat();
        let run = run_of(&answers[0]);
        assert!(answers.iter().all(|answer| run_of(answer) == run), "{answers:?}");
        let recorded = answers.iter().filter(|answer| matches!(answer, Answer::Recorded(_)));
        assert_eq!(recorded.count(), 2, "{answers:?}");
        assert_eq!(bed.names(&called(id.as_str())).await, Names::Run(run));
    }
    audit(bed.store(), bed.workspace).await;
}

async fn an_id_that_many_claim_stays_ambiguous_until_one_is_left(bed: Bed) {
    let runs: Vec<RunId> = (0..12).map(|_| bed.new_run()).collect();
    let named = Named {
        external_ids: vec![external("7")],
        operation: Some(name("inventory.sync")),
        ..Named::default()
    };
    let open = signal(named, Report::Started { attempt: None, worker: None });
    bed.submit(runs.iter().map(|run| of(*run, open.clone())).collect()).await;
    // All but the last get an environment of their own, and leave the scope.
    let mut moves: Vec<Submission> = Vec::new();
    for (number, run) in runs[..11].iter().enumerate() {
        moves.push(of(*run, dispatch(Some(&format!("e{number}")), &[])));
        moves.push(bed.on(within(None, "7"), success()));
    }
    let answers = words(&bed.submit(moves).await);
    let ambiguous = answers.iter().skip(1).step_by(2).take(10);
    assert!(ambiguous.into_iter().all(|word| word == "ambiguous_external_id"), "{answers:?}");
    assert_eq!(bed.names(&within(None, "7")).await, Names::Run(runs[11]));
    assert_eq!(bed.names(&within(Some("e3"), "7")).await, Names::Run(runs[3]));
    audit(bed.store(), bed.workspace).await;
}
