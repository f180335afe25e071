mod refusals;

use proptest::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::*;

/// A small sound catalog of 12 lines; tests break it or add to it from line 13 on.
const SOUND: &str = r#"version = 1
[family.unclassified]
title = { en = "Unclassified", de = "Nicht eingeordnet" }
[family.backup]
title = { en = "Backup", de = "Sicherung" }
queue_window = "15m"
run_window = "2h"
abandon_after = "2d"
[operation."backup.create"]
family = "backup"
title = { en = "Backup", de = "Sicherung" }
aliases = ["backup_create"]
"#;

fn sound_with(more: &str) -> Catalog {
    Catalog::parse(&format!("{SOUND}{more}")).unwrap()
}

fn minutes(minutes: i64) -> Option<Span> {
    Some(Span::from_secs(minutes * 60))
}

#[test]
fn the_built_in_catalog_loads_and_every_operation_has_a_known_family() {
    let catalog = Catalog::built_in();
    assert_eq!(catalog.version(), 1);
    assert_eq!(catalog.text(), include_str!("../../catalog.toml"));
    assert!(catalog.operations().count() > 20);
    for operation in catalog.operations() {
        assert!(operation.classified);
        assert_eq!(catalog.family(operation.family_name), Some(operation.family));
        assert!(operation.title.is_some(), "{}", operation.name);
    }
    assert!(Arc::ptr_eq(&catalog, &Catalog::built_in()));
}

#[test]
fn the_built_in_catalog_says_what_it_says() {
    let catalog = Catalog::built_in();
    let review = catalog.operation("tenant.review.compose");
    assert_eq!(review.name, "environment.review.compose");
    assert_eq!(review.family_name, "artifact");
    assert_eq!(review.adapter, Some("environment.review.compose"));
    assert_eq!(review.artifact, Some("environment_review"));
    assert_eq!(review.family.supersession, Supersession::Fingerprint);
    assert_eq!(review.family.current_state, CurrentState::Subject);
    assert_eq!(review.lifecycle.run_window, minutes(20));

    let restore = catalog.operation("restore.execute");
    assert_eq!(restore.family.review, Review::Manual);
    assert_eq!(restore.family.supersession, Supersession::None);
    assert_eq!(restore.lifecycle.abandon_after, None);

    assert!(catalog.operation("notification.send").family.informational);
    assert_eq!(catalog.operation("workspace.usage.report").scope, OperationScope::Workspace);
}

#[test]
fn an_alias_is_the_operation_that_it_stands_for() {
    let catalog = sound_with("");
    assert_eq!(catalog.canonical("backup_create"), "backup.create");
    assert_eq!(catalog.canonical("backup.create"), "backup.create");
    assert_eq!(catalog.canonical("acme.custom.thing"), "acme.custom.thing");
    let operation = catalog.operation("backup_create");
    assert_eq!(operation.name, "backup.create");
    assert_eq!(operation.aliases, ["backup_create"]);
    assert_eq!(operation.scope, OperationScope::Environment);
}

#[test]
fn an_operation_that_nobody_has_classified_is_kept_under_its_own_name() {
    let catalog = sound_with("");
    let operation = catalog.operation("acme.custom.thing");
    assert_eq!(operation.name, "acme.custom.thing");
    assert!(!operation.classified);
    assert_eq!(operation.family_name, UNCLASSIFIED);
    assert_eq!(operation.title, None);
    assert_eq!(operation.lifecycle, Lifecycle::default());
    assert!(catalog.operations().all(|known| known.name != operation.name));
}

#[test]
fn what_nobody_has_classified_has_a_family_that_the_file_need_not_name() {
    let named = SOUND.lines().skip(3).collect::<Vec<_>>().join("\n");
    let catalog = Catalog::parse(&format!("version = 1\n{named}")).unwrap();
    let operation = catalog.operation("acme.custom.thing");
    assert_eq!((operation.classified, operation.family_name), (false, UNCLASSIFIED));
    let built_in = Catalog::built_in();
    assert_eq!(Some(operation.family), built_in.family(UNCLASSIFIED));
    let families: Vec<&str> = catalog.families().map(|(name, _)| name).collect();
    assert_eq!(families, ["backup", UNCLASSIFIED]);
}

#[test]
fn an_alias_is_written_as_the_name_arrives() {
    let text = SOUND
        .replace("[\"backup_create\"]", "['App\\Jobs\\CreateBackup', \"Sicherung (täglich)\"]");
    let catalog = Catalog::parse(&text).unwrap();
    for arrives in ["App\\Jobs\\CreateBackup", "Sicherung (täglich)"] {
        assert_eq!(catalog.canonical(arrives), "backup.create");
    }
}

