//! Every template, rendered from sample data without a server: in both languages, and with standings
//! that together are told everything that a person can be told.

use runledger_ledger::access::{Identity, PrincipalKind, Role};
use runledger_ledger::run::FollowUpAction;
use runledger_ledger::store::{Person, Principal};
use runledger_ledger::words::{Name, WorkspaceId};
use runledger_projections::rules::actions::ActionReason;
use runledger_projections::rules::guidance::{Guidance, GuidanceKey};
use runledger_projections::rules::queue::{QueueReason, QueueVerdict};
use runledger_projections::rules::standing::Standing;
use runledger_projections::texts::{Language, Texts};
use runledger_projections::{
    Counted, Counts, EnvironmentStanding, Facets, FollowUpItem, OldestItem, OperationStanding,
    Overview, Page, QueueStanding, RecentRuns, SavedView, StaleRun,
};
use serde_json::json;
use uuid::Uuid;

use super::account::{AccountPage, ProviderLine, RoleLine, SessionLine};
use super::acting::Wrong;
use super::adapters::{AdapterView, AdaptersPage};
use super::chart::{self, Chart};
use super::environments::{EnvironmentsPage, Family};
use super::fault::{FaultInWorkspace, FaultOnServer, FaultPage};
use super::follow_ups::{Choosable, FollowUpsPage, Tab};
use super::log::{EventView, LogPage};
use super::operations::{FamilyGroup, OperationsPage};
use super::overview::{Open, OverviewPage, Quiet};
use super::people::{PeoplePage, PersonPage};
use super::queues::QueuesPage;
use super::resolving::{Chosen, Meant, ResolvePage};
use super::run::{NotYetPage, RunPage};
use super::runs::{self, Chip, Facet, RunsPage};
use super::sample_runs::{OTHER, RUN, at, mistaken, standings, told, why};
use super::saved;
use super::shell::Shell;
use super::sign_in::{self, SignInPage};
use super::signed::Signed;
use super::timeline::Timeline;
use super::words::Words;
use super::workspaces::{Line, WorkspacesPage};

const LANGUAGES: [Language; 2] = [Language::En, Language::De];

fn item(run: &Standing) -> FollowUpItem {
    serde_json::from_value(json!({
        "key": "ab".repeat(16), "operation": "backup.create", "family": "backup",
        "actionability": "actionable", "guidance": run.now.guidance,
        "first_settled_at": "2026-01-01T10:30:00Z", "last_settled_at": "2026-01-01T11:30:00Z",
        "occurrences": 12, "latest": [run],
    }))
    .unwrap()
}

fn queue(verdict: QueueVerdict, reason: QueueReason) -> QueueStanding {
    let value = json!({"queue": "backups", "verdict": verdict, "waiting": 2, "live_workers": 1,
        "reason": reason, "oldest_wait_seconds": 61, "ever_named": true});
    serde_json::from_value(value).unwrap()
}

pub(super) fn operation() -> OperationStanding {
    serde_json::from_value(json!({
        "operation": "backup.create", "title": "Backup", "classified": true,
        "scope": "environment", "lifecycle": {},
        "family": {"name": "backup", "title": "Backup", "policy": "A policy.",
            "supersession": "subject", "current_state": "none", "review": "auto",
            "informational": false},
        "counts": serde_json::to_value(runledger_projections::OperationCounts::default()).unwrap(),
        "recent": [],
    }))
    .unwrap()
}

fn page<T>(items: Vec<T>) -> Page<T> {
    Page { items, next: Some("more".to_owned()), scanned_to: Some(at()) }
}

fn event() -> EventView {
    EventView {
        position: 7,
        kind: "run.failed",
        run: Some(RUN.to_owned()),
        occurred_at: Some(at()),
        recorded_at: at(),
        actor: Some("ada".to_owned()),
        source: None,
        leaf_hash: "ab".repeat(32),
        erased: true,
        archived: true,
        body: "{}".to_owned(),
    }
}

fn signed() -> [Signed; 3] {
    let fine = Signed {
        size: 9,
        last: Some((9, at())),
        witnesses: vec!["witness.example".to_owned()],
        ..Signed::default()
    };
    let halted = Signed { halted: Some("a fork".to_owned()), ..fine.clone() };
    [fine, halted, Signed::default()]
}

