//! Rules that no compiler checks: what is classified, and which file may do what.
//!
//! The second half reads the source of the product. Each rule names words, and the only files in
//! which they may stand; comments and test code are passed over.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use runledger::demo::{self, Demo};
use runledger::ingest::openlineage::{self, Mapped};
use runledger::scenario::file::Scenario;
use runledger_ledger::catalog::{Catalog, UNCLASSIFIED};
use runledger_ledger::run::RunCommand;
use runledger_ledger::submission::Command;

#[test]
fn every_operation_of_the_catalog_has_a_family_that_has_a_policy() {
    let catalog = Catalog::built_in();
    let families: BTreeSet<&str> = catalog.families().map(|(name, _)| name).collect();
    assert!(catalog.operations().count() > 20, "the built-in catalog was not read");
    for operation in catalog.operations() {
        assert!(operation.classified, "{}", operation.name);
        assert_ne!(operation.family_name, UNCLASSIFIED, "{}", operation.name);
        assert!(families.contains(operation.family_name), "{}", operation.name);
    }
}

#[test]
fn every_recorded_request_is_of_a_classified_operation() {
    let catalog = Catalog::built_in();
    assert!(catalog.operation(openlineage::OPERATION).classified);
    let mut operations = BTreeSet::new();
    let mut signals = 0;
    for path in files_below(&root().join("tests/fixtures/openlineage"), "json") {
        let request: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let body = serde_json::to_vec(&request["body"]).unwrap();
        let Ok(Mapped::Signal(submission)) = openlineage::parse(&body, None) else { continue };
        let Command::Run(_, RunCommand::Signal(signal)) = submission.command else {
            panic!("{} is no signal of a run", path.display());
        };
        signals += 1;
        operations.extend(signal.named.operation);
    }
    assert!(signals > 50, "only {signals} recorded requests were read");
    for operation in &operations {
        assert!(catalog.operation(operation.as_str()).classified, "{operation}");
    }
}

#[test]
fn every_operation_of_the_demo_is_classified_but_those_it_shows_as_unclassified() {
    let catalog = Catalog::built_in();
    let operations = Demo::operations();
    let shown: BTreeSet<&str> = operations
        .iter()
        .map(|operation| catalog.operation(operation))
        .filter(|operation| !operation.classified)
        .map(|operation| operation.name)
        .collect();
    assert_eq!(shown, BTreeSet::from(demo::UNCLASSIFIED));
    let families: BTreeSet<&str> =
        operations.iter().map(|operation| catalog.operation(operation).family_name).collect();
    let all: BTreeSet<&str> = catalog.families().map(|(name, _)| name).collect();
    assert_eq!(families, all, "the demo shows all families");
}

#[test]
fn every_operation_of_the_scenarios_is_classified_but_those_that_must_not_be() {
    let (mut all, mut unclassified) = (BTreeSet::new(), BTreeSet::new());
    for path in files_below(&root().join("specs/scenarios"), "toml") {
        // A catalog lies there, too.
        let Ok(scenario) = Scenario::read(&path) else { continue };
        let text = std::fs::read_to_string(&path).unwrap();
        let mut operations = BTreeSet::new();
        named_operations(&text.parse::<toml::Table>().unwrap().into(), &mut operations);
        let unknown = |operation: &&String| !scenario.catalog.operation(operation).classified;
        unclassified.extend(operations.iter().filter(unknown).cloned());
        all.extend(operations);
    }
    assert!(all.len() > 20, "only {all:?} were read");
    let meant = ["acme.custom.thing", "build report"].map(str::to_owned);
    assert_eq!(unclassified, BTreeSet::from(meant));
}

/// Every text that stands under `operation` anywhere in `value`.
fn named_operations(value: &toml::Value, found: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => {
            if let Some(toml::Value::String(operation)) = table.get("operation") {
                found.insert(operation.clone());
            }
            table.values().for_each(|value| named_operations(value, found));
        }
        toml::Value::Array(values) => {
            values.iter().for_each(|value| named_operations(value, found));
        }
        _ => {}
    }
}

/// Words, and the only places where they may stand.
struct Rule {
    /// The rule in a sentence.
    says: &'static str,
    /// What no other file may hold.
    words: &'static [&'static str],
    /// How the paths begin that may, each for a reason that the sentence gives.
    homes: &'static [&'static str],
}

