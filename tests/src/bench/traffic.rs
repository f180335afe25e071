//! Realistic traffic: runs as a small platform team's job system reports them.

use std::collections::BTreeMap;

use anyhow::Context as _;
use runledger_ledger::ledger::Ledger;
use runledger_ledger::run::{
    Dispatch, ExternalId, Named, Origin, Report, RunCommand, Scalar, SignalReport,
};
use runledger_ledger::submission::{Command, Submission};
use runledger_ledger::words::{Name, Note, Outcome, RunId, Subject, WordError};
use serde_json::{Value, json};

/// Signals of one life: dispatched, started, and an end.
pub const SIGNALS: usize = 3;

const OPERATIONS: [&str; 8] = [
    "inventory.sync",
    "policy.sync",
    "directory.groups.sync",
    "baseline.compare",
    "backup.set.create",
    "review.pack.generate",
    "provider.connection.check",
    "alert.deliver",
];
const ENVIRONMENTS: [&str; 3] = ["production", "staging", "development"];
const QUEUES: [&str; 4] = ["default", "sync", "reports", "backups"];
const SUBJECTS: u64 = 5_000;

/// The life of run `number`: one in twenty fails, the rest succeed.
///
/// # Errors
/// [`WordError`], never: every word of it is a good one.
pub fn life(run: RunId, number: u64) -> Result<[Submission; SIGNALS], WordError> {
    let end = if number % 20 == 7 {
        Report::Failed {
            message: Some(Note::new("The provider answered 503 after three tries")?),
            outcome: Outcome::Failed,
            reason_code: Name::new("provider_unavailable")?,
            retryable: Some(true),
        }
    } else {
        let scanned = i64::try_from(number % 10_000).unwrap_or_default();
        let summary = BTreeMap::from([
            (Name::new("scanned")?, Scalar::Number(scanned)),
            (Name::new("changed")?, Scalar::Number(scanned / 7)),
            (Name::new("digest")?, Scalar::Text(Note::new(format!("sha256:{number:064x}"))?)),
        ]);
        Report::Succeeded { artifacts: Vec::new(), summary }
    };
    let worker = Some(Name::new(format!("worker-{}", number % 16))?);
    Ok([
        dispatched(run, number)?,
        signal(run, Report::Started { attempt: Some(1), worker })?,
        signal(run, end)?,
    ])
}

fn dispatched(run: RunId, number: u64) -> Result<Submission, WordError> {
    let pick =
        |names: &[&str]| Name::new(names[usize::try_from(number).unwrap_or(0) % names.len()]);
    let subject = subject(number);
    let dispatch = Dispatch {
        correlation_version: 1,
        operation: pick(&OPERATIONS)?,
        named: Named {
            connection: Some(Name::new("redis")?),
            environment: Some(pick(&ENVIRONMENTS)?),
            external_ids: vec![ExternalId {
                id: Name::new(format!("job-{number}"))?,
                kind: Name::new("job")?,
                source: Name::new("horizon")?,
            }],
            fingerprint: Some(Name::new(format!("{subject:032x}"))?),
            job_class: Some(Name::new("App\\Jobs\\SyncProviderInventory")?),
            queue: Some(pick(&QUEUES)?),
            subject: Some(Subject {
                id: Name::new(subject.to_string())?,
                kind: Name::new("provider_connection")?,
            }),
            operation: None,
        },
        origin: Origin {
            attempt: Some(1),
            initiator: Some(Name::new("scheduler")?),
            labels: BTreeMap::from([(Name::new("team")?, Note::new("platform")?)]),
            ..Origin::default()
        },
        unique: None,
    };
    sourced(Command::Run(run, RunCommand::Dispatch(Box::new(dispatch))))
}

fn signal(run: RunId, report: Report) -> Result<Submission, WordError> {
    let signal = SignalReport { named: Named::default(), origin: Origin::default(), report };
    sourced(Command::Run(run, RunCommand::Signal(Box::new(signal))))
}

/// The same life as events that are sent over HTTP.
pub fn lines(run: RunId, number: u64) -> [String; SIGNALS] {
    let pick = |names: &[&'static str]| names[usize::try_from(number).unwrap_or(0) % names.len()];
    let subject = subject(number);
    let event = |kind: &str, data: Value| {
        json!({ "type": kind, "run_id": run.0, "source": "horizon", "data": data }).to_string()
    };
    let dispatched = json!({
        "attempt": 1,
        "connection": "redis",
        "environment": pick(&ENVIRONMENTS),
        "external_ids": [{ "id": format!("job-{number}"), "kind": "job", "source": "horizon" }],
        "fingerprint": format!("{subject:032x}"),
        "initiator": "scheduler",
        "job_class": "App\\Jobs\\SyncProviderInventory",
        "labels": { "team": "platform" },
        "operation": pick(&OPERATIONS),
        "queue": pick(&QUEUES),
        "subject": { "id": subject.to_string(), "type": "provider_connection" },
    });
    let worker = format!("worker-{}", number % 16);
    let end = if number % 20 == 7 {
        let data = json!({
            "message": "The provider answered 503 after three tries",
            "outcome": "failed",
            "reason_code": "provider_unavailable",
            "retryable": true,
        });
        event("run.failed", data)
    } else {
        let scanned = number % 10_000;
        let digest = format!("sha256:{number:064x}");
        let summary = json!({ "changed": scanned / 7, "digest": digest, "scanned": scanned });
        event("run.succeeded", json!({ "summary": summary }))
    };
    [
        event("run.dispatched", dispatched),
        event("run.started", json!({ "attempt": 1, "worker": worker })),
        end,
    ]
}

const fn subject(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % SUBJECTS
}

fn sourced(command: Command) -> Result<Submission, WordError> {
    Ok(Submission { source: Some(Name::new("horizon")?), ..Submission::new(command) })
}

/// `events` submissions in requests of `size`, each of runs of its own, so that requests may arrive
/// in any order. What no longer fits of the last run of a request has not happened yet.
///
/// # Errors
/// When the machine gives no random bytes for the ids.
pub fn requests(
    ledger: &Ledger,
    events: usize,
    size: usize,
    first: u64,
) -> anyhow::Result<Vec<Vec<Submission>>> {
    let mut numbers = first..;
    let mut requests = Vec::with_capacity(events.div_ceil(size));
    for start in (0..events).step_by(size) {
        let size = size.min(events - start);
        let mut request = Vec::with_capacity(size + SIGNALS);
        while request.len() < size {
            let run = ledger.new_run_id().context("no run id")?;
            request.extend(life(run, numbers.next().context("no number left")?)?);
        }
        request.truncate(size);
        requests.push(request);
    }
    Ok(requests)
}