fn adapter() -> AdapterView {
    AdapterView {
        name: "review".to_owned(),
        version: 1,
        operations: None,
        reads: None,
        idle: None,
        last_success: Some(at()),
        last_error: Some(("timeout".to_owned(), at())),
        failures: 1,
        backlog: 2,
    }
}

fn oldest() -> OldestItem {
    OldestItem {
        workspace: WorkspaceId(Uuid::nil()),
        actionability: overview().counts.follow_ups()[0].0,
        operation: "backup.create".into(),
        subject: "<b>host</b>/7".into(),
        environment: String::new(),
        occurrences: 2,
        first_settled_at: at(),
    }
}

fn stale() -> StaleRun {
    StaleRun {
        workspace: WorkspaceId(Uuid::nil()),
        run_id: RUN.parse().unwrap(),
        operation: "backup.create".into(),
        subject: "host/7".into(),
        deadline: at(),
    }
}

fn facet() -> Facet {
    let choice = |label: &str| runs::Choice {
        label: label.into(),
        runs: Some(Counted { rows: 3, more: true }),
        chosen: false,
        href: "/".into(),
    };
    let (values, rest) = (vec![choice("prod")], vec![choice("dev")]);
    Facet { title: "facet-operation", values, rest, more: 7 }
}

fn ada() -> Person {
    let principal = Principal {
        id: Uuid::nil(),
        kind: PrincipalKind::Person,
        workspace: None,
        name: Name::new("ada").unwrap(),
    };
    Person {
        principal,
        created_at: at(),
        disabled_at: Some(at()),
        signed_in_at: None,
        has_password: true,
        identity: Some(Identity {
            issuer: "https://id.example".to_owned(),
            subject: "<b>7</b>".to_owned(),
        }),
    }
}

fn account(shell: Shell, person: Option<String>) -> AccountPage {
    let session = |this| SessionLine {
        id: Uuid::nil(),
        device: "Firefox · Linux".into(),
        agent: "<script>alert(1)</script>".into(),
        began_at: at(),
        seen_at: at(),
        this,
    };
    let role =
        |role| RoleLine { workspace: "main".into(), role, environments: Some("prod".into()) };
    AccountPage {
        shell,
        person,
        roles: Role::ALL.iter().copied().map(role).collect(),
        sessions: vec![session(true), session(false)],
        done: Some("account-password-done"),
        refused: Some("account-password-wrong"),
        has_password: true,
        provider: Some(ProviderLine {
            name: "Work".into(),
            subject: None,
            go_on: None,
            refused: Some("account-provider-away"),
        }),
    }
}

fn overview() -> Overview {
    let mut value = serde_json::to_value(Counts::default()).unwrap();
    value["at"] = json!("2026-01-01T12:00:00Z");
    value["queues"] = json!({});
    value["health"] = json!({"events": 9, "lag": 1, "parked": "an event"});
    serde_json::from_value(value).unwrap()
}

