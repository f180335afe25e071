//! What went wrong, and what became of it: every verdict on a finished run, with every reason.

use serde_json::json;

use crate::demo::script::Script;

/// Problems that a later run, the present state or a late word has made good.
pub(super) fn made_good(script: &mut Script) {
    // A later backup of the same set succeeded.
    let run = script.run("backup failed", "backup.create").of("prod");
    run.on("backup_set", "postgres-main")
        .queued_in("redis", "backups")
        .dispatched(-560)
        .started(-558, "backup-1")
        .failed(-531, "disk_full", "no space left on /srv/backup after 41 GiB");
    let run = script.run("backup again", "backup.set.create").of("prod");
    run.on("backup_set", "postgres-main")
        .with("retry_of", "backup failed")
        .with("attempt", 2)
        .with("initiator", "grace@northwind.example")
        .queued_in("redis", "backups")
        .dispatched(-510)
        .started(-508, "backup-1")
        .succeeded(-470, json!({ "bytes": 48_402_268_160_i64 }));
    // The connection was seen healthy after its check had failed.
    let run = script.run("check failed", "provider.connection.check").of("prod");
    run.on("provider_connection", "okta")
        .queued_in("redis", "default")
        .dispatched(-205)
        .started(-204, "worker-a")
        .failed(-203, "timeout", "no answer from okta.northwind.example within 30s");
    script.observed(-204, ("provider_connection", "okta"), "unhealthy", "probe");
    script.observed(-170, ("provider_connection", "okta"), "healthy", "probe");
    // Its agent lost its way home, and told of its end two hours later.
    let run = script.run("agent lost", "command").told_by("cron").of("staging");
    run.on("command", "vacuum-search-index")
        .dispatched(-400)
        .started(-400, "search-1")
        .ended(-390, "the connection to the agent was lost")
        .succeeded_long_ago(-265, -385);
    let run = script.run("export ended", "queue.job").told_by("cron").of("staging");
    run.on("job", "thumbnail-sweep")
        .dispatched(-395)
        .started(-394, "media-2")
        .ended(-380, "the worker went away")
        .cancelled(-250, "grace@northwind.example", "stopped for the deployment");
    // The reviews adapter found the document that the run was asked for.
    let run = script.run("review failed", "tenant.review.compose").of("staging");
    run.with("fingerprint", "review-staging-2026-11")
        .queued_in("redis", "night")
        .dispatched(-450)
        .started(-449, "worker-b")
        .failed(-446, "duplicate", "a review of this period is there already")
        .proven(-440, ("environment_review", "r-2041"), "review_ready");
    let run = script.run("review silent", "environment.review.compose").of("dev");
    run.with("fingerprint", "review-dev-2026-11")
        .queued_in("redis", "night")
        .dispatched(-155)
        .started(-154, "worker-a")
        .proven(-100, ("environment_review", "r-2052"), "review_ready");
    // dbt: the second run of the same model went through.
    script.lineage(-350, "orders first", "START", "orders", None);
    script.lineage(-348, "orders first", "FAIL", "orders", Some("column total does not exist"));
    script.lineage(-310, "orders second", "START", "orders", None);
    script.lineage(-305, "orders second", "COMPLETE", "orders", None);
}

/// Problems on which a person has had a word, and what was stopped on purpose.
pub(super) fn settled_by_people(script: &mut Script) {
    let run = script.run("alert failed", "alert.deliver").of("prod");
    run.on("channel", "oncall-sms").dispatched(-320).started(-320, "mailer-1").failed(
        -318,
        "provider_rejected",
        "the number is not reachable",
    );
    let note = "Called the on-call engineer, and updated the number.";
    script.follow_up(-290, "alert failed", "resolve", "fixed_by_hand", note);
    // Closed too early, and opened again.
    let run = script.run("posture failed", "permission.posture.check").of("prod");
    run.on("provider_connection", "aws-billing").dispatched(-360).started(-359, "worker-b").failed(
        -355,
        "access_denied",
        "the role may not list policies",
    );
    let note = "Asked for the role to be widened.";
    script.follow_up(-340, "posture failed", "resolve", "ticket_filed", note);
    let note = "The role is as narrow as before.";
    script.follow_up(-120, "posture failed", "reopen", "not_fixed", note);
    let run = script.run("groups stopped", "directory_groups.sync").of("dev");
    run.queued_in("redis", "default").dispatched(-230).started(-229, "worker-b").cancelled(
        -225,
        "ada@northwind.example",
        "wrong environment",
    );
    // For information only, whatever becomes of it.
    let run = script.run("digest failed", "notification.send").of("staging");
    run.queued_in("redis", "mail").dispatched(-330).started(-329, "mailer-1").failed(
        -328,
        "mailbox_full",
        "the mailbox of ops@northwind.example is full",
    );
}

