//! Both languages say everything, say it in the right words, and say nothing they must not.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::rules::story::name;

const SOURCES: [(Language, &str); 2] = [
    (Language::En, include_str!("../../i18n/en/standing.ftl")),
    (Language::De, include_str!("../../i18n/de/standing.ftl")),
];

/// Each message of a file, with the arguments that it takes.
fn messages(source: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    source
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let (key, text) = line.split_once(" = ").expect(line);
            let arguments = text.split('$').skip(1);
            (key, arguments.filter_map(|rest| rest.split([' ', '}']).next()).collect())
        })
        .collect()
}

fn guidances() -> impl Iterator<Item = Guidance> {
    GuidanceKey::ALL.iter().map(|&key| Guidance { key, severity: key.severity() })
}

fn both() -> [Texts; 2] {
    [Texts::new(Language::En), Texts::new(Language::De)]
}

#[test]
fn both_languages_have_the_same_messages_with_the_same_arguments() {
    let [en, de] = SOURCES.map(|(_, source)| messages(source));
    assert_eq!(en, de);
    assert!(en.len() > 80);
}

#[test]
fn every_message_is_used_and_said_in_both_languages() {
    let code = include_str!("../texts.rs");
    for (language, source) in SOURCES {
        let texts = Texts::new(language);
        for key in messages(source).keys() {
            assert!(code.contains(&format!("\"{key}\"")), "nobody says {key}");
            assert!(texts.loader.has(key), "{language} does not load {key}");
        }
    }
}

#[test]
fn german_is_german_and_english_is_english() {
    let [en, de] = both();
    for guidance in guidances() {
        assert_ne!(en.guidance(&guidance), de.guidance(&guidance), "{}", guidance.key);
    }
    assert_eq!(en.outcome(Outcome::Failed), "Failed");
    assert_eq!(de.outcome(Outcome::Failed), "Fehlgeschlagen");
    let title = Title { en: "Backup".into(), de: "Sicherung".into() };
    assert_eq!((en.title(&title), de.title(&title)), ("Backup", "Sicherung"));
}

#[test]
fn no_two_keys_share_a_sentence() {
    for texts in both() {
        let sentences: BTreeSet<_> =
            guidances().map(|guidance| texts.guidance(&guidance)).collect();
        assert_eq!(sentences.len(), GuidanceKey::ALL.len());
    }
}

#[test]
fn no_guidance_speaks_of_the_machinery_behind_it() {
    let forbidden = [
        "sql",
        "select",
        "insert",
        "update",
        "delete",
        "join",
        "query",
        "table",
        "row",
        "null",
        "schema",
        "constraint",
        "database",
        "datenbank",
        "exception",
        "panic",
        "stack",
        "trace",
        "token",
        "secret",
        "password",
        "http",
    ];
    for texts in both() {
        for guidance in guidances() {
            let sentence = texts.guidance(&guidance).to_lowercase();
            for word in sentence.split(|c: char| !c.is_alphanumeric()) {
                assert!(!forbidden.contains(&word), "{}: {sentence}", guidance.key);
            }
            // Longer words that may hide in others.
            for part in ["constraint", "stack", "token", "exception", "sqlite", "postgres"] {
                assert!(!sentence.contains(part), "{}: {sentence}", guidance.key);
            }
        }
    }
}

#[test]
fn a_stale_run_has_no_calm_text() {
    let calm_words = [
        "running",
        "progress",
        "soon",
        "waiting for",
        "in time",
        "nothing is left",
        "läuft",
        "fortschritt",
        "bald",
        "wartet auf",
        "nichts mehr zu tun",
    ];
    for texts in both() {
        let calm: Vec<_> = guidances()
            .filter(|guidance| matches!(guidance.severity, Severity::Calm | Severity::Notice))
            .map(|guidance| texts.guidance(&guidance))
            .collect();
        for key in [GuidanceKey::QueuedPastWindow, GuidanceKey::RunningPastWindow] {
            let sentence = texts.guidance(&Guidance { key, severity: key.severity() });
            assert!(!calm.contains(&sentence));
            let sentence = sentence.to_lowercase();
            for word in calm_words {
                assert!(!sentence.contains(word), "{key}: {sentence}");
            }
        }
    }
}