/// Every page once, by the name of its template.
fn pages(language: Language) -> Vec<(String, String)> {
    let shell = || Shell::sample(language, at(), OTHER);
    let runs = standings(Texts::of(language));
    let mut pages: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, page: &dyn askama::DynTemplate| {
        pages.push((name.to_owned(), page.dyn_render().unwrap()));
    };
    for (place, run) in runs.iter().enumerate() {
        let shell = shell();
        let timeline = Timeline::of(&told(), run, &shell);
        let progress = shell.texts().progress(&run.now.progress);
        let (run, events, scope) = (run.clone(), vec![event()], runs.clone());
        let (why, word) = (Some(why(language)), Some(mistaken()));
        let name = format!("run.html {}", run.now.guidance.key);
        // Once with its life, and once without.
        let (archived, preview) = (place == 0, None);
        let not_offered = Some(ActionReason::AlreadyResolved);
        let page = RunPage {
            shell,
            run,
            why,
            progress,
            timeline,
            events,
            archived,
            scope,
            preview,
            word,
            not_offered,
        };
        add(&name, &page);
    }
    let (shell_, run) = (shell(), runs[0].clone());
    let shell_ = Shell { as_of: Some("7".to_owned()), position: 8, ..shell_ };
    add("not_yet.html", &NotYetPage { shell: shell_, run });
    let (choices, filters) = saved::choices(
        &shell(),
        vec![SavedView {
            name: "Ours".to_owned(),
            query: String::new(),
            saved_by: "ada".to_owned(),
        }],
    );
    let chip = Chip { name: "status".into(), value: "queued".into(), href: "/".into() };
    add(
        "runs.html",
        &RunsPage {
            shell: shell(),
            runs: page(runs.clone()),
            capped: Some(500),
            counts: Facets::default(),
            facets: vec![facet()],
            length: None,
            chips: vec![chip],
            beyond: true,
            saved: choices,
            filters,
            saves: true,
        },
    );
    let tab =
        || Tab { label: "Open".into(), count: Some("1".into()), chosen: true, href: "/".into() };
    let one = || Choosable { name: "backup".into(), label: "Backup".into(), runs: 3 };
    for left in [None, Some(page(runs.clone()))] {
        let items = page(runs.iter().map(item).collect());
        let (shell, tabs) = (shell(), vec![tab()]);
        let (operations, families) = (vec![one()], vec![one()]);
        let page = FollowUpsPage {
            shell,
            tabs,
            items,
            capped: Some(500),
            left,
            operations,
            families,
            oldest_first: false,
        };
        add("follow_ups.html", &page);
    }
    let chosen = Chosen {
        operation: "backup.create".into(),
        subject: Some("host/7".into()),
        environment: None,
        runs: 12_000,
    };
    let nothing = |action| ResolvePage {
        shell: shell(),
        action,
        meant: Meant::Nothing,
        whole: Some("/w/main/follow-ups/resolve?action=resolve&all=true".into()),
        chosen: Vec::new(),
        items: 0,
        runs: 0,
        more: false,
        most: 10_000,
        carried: Vec::new(),
        back: "/w/main/follow-ups".into(),
        before: None,
        done: None,
        reason: String::new(),
        note: String::new(),
        wrong: None,
    };
    add("resolve.html", &nothing(FollowUpAction::Reopen));
    add(
        "resolve.html",
        &ResolvePage {
            meant: Meant::All,
            chosen: vec![chosen],
            items: 13,
            runs: 12_000,
            more: true,
            most: 10_000,
            carried: vec![("action".into(), "resolve".into())],
            before: Some(11_999),
            done: Some(10_000),
            reason: "accepted".into(),
            wrong: Some(Wrong::Note),
            ..nothing(FollowUpAction::Resolve)
        },
    );
    let queues: Vec<QueueStanding> = QueueVerdict::ALL
        .iter()
        .zip(QueueReason::ALL.iter().cycle())
        .map(|(verdict, reason)| queue(*verdict, *reason))
        .collect();
    for signed in signed() {
        let since = chart::since(at());
        let recent = RecentRuns { runs: Vec::new(), scanned_to: Some(at()) };
        let quiet = Quiet { older: 3, ..Quiet::default() };
        add(
            "overview.html",
            &OverviewPage {
                shell: shell(),
                counts: overview().counts,
                health: overview().health,
                open: vec![Open {
                    status: overview().counts.follow_ups()[0].0,
                    items: runs.iter().map(item).collect(),
                    all: 99,
                }],
                stale: runs.clone(),
                queues: queues.clone(),
                chart: Chart::of(&recent, since),
                quiet,
                left_since: at(),
                quiet_since: at(),
                operations: vec![operation()],
                adapters: vec![adapter()],
                signed: Some(signed.clone()),
            },
        );
        let (events, size, older) = (vec![event()], 9, Some(3));
        let (narrowed, moves, signed) = (true, true, Some(signed));
        let shell = shell();
        add(
            "log.html",
            &LogPage { shell, events, size, older, narrowed, beyond: Some(9_000), moves, signed },
        );
    }
    add(
        "queues.html",
        &QueuesPage { shell: shell(), queues, meant: Some(("backups".into(), None)) },
    );
    let group = FamilyGroup {
        title: "Backup".into(),
        policy: "A policy.".into(),
        operations: vec![(operation(), None)],
    };
    let (shell_, families) = (shell(), vec![group]);
    add(
        "operations.html",
        &OperationsPage { shell: shell_, families, coverage: (1, 1), unclassified: 1 },
    );
    let one = EnvironmentStanding { environment: None, counts: Counts::default() };
    let environments = vec![(one, vec![(1, 2)])];
    let families = vec![Family { name: "backup".into(), title: "Backups".into() }];
    add("environments.html", &EnvironmentsPage { shell: shell(), environments, families });
    add("adapters.html", &AdaptersPage { shell: shell(), adapters: vec![adapter()] });
    let line = Line {
        name: "main".into(),
        events: Some((9, 2)),
        parked: true,
        halted: Some("a fork".into()),
        dispatched: (5_000, true),
        queues: QueueVerdict::ALL.iter().map(|verdict| (*verdict, 2)).collect(),
        ..Line::default()
    };
    let untold = Line { untold: Some("workspaces-preparing"), ..Line::default() };
    let (lines, sum) = (vec![line, untold], Counts::default());
    let (since, recent) = (chart::since(at()), RecentRuns { runs: Vec::new(), scanned_to: None });
    let chart = Chart { leads: false, ..Chart::of(&recent, since) };
    let (oldest, stale) = (vec![("main".into(), oldest())], vec![("main".into(), stale())]);
    let page = WorkspacesPage { shell: shell(), lines, sum, since, chart, oldest, stale };
    add("workspaces.html", &page);
    let (w, preferences) = (Words::of(language), shell().preferences);
    for code in [None, Some("code".to_owned())] {
        let refused = Some("sign-in-code-used");
        for people in [false, true] {
            let (code, next, name) = (code.clone(), "/".into(), "ada".into());
            let told = people
                .then(|| sign_in::Told { text: "t".into(), subject: Some("<b>7</b>".into()) });
            let provider = people.then(|| "Work".to_owned());
            let page =
                SignInPage { w, preferences, code, next, people, name, refused, provider, told };
            add("sign_in.html", &page);
        }
    }
    for name in [None, Some("ada".to_owned())] {
        add("account.html", &account(shell(), name));
    }
    add("people.html", &PeoplePage { shell: shell(), people: vec![ada()] });
    let sessions = account(shell(), None).sessions;
    add("person.html", &PersonPage { shell: shell(), person: ada(), sessions, done: true });
    for (status, code) in [(404, "unknown_run"), (400, "invalid_query"), (500, "internal")] {
        let fault = || FaultPage::sample(preferences, status, code).fault;
        add("fault.html", &FaultPage { fault: fault() });
        add("fault_in.html", &FaultInWorkspace { shell: &shell(), fault: fault() });
        let everywhere = Some(shell().activity());
        let shell = Shell { workspace: String::new(), everywhere, ..shell() };
        add("fault_on.html", &FaultOnServer { shell: &shell, fault: fault() });
    }
    pages
}