const RULES: &[Rule] = &[
    Rule {
        says: "only the ledger and the rule of actionability ask whether an outcome is a problem",
        words: &[".is_problem()"],
        homes: &["ledger/src/", "projections/src/rules/actionability"],
    },
    Rule {
        says: "raw problem outcomes are named where they are recorded (an export reports its own run), \
               where a way in reads them, and in the two rules that the design gives them to; nowhere is anything concluded \
               from one",
        words: &[
            "Outcome::Failed",
            "Outcome::PartiallySucceeded",
            "Outcome::Blocked",
            "Outcome::Unknown",
        ],
        homes: &[
            "ledger/src/",
            "projections/src/rules/actionability",
            "projections/src/rules/guidance.rs",
            "api/src/exports.rs",
            "api/src/ingest/",
            "api/src/scenario",
        ],
    },
    Rule {
        says: "no statement picks runs by a raw problem outcome of its own",
        words: &["'failed'", "'partially_succeeded'", "'blocked'", "outcome <>"],
        homes: &[],
    },
    Rule {
        says: "which verdicts are follow-ups is said by `is_follow_up`, in the rules alone; the \
               counts tell the two apart, and tests hold them against the lists",
        words: &["Actionability::Actionable", "Actionability::RequiresManualReview"],
        homes: &["projections/src/rules/", "projections/src/query/counts.rs"],
    },
    Rule {
        says: "time, ids and randomness come from the clock",
        words: &[
            "SystemTime::now",
            "std::time::Instant",
            "Timestamp::now",
            "Zoned::now",
            "now_v7",
            "new_v4",
            "getrandom::",
            "rand::",
            "OsRng",
        ],
        homes: &["ledger/src/clock.rs"],
    },
    Rule {
        says: "only the lane appends to a log",
        words: &["store.append(", "Store::append", "store().append("],
        homes: &["ledger/src/lane.rs", "ledger/src/store.rs"],
    },
    Rule {
        says: "only a store writes the rows of events",
        words: &["INTO events", "UPDATE events", "DELETE FROM events"],
        homes: &["ledger/src/store/"],
    },
    Rule {
        says: "SQL stands in the store, in the files of the read models, and where adapters read",
        words: &["\"SELECT ", "\"INSERT ", "\"UPDATE ", "\"DELETE ", "\"CREATE ", "sqlx::query"],
        homes: &[
            "adapters/src/domain.rs",
            "adapters/src/probe/sql",
            "adapters/src/restore.rs",
            "adapters/src/review.rs",
            "ledger/src/store.rs",
            "ledger/src/store/",
            "projections/src/adapter_health.rs",
            "projections/src/ahead.rs",
            "projections/src/deadlines.rs",
            "projections/src/follower.rs",
            "projections/src/observing.rs",
            "projections/src/projector.rs",
            "projections/src/projector/",
            "projections/src/query/",
            "projections/src/rebuild.rs",
            "projections/src/remote_claims.rs",
            "projections/src/saved_views.rs",
            "projections/src/db.rs",
            "projections/src/db/",
            "projections/src/tables.rs",
            "projections/src/timeline/",
            "projections/src/verify",
            "projections/src/wakes",
        ],
    },
    Rule {
        says: "only the ledger makes `run.reconciled`",
        words: &["Reconciled(Box::new(", "RunEvent::Reconciled("],
        homes: &["ledger/src/"],
    },
    Rule {
        says: "a decision becomes a command in the seam, which checks it; scenarios and the demo play \
               decisions of their own",
        words: &["Reconcile {"],
        homes: &["adapters/src/seam.rs", "api/src/demo/", "api/src/scenario/", "ledger/src/"],
    },
    Rule {
        says: "a decision is submitted by the reconciler, from what the seam has let through; \
               scenarios and the demo play decisions of their own, and the conformance kit asks \
               the rules without a log",
        words: &["RunCommand::Reconcile("],
        homes: &[
            "adapters/src/conformance/",
            "api/src/demo/",
            "api/src/reconciler/give_up.rs",
            "api/src/reconciler/page.rs",
            "api/src/scenario/",
            "ledger/src/",
        ],
    },
    Rule {
        says: "nothing that judges or shows speaks to another machine; the listener takes connections \
               and makes none, checkpoints are sent to witnesses, and whoever signs in is asked about",
        words: &["reqwest", "TcpStream", "UdpSocket", "UnixStream", "lookup_host", "hyper::"],
        homes: &[
            "adapters/src/",
            "api/src/client.rs",
            "api/src/cosigners.rs",
            "api/src/listener.rs",
            "api/src/oidc",
            // It speaks to nobody, but reads addresses.
            "api/src/settings/oidc.rs",
        ],
    },
];