/// Problems that wait for a person.
pub(super) fn open(script: &mut Script) {
    // Three failures of one model are one thing to do.
    for (label, at) in [("customers 1", -300), ("customers 2", -210), ("customers 3", -95)] {
        script.lineage(at, label, "START", "customers", None);
        let message = "null value in column customer_id";
        script.lineage(at + 4, label, "FAIL", "customers", Some(message));
    }
    let run = script.run("baseline failed", "baseline_capture").of("staging");
    run.on("policy_set", "cis-level-1")
        .queued_in("redis", "default")
        .dispatched(-180)
        .started(-178, "worker-a")
        .alive(-175, json!({ "phase": "reading policies" }))
        .ended_with_problem(-171, "partially_succeeded", "some_skipped", "4 of 61 policies unread");
    // High risk: only a person closes these.
    let run = script.run("restore failed", "restore.execute").of("staging");
    run.on("database", "orders")
        .with("initiator", "grace@northwind.example")
        .dispatched(-150)
        .started(-149, "worker-b")
        .alive(-145, json!({ "phase": "replaying the log" }))
        .failed(-140, "checksum", "segment 000000010000002A is damaged");
    let run = script.run("deletion blocked", "policy.bulk.delete").of("prod");
    run.on("policy_set", "legacy")
        .with("initiator", "ada@northwind.example")
        .dispatched(-135)
        .started(-134, "worker-a")
        .ended_with_problem(-133, "blocked", "locked", "3 of the policies are locked by an audit");
    // Two sources disagree about how it ended.
    let run = script.run("job disputed", "ci.job").told_by("gitlab").of("dev");
    run.on("job", "end-to-end").dispatched(-128).started(-127, "runner-4").failed(
        -110,
        "runner_lost",
        "the runner stopped answering",
    );
    let run = script.more_of("job disputed").told_by("runner-4");
    run.succeeded_long_ago(-104, -111);
    // Without a fingerprint no later success could be known to be the same work.
    let run = script.run("pack failed", "review.pack.generate").of("prod");
    run.queued_in("redis", "reports").dispatched(-125).started(-124, "report-1").failed(
        -119,
        "template",
        "the template names a chart that is not there",
    );
    // Nobody has put this operation into the catalog.
    let run = script.run("invoices failed", super::UNCLASSIFIED[1]).told_by("billing").of("prod");
    run.on("ledger", "2026-10").dispatched(-90).started(-89, "billing-1").failed(
        -88,
        "quota",
        "the daily quota of the invoice service is used up",
    );
}

/// Runs that fell silent for more than a day, and were given up by the ledger.
pub(super) fn given_up(script: &mut Script) {
    // 30 minutes of window and 24 hours of patience later.
    let run = script.run("groups silent", "directory.groups.sync").of("prod");
    run.queued_in("redis", "default")
        .dispatched(-1_600)
        .started(-1_599, "worker-c")
        .alive(-1_595, json!({ "done": 310, "total": 2_400 }))
        .given_up(-124);
    // This one spoke again after all.
    let run = script.run("roles silent", "directory.roles.sync").of("prod");
    run.queued_in("redis", "default")
        .dispatched(-1_590)
        .started(-1_589, "worker-c")
        .given_up(-117)
        .succeeded_long_ago(-60, -1_570);
}