#[test]
fn every_template_is_rendered_in_both_languages_and_says_what_a_person_is_told() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    for language in LANGUAGES {
        let pages = pages(language);
        for (name, text) in &pages {
            assert!(text.contains(&format!("<html lang=\"{language}\"")), "{name} {language}");
            for wrong in ["No localization", "<script>alert", "javascript:", " style="] {
                assert!(!text.contains(wrong), "{name} {language} has {wrong}");
            }
        }
        for key in GuidanceKey::ALL {
            let guidance = Guidance { key: *key, severity: key.severity() };
            let sentence = Texts::of(language).guidance(&guidance);
            let of_run = pages.iter().find(|(name, _)| *name == format!("run.html {key}"));
            let list = pages.iter().find(|(name, _)| name == "runs.html");
            for (name, text) in [of_run.unwrap(), list.unwrap()] {
                assert!(text.contains(&sentence), "{name} {language} does not say {sentence}");
            }
            let tone = format!("truth now tone-{}", guidance.severity);
            assert!(of_run.unwrap().1.contains(&tone), "{key} is not as loud as it is");
        }
        // Those that other templates are put together from are rendered with them.
        for entry in std::fs::read_dir(&directory).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let part = [
                "base",
                "ui",
                "events",
                "squares",
                "signed",
                "choices",
                "server",
                "sessions",
                "first",
                "keys",
                "as_of",
                "past_band",
                "fault_card",
                "lost",
                "chart",
                "legend",
            ];
            let whole = !part.iter().any(|part| name == format!("{part}.html"));
            let rendered = pages.iter().any(|(page, _)| page.starts_with(&name));
            assert!(!whole || rendered, "{name} is not rendered");
        }
    }
}