#[test]
fn what_only_one_place_may_do_is_done_nowhere_else() {
    let sources = product_sources();
    assert!(sources.len() > 50, "only {} files were read", sources.len());
    let broken: Vec<String> = RULES
        .iter()
        .flat_map(|rule| sources.iter().flat_map(|(path, code)| offences(rule, path, code)))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_rule_finds_what_it_forbids_and_nothing_that_it_allows() {
    for rule in RULES {
        for word in rule.words {
            let code = format!("fn f() {{\n    {word}\n}}\n");
            let planted = offences(rule, "projections/src/texts.rs", &code);
            assert_eq!(planted.len(), 1, "{}: {word}", rule.says);
            assert!(planted[0].contains("projections/src/texts.rs:2"), "{}", planted[0]);
            for home in rule.homes {
                assert_eq!(offences(rule, home, &code), Vec::<String>::new());
            }
            let comment = format!("// {word}\n/// {word}\n");
            assert_eq!(offences(rule, "api/src/lib.rs", &comment), Vec::<String>::new());
        }
    }
}

#[test]
fn no_text_about_a_standing_is_written_outside_of_the_message_catalog() {
    let texts: Vec<String> = ["en", "de"]
        .iter()
        .map(|language| root().join(format!("projections/i18n/{language}/standing.ftl")))
        .flat_map(|file| {
            let messages = std::fs::read_to_string(file).unwrap();
            let texts = messages.lines().filter(|line| !line.starts_with('#'));
            texts.filter_map(|line| Some(line.split_once(" = ")?.1.to_owned())).collect::<Vec<_>>()
        })
        .collect();
    assert!(texts.len() > 160, "only {} texts were read", texts.len());
    let of_api = product_sources().into_iter().filter(|(path, _)| {
        // The schemas say what the members of an answer mean, to those who write programs. Samples
        // are answers, for the tests of templates.
        let others = ["api/src/schema", "api/src/web/sample"];
        path.starts_with("api/src/") && !others.iter().any(|other| path.starts_with(other))
    });
    let written: Vec<String> = of_api
        .flat_map(|(path, code)| {
            let code: String = lines(&code).map(|(_, line)| format!("{line}\n")).collect();
            let found =
                literals(&code).into_iter().filter(|one| texts.iter().any(|text| says(one, text)));
            found.map(|literal| format!("{path} says {literal:?}")).collect::<Vec<_>>()
        })
        .collect();
    assert!(written.is_empty(), "take them from `Texts`: {}", written.join("\n"));
    let planted = literals("count(\"OVERDUE\"); f(\"a \\\"b\\\" c\", \"Worth\\\n      knowing\");");
    assert_eq!(planted, ["OVERDUE", "a \\\"b\\\" c", "Worth knowing"]);
    assert!(says("Overdue", "Overdue") && says("worth knowing", "Worth knowing"));
    assert!(says(
        "; it was silent for longer than it should be.",
        "Silent for longer than it should be."
    ));
    assert!(!says("failed", "Failed"), "a word for programs");
}

#[test]
fn no_page_concludes_from_an_outcome_that_a_person_is_needed() {
    // What is loud on a page is so by the severity of guidance, and what is counted by the counts of
    // follow-ups: a template has no reason to name a problem, or a verdict that is a follow-up.
    const WORDS: [&str; 8] = [
        "is_problem",
        "Outcome::Failed",
        "Outcome::PartiallySucceeded",
        "Outcome::Blocked",
        "Outcome::Unknown",
        "Actionability::Actionable",
        "Actionability::RequiresManualReview",
        "== \"attention\"",
    ];
    let templates = files_below(&root().join("api/templates"), "html");
    assert!(templates.len() > 10, "only {} templates were read", templates.len());
    for template in templates {
        let text = std::fs::read_to_string(&template).unwrap();
        let named: Vec<_> = WORDS.iter().filter(|word| text.contains(**word)).collect();
        assert!(named.is_empty(), "{} names {named:?}", template.display());
    }
}

/// The texts between quotes in a piece of code, on one line each.
fn literals(code: &str) -> Vec<String> {
    let (mut found, mut open, mut escaped) = (Vec::new(), None::<String>, false);
    for c in code.replace("'\"'", "").chars() {
        match (&mut open, c) {
            (None, '"') => open = Some(String::new()),
            (None, _) => {}
            (Some(_), '"') if !escaped => found.extend(open.take()),
            (Some(text), c) => text.push(c),
        }
        escaped = c == '\\' && !escaped;
    }
    let one_line =
        |text: String| text.replace("\\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ");
    found.into_iter().map(one_line).collect()
}

/// Whether a literal says a text of the catalog. One small word may be one for programs.
fn says(literal: &str, text: &str) -> bool {
    let (lower, wanted) = (literal.to_lowercase(), text.to_lowercase());
    match text.split_whitespace().count() {
        1 => literal == text,
        2 | 3 => lower == wanted,
        _ => lower.contains(&wanted),
    }
}

#[test]
fn no_adapter_can_reach_anything_to_write_with() {
    let rule = Rule {
        says: "an adapter reads and decides, and writes nothing",
        words: &["Submission", "Ledger", "Store", "StoreUrl", "Lane", "cqrs_es", ".submit("],
        homes: &[],
    };
    let sources = product_sources();
    let of_adapters: Vec<_> =
        sources.iter().filter(|(path, _)| path.starts_with("adapters/src/")).collect();
    assert!(of_adapters.len() > 10, "only {} files were read", of_adapters.len());
    let broken: Vec<String> =
        of_adapters.iter().flat_map(|(path, code)| offences(&rule, path, code)).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    let planted = "fn f(ledger: &Ledger) {}\n";
    assert_eq!(offences(&rule, "adapters/src/review.rs", planted).len(), 1);
}

#[test]
fn a_longer_word_is_not_mistaken_for_the_one_in_it() {
    let rule = RULES.iter().find(|rule| rule.words.contains(&"Outcome::Failed")).unwrap();
    assert_eq!(offences(rule, "api/src/lib.rs", "FailedOutcome::Failed"), Vec::<String>::new());
}

#[test]
fn every_place_that_a_rule_allows_is_there_or_still_to_come() {
    // What other changes bring; a place that nobody uses any more must go from the rule.
    const TO_COME: &[&str] = &["adapters/src/"];
    let sources = product_sources();
    for rule in RULES {
        for home in rule.homes.iter().filter(|home| !TO_COME.contains(home)) {
            let used = sources.iter().any(|(path, code)| {
                path.starts_with(home)
                    && lines(code).any(|(_, line)| first_word(rule, line).is_some())
            });
            assert!(used, "{home} does nothing of: {}", rule.says);
        }
    }
}

/// Where `code`, the text of the file at `path`, breaks `rule`.
fn offences(rule: &Rule, path: &str, code: &str) -> Vec<String> {
    if rule.homes.iter().any(|home| path.starts_with(home)) {
        return Vec::new();
    }
    let found = lines(code).filter_map(|(number, line)| {
        let word = first_word(rule, line)?;
        Some(format!("{path}:{number} has `{word}`, but {}", rule.says))
    });
    found.collect()
}

/// The lines of the product in a file, with their numbers: no comments, and no test module.
fn lines(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let tests = code.find("#[cfg(test)]\nmod tests {").unwrap_or(code.len());
    code[..tests]
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// The first word of the rule that stands in this line, and not inside a longer name.
fn first_word(rule: &Rule, line: &str) -> Option<&'static str> {
    rule.words.iter().copied().find(|word| {
        line.match_indices(word).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            !word.starts_with(char::is_alphanumeric)
                || !before.is_some_and(|before| before.is_alphanumeric() || before == '_')
        })
    })
}

/// The Rust files of the crates, by path from the root; those that hold only tests left out.
fn product_sources() -> Vec<(String, String)> {
    let crates = ["ledger/src", "ledger/proof/src", "projections/src", "adapters/src", "api/src"];
    let files = crates.iter().flat_map(|sources| files_below(&root().join(sources), "rs"));
    let named = files.map(|file| {
        let path = file.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        (path, file)
    });
    named
        .filter(|(path, _)| !path.contains("/tests") && path != "projections/src/rules/story.rs")
        .map(|(path, file)| (path, std::fs::read_to_string(file).unwrap()))
        .collect()
}

fn files_below(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path, extension));
        } else if path.extension().is_some_and(|is| is == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