#[test]
fn an_operation_overrides_the_windows_of_its_family_one_by_one() {
    let catalog = sound_with(
        r#"[operation."backup.huge"]
family = "backup"
title = { en = "Huge", de = "Riesig" }
run_window = "6h"
"#,
    );
    let expected = Lifecycle {
        queue_window: minutes(15),
        run_window: minutes(6 * 60),
        abandon_after: minutes(2 * 24 * 60),
    };
    assert_eq!(catalog.operation("backup.huge").lifecycle, expected);
    assert_eq!(catalog.operation("backup.create").lifecycle.run_window, minutes(120));
    assert_eq!(catalog.operation("backup.huge").family.lifecycle.run_window, minutes(120));
}

#[test]
fn families_and_operations_come_in_the_order_of_the_file_used_or_not() {
    let catalog = sound_with(
        r#"[family.a]
title = { en = "A", de = "A" }
[operation."a.first"]
family = "backup"
title = { en = "A", de = "A" }
"#,
    );
    let families: Vec<&str> = catalog.families().map(|(name, _)| name).collect();
    assert_eq!(families, ["unclassified", "backup", "a"]);
    let operations: Vec<&str> = catalog.operations().map(|operation| operation.name).collect();
    assert_eq!(operations, ["backup.create", "a.first"]);
    assert!(catalog.family("b").is_none());
}

#[test]
fn the_text_is_kept_to_the_byte_and_so_is_its_hash() {
    let text = format!("# größer\r\n{SOUND}\n\n");
    let catalog = Catalog::parse(&text).unwrap();
    assert_eq!(catalog.text(), text);
    assert_eq!(catalog.sha256()[..], Sha256::digest(&text)[..]);
}

#[test]
fn the_words_of_the_file_are_the_words_of_the_json() {
    fn assert_same<T: Serialize + Copy>(words: &[(&str, T)]) {
        for (word, value) in words {
            assert_eq!(serde_json::to_value(value).unwrap(), *word);
        }
    }
    assert_same(&read::SUPERSESSION);
    assert_same(&read::CURRENT_STATE);
    assert_same(&read::REVIEW);
    assert_same(&read::SCOPE);
}

#[test]
fn a_lifecycle_in_json_has_only_the_windows_that_are_known() {
    let lifecycle = Lifecycle { run_window: minutes(30), ..Lifecycle::default() };
    let json = serde_json::to_string(&lifecycle).unwrap();
    assert_eq!(json, r#"{"run_window":"30m"}"#);
    assert_eq!(serde_json::from_str::<Lifecycle>(&json).unwrap(), lifecycle);
    assert!(serde_json::from_str::<Lifecycle>(r#"{"window":"30m"}"#).is_err());
}

/// Lines that are nearly those of a catalog, so that the rules behind the syntax are met too.
fn catalog_like() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("version = 1".to_owned()),
        Just("aliases = [\"a\", \"a.b\", 1, {}]".to_owned()),
        Just("title = { en = \"E\", de = \"D\" }".to_owned()),
        r#"\[(family|operation)\.("[a-z._]{0,9}"|[a-c]|unclassified)\]"#,
        r#"(family|supersession|scope|title|queue_window|abandon_after|x) = ("[a-z0-9.ä]{0,9}"|[0-9]{1,25}|true|\[\]|\{\})"#,
    ];
    proptest::collection::vec(line, 0..24).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(?s).{0,400}") {
        // It is refused: no text of this kind says `version = 1` and nothing else that is wrong.
        prop_assert!(Catalog::parse(&text).is_err());
    }

    #[test]
    fn what_is_nearly_a_catalog_is_read_or_refused_by_lines_that_exist(text in catalog_like()) {
        match Catalog::parse(&text) {
            Ok(catalog) => prop_assert_eq!(catalog.text(), text),
            Err(errors) => {
                prop_assert!(!errors.errors().is_empty());
                let last = text.matches('\n').count() + 1;
                for error in errors.errors() {
                    prop_assert!(error.line.is_none_or(|line| (1..=last).contains(&line)));
                }
            }
        }
    }

    #[test]
    fn a_sound_catalog_cut_and_patched_anywhere_never_panics(
        at in 0..SOUND.len(),
        length in 0..40usize,
        patch in "(?s).{0,8}",
    ) {
        let mut bytes = SOUND.as_bytes().to_vec();
        let end = (at + length).min(bytes.len());
        bytes.splice(at..end, patch.bytes());
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(catalog) = Catalog::parse(&text) {
            prop_assert!(catalog.family(UNCLASSIFIED).is_some());
        }
    }
}
