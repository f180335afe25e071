//! What goes well all day: workers report, and runs come and go.

use serde_json::json;

use super::{BEGINS, ENVIRONMENTS};
use crate::demo::script::Script;

/// How many minutes a worker may be silent.
const LEASE: i64 = 20;

/// The workers that are there at the end, and their queues.
const WORKERS: [(&str, &[&str]); 4] = [
    ("worker-a", &["default", "night"]),
    ("worker-b", &["default", "night"]),
    ("backup-1", &["backups"]),
    ("report-1", &["reports"]),
];

/// The workers. `mailer-1` went home half an hour ago.
pub(super) fn workers(script: &mut Script) {
    for (worker, queues) in WORKERS {
        script.worker(("redis", worker), queues, LEASE, (BEGINS, 0));
    }
    script.worker(("redis", "mailer-1"), &["mail"], LEASE, (BEGINS, -30));
    script.worker_stops(-28, ("redis", "mailer-1"));
}

/// Every worker that is there reports.
pub(in crate::demo) fn report_in(script: &mut Script, at: i64) {
    for (worker, queues) in WORKERS {
        script.worker(("redis", worker), queues, LEASE, (at, at));
    }
}

/// Runs that did what they were asked.
pub(super) fn good_runs(script: &mut Script) {
    for hour in 1..26 {
        let at = BEGINS + hour * 60;
        for (minute, environment) in (0..).step_by(3).zip(ENVIRONMENTS) {
            inventory_sync(script, at + minute, environment);
        }
        if hour % 3 == 0 {
            connection_check(script, at + 20, "azure-prod");
            connection_check(script, at + 21, "github-org");
        }
    }
    policies(script);
    night(script);
    office_hours(script);
}

fn inventory_sync(script: &mut Script, at: i64, environment: &str) {
    let label = format!("inventory {environment} {at}");
    let run = script.run(label, "inventory.sync").of(environment).queued_in("redis", "default");
    run.dispatched(at)
        .started(at + 1, "worker-a")
        .succeeded(at + 3, json!({ "items": 1_200 + at % 40, "changed": at % 7 + 7 }));
}

fn connection_check(script: &mut Script, at: i64, connection: &str) {
    let label = format!("check {connection} {at}");
    let run = script.run(label, "provider_connection.check").of("prod");
    run.on("provider_connection", connection)
        .queued_in("redis", "default")
        .dispatched(at)
        .started(at, "worker-b")
        .succeeded(at + 1, json!({}));
}

fn policies(script: &mut Script) {
    for (at, operation) in [
        (-1_500, "policy.sync"),
        (-1_440, "directory.groups.sync"),
        (-1_380, "directory.roles.sync"),
        (-780, "policy.sync"),
        (-700, "permission.posture.check"),
    ] {
        let run = script.run(format!("{operation} {at}"), operation).of("staging");
        run.queued_in("redis", "default")
            .dispatched(at)
            .started(at + 1, "worker-b")
            .succeeded(at + 8, json!({ "changed": 3 }));
    }
    // Owned by the workspace, and by no environment.
    let run = script.run("usage report", "workspace.usage.report");
    run.queued_in("redis", "night")
        .dispatched(-480)
        .started(-479, "worker-a")
        .succeeded(-475, json!({ "seats": 14 }));
}

fn night(script: &mut Script) {
    for (at, set) in [(-900, "postgres-main"), (-880, "object-store"), (-860, "wiki")] {
        let run = script.run(format!("night backup {set}"), "backup.schedule.execute");
        run.of("prod")
            .on("backup_set", set)
            .queued_in("redis", "backups")
            .dispatched(at)
            .started(at + 2, "backup-1")
            .alive(at + 10, json!({ "done": 40, "total": 120 }))
            .alive(at + 20, json!({ "done": 95, "total": 120 }))
            .succeeded(at + 26, json!({ "bytes": 48_318_382_080_i64 }));
    }
    let run = script.run("retention", "backup.retention.apply").of("prod");
    run.queued_in("redis", "night")
        .dispatched(-820)
        .started(-819, "worker-b")
        .succeeded(-812, json!({ "removed": 11 }));
    let run = script.run("permission report", "permission.report.generate").of("prod");
    run.with("fingerprint", "permissions-2026-w47")
        .queued_in("redis", "reports")
        .dispatched(-600)
        .started(-599, "report-1")
        .succeeded(-590, json!({ "pages": 18 }));
    for at in [-1_200, -600] {
        let run = script.run(format!("digest {at}"), "notification.send").of("prod");
        run.queued_in("redis", "mail")
            .dispatched(at)
            .started(at + 1, "mailer-1")
            .succeeded(at + 2, json!({ "recipients": 9 }));
    }
}

fn office_hours(script: &mut Script) {
    for (number, at) in (871_u64..).zip([-420, -360, -300, -250, -190]) {
        let pipeline = format!("pipeline {number}");
        let run = script.run(&*pipeline, "ci.pipeline").told_by("gitlab").of("dev");
        run.on("branch", "main")
            .with("initiator", "ada@northwind.example")
            .with("labels", json!({ "commit": format!("{:07x}", number * 7_919_377) }))
            .dispatched(at)
            .started(at + 1, "runner-4")
            .alive(at + 4, json!({ "parts": { "build": [1, 1], "test": [120, 480] } }))
            .succeeded(at + 12, json!({ "tests": 480 }));
        for job in ["build", "test"] {
            let run = script.run(format!("{pipeline} {job}"), "ci.job").told_by("gitlab");
            run.of("dev")
                .on("job", job)
                .with("parent_run_id", &*pipeline)
                .dispatched(at + 1)
                .started(at + 2, "runner-4")
                .succeeded(at + 9, json!({}));
        }
    }
    let run = script.run("log rotation", "command").told_by("cron").of("prod");
    run.on("command", "rotate-logs")
        .dispatched(-330)
        .started(-330, "web-1")
        .succeeded(-329, json!({}));
    let run = script.run("promotion", "promotion.execute").of("prod");
    run.on("release", "2026.47.1")
        .with("initiator", "grace@northwind.example")
        .dispatched(-240)
        .started(-239, "worker-a")
        .succeeded(-231, json!({ "services": 6 }));
    for job in ["orders_daily", "customers"] {
        script.lineage(-700, job, "START", job, None);
        script.lineage(-690, job, "COMPLETE", job, None);
    }
}