#[test]
fn what_is_done_asks_for_nobody() {
    let loud = ["needs", "must", "check", "muss", "bitte", "prüfen", "jemand"];
    for texts in both() {
        for guidance in guidances().filter(|guidance| guidance.severity == Severity::Done) {
            let sentence = texts.guidance(&guidance).to_lowercase();
            for word in loud {
                assert!(!sentence.contains(word), "{}: {sentence}", guidance.key);
            }
        }
    }
}

fn view(kind: ProgressKind) -> ProgressView {
    ProgressView {
        kind,
        done: Some(3),
        total: Some(9),
        parts: [(name("groups"), (0, 4)), (name("users"), (3, 9))].into(),
        phase: Some(name("reading")),
        ratio_permille: None,
        last_reported: false,
    }
}

#[test]
fn progress_is_said_in_its_own_form() {
    let [en, de] = both();
    let said = |kind| (en.progress(&view(kind)), de.progress(&view(kind)));
    let some = |en: &str, de: &str| (Some(en.to_owned()), Some(de.to_owned()));
    assert_eq!(said(ProgressKind::None), (None, None));
    assert_eq!(said(ProgressKind::Phase), some("reading", "reading"));
    assert_eq!(said(ProgressKind::Determinate), some("3 of 9", "3 von 9"));
    let parts = some("groups: 0 of 4, users: 3 of 9", "groups: 0 von 4, users: 3 von 9");
    assert_eq!(said(ProgressKind::Composite), parts);
    let unbegun = ProgressView { done: None, ..view(ProgressKind::Determinate) };
    assert_eq!(de.progress(&unbegun).as_deref(), Some("insgesamt 9"));
}

#[test]
fn the_progress_of_a_stale_run_is_said_to_be_what_it_last_reported() {
    let [en, de] = both();
    let stale = ProgressView { last_reported: true, ..view(ProgressKind::Determinate) };
    assert_eq!(en.progress(&stale).as_deref(), Some("Last reported: 3 of 9"));
    assert_eq!(de.progress(&stale).as_deref(), Some("Zuletzt gemeldet: 3 von 9"));
}

#[test]
fn an_operators_reason_is_shown_as_it_was_given() {
    let [en, _] = both();
    let verdict =
        |status, reason: &str| Verdict { status, reason: Some(reason.to_owned()), proof: None };
    let said = |status, reason| en.reason(&verdict(status, reason));
    let given = said(Actionability::ResolvedByOperator, "problem");
    assert_eq!(given.as_deref(), Some("problem"));
    let fixed = said(Actionability::Actionable, "problem");
    assert_eq!(fixed, Some(en.fixed_reason(Reason::Problem)));
    let active = Verdict { status: Actionability::NotTerminal, reason: None, proof: None };
    assert_eq!(en.reason(&active), None);
}

#[test]
fn every_word_has_a_text_in_both_languages() {
    for texts in both() {
        let all = [
            Severity::ALL.iter().map(|word| texts.severity(*word)).collect::<Vec<_>>(),
            Status::ALL.iter().map(|word| texts.status(*word)).collect(),
            Outcome::ALL.iter().map(|word| texts.outcome(*word)).collect(),
            Freshness::ALL.iter().map(|word| texts.freshness(*word)).collect(),
            QueueVerdict::ALL.iter().map(|word| texts.queue(*word)).collect(),
            Actionability::ALL.iter().map(|word| texts.actionability(*word)).collect(),
            Reason::ALL.iter().map(|word| texts.fixed_reason(*word)).collect(),
            ActionKey::ALL.iter().map(|word| texts.action(*word)).collect(),
            ActionReason::ALL.iter().map(|word| texts.action_reason(*word)).collect(),
        ];
        for said in all {
            let different: BTreeSet<_> = said.iter().collect();
            assert_eq!(different.len(), said.len(), "two words read the same: {said:?}");
            assert!(said.iter().all(|text| !text.starts_with("No localization")), "{said:?}");
        }
    }
}
