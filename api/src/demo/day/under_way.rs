//! What has not ended at the present: every freshness of an active run, and every queue verdict.

use serde_json::json;

use crate::demo::script::Script;

/// How a run that waits in time is asked for.
type Story = fn(&mut Script, String, i64);

/// Runs that wait in time, one for each thing that can be said of them.
const WAITING: [(&str, Story); 5] = [
    // default moves.
    ("policy waiting", |script, label, at| {
        let run = script.run(label, "policy_sync").of("prod");
        run.queued_in("redis", "default").dispatched(at);
    }),
    // backups is slow: one waits past its window, while others start.
    ("object backup waiting", |script, label, at| {
        let run = script.run(label, "backup.set.create").of("dev");
        run.on("backup_set", "object-store").queued_in("redis", "backups").dispatched(at);
    }),
    // reports is stalled: its worker is there, and nothing starts.
    ("report waiting", |script, label, at| {
        let run = script.run(label, "permission.report.generate").of("staging");
        let run = run.with("fingerprint", "permissions-2026-w48");
        run.queued_in("redis", "reports").dispatched(at);
    }),
    // mail has no worker any more.
    ("digest waiting", |script, label, at| {
        let run = script.run(label, "notification.send").of("prod");
        run.queued_in("redis", "mail").dispatched(at);
    }),
    // exports is of a system that tells of no workers.
    ("export waiting", |script, label, at| {
        let run = script.run(label, "policy.bulk.export").told_by("exporter").of("dev");
        run.queued_in("sqs", "exports").dispatched(at);
    }),
];

/// Runs that wait. `night` has nothing that waits.
pub(super) fn queues(script: &mut Script) {
    for (label, story) in WAITING {
        story(script, label.to_owned(), -3);
    }
    let run = script.run("wiki backup waiting", "backup.set.create").of("staging");
    run.on("backup_set", "wiki").queued_in("redis", "backups").dispatched(-25);
    let run = script.run("snapshot waiting", "evidence.snapshot.generate").of("prod");
    run.with("fingerprint", "evidence-2026-11-21").queued_in("redis", "reports").dispatched(-40);
}

/// What waits in time is taken or taken back, and asked for again.
pub(in crate::demo) fn replace_waiting(script: &mut Script, round: i64) {
    for (label, story) in WAITING {
        let before = if round == 1 { label.to_owned() } else { format!("{label} {}", round - 1) };
        let run = script.more_of(before);
        if label == "policy waiting" {
            run.started(0, "worker-a").succeeded(0, json!({ "changed": 0 }));
        } else {
            run.cancelled(0, "scheduler", "asked for again");
        }
        story(script, format!("{label} {round}"), 0);
    }
}

/// Runs that run, or say so.
pub(super) fn running(script: &mut Script) {
    let run = script.run("object backup", "backup.set.create").of("prod");
    run.on("backup_set", "object-store")
        .queued_in("redis", "backups")
        .dispatched(-9)
        .started(-6, "backup-1")
        .alive(-4, json!({ "done": 12, "total": 96 }))
        .alive(-1, json!({ "done": 31, "total": 96 }));
    let run = script.run("pipeline 876", "ci.pipeline").told_by("gitlab").of("dev");
    run.on("branch", "main")
        .with("initiator", "ada@northwind.example")
        .dispatched(-5)
        .started(-5, "runner-4")
        .alive(-1, json!({ "parts": { "build": [1, 1], "test": [212, 480] } }));
    // One active run a connection: the second order lands on the first run.
    let label = "connection sync";
    let run = script.run(label, "inventory_sync").of("prod");
    run.on("provider_connection", "azure-prod")
        .with("unique", "subject")
        .queued_in("redis", "default")
        .dispatched(-8)
        .started(-7, "worker-a");
    let run = script.run("connection sync, asked for again", "inventory.sync").of("prod");
    run.on("provider_connection", "azure-prod")
        .with("unique", "subject")
        .with("initiator", "ada@northwind.example")
        .queued_in("redis", "default")
        .dispatched(-3);
    // Silent for too long.
    let run = script.run("comparison silent", "baseline.compare").of("prod");
    run.on("policy_set", "cis-level-1")
        .queued_in("redis", "default")
        .dispatched(-58)
        .started(-57, "worker-b")
        .alive(-52, json!({ "phase": "comparing 61 policies" }));
    // Without a window nothing can be said.
    let run = script.run("cache warming", super::UNCLASSIFIED[0]).told_by("edge").of("prod");
    run.on("region", "eu-central").dispatched(-70).started(-69, "edge-3");
}
