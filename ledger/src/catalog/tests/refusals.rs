//! What the reader refuses, and in which words.

use rstest::rstest;

use super::super::*;
use super::SOUND;

fn replaced(old: &str, new: &str) -> String {
    assert_eq!(SOUND.matches(old).count(), 1, "{old}");
    SOUND.replace(old, new)
}

/// Asserts that `text` is refused for exactly these reasons.
fn assert_refused(text: &str, expected: &[&str]) {
    let errors = Catalog::parse(text).unwrap_err();
    let found: Vec<String> = errors.errors().iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
}

#[test]
fn what_is_not_toml_is_refused_on_its_line_and_not_read_further() {
    let errors = Catalog::parse("version = 2\n[family.a\ntitle = 1\n").unwrap_err();
    assert_eq!(errors.errors().len(), 1, "{errors}");
    assert!(errors.to_string().starts_with("line 2: this is not TOML: "), "{errors}");
    let twice = format!("{SOUND}[family.backup]\n");
    let errors = Catalog::parse(&twice).unwrap_err();
    assert_eq!(errors.to_string(), "line 13: this is not TOML: duplicate key; correct it here");
}

#[rstest]
#[case("version = 1\n", "", "the catalog has no version; add version = 1 at the top")]
#[case(
    "version = 1\n",
    "version = 2\n",
    "line 1: the version of the catalog is not 1, and no other is known; write version = 1"
)]
#[case(
    "version = 1\n",
    "version = \"1\"\n",
    "line 1: version of the catalog is a string; write version = 1"
)]
#[case(
    "[family.backup]\n",
    "[family.backup]\nreviews = \"auto\"\n",
    "line 5: family \"backup\" has an unknown key \"reviews\"; did you mean `review`?"
)]
#[case(
    "version = 1\n",
    "version = 1\nworkspace = 1\n",
    "line 2: the catalog has an unknown key \"workspace\"; remove it; known here are version, \
     family, operation"
)]
#[case(
    "{ en = \"Unclassified\", ",
    "{ en = \"Unclassified\", french = \"Non classé\", ",
    "line 3: the title of family \"unclassified\" has an unknown key \"french\"; remove it; known \
     here are en, de"
)]
#[case(
    "family = \"backup\"\n",
    "",
    "line 9: operation \"backup.create\" has no family; add family = \"…\", or family = \
     \"unclassified\" if none fits"
)]
#[case(
    "family = \"backup\"\n",
    "family = \"bakcup\"\n",
    "line 10: operation \"backup.create\" names the family \"bakcup\", which is not defined; did \
     you mean \"backup\"?"
)]
#[case(
    "family = \"backup\"\n",
    "family = \"delivery\"\n",
    "line 10: operation \"backup.create\" names the family \"delivery\", which is not defined; \
     define it as [family.…], or name one that is defined"
)]
#[case(
    "family = \"backup\"\n",
    "family = 3\n",
    "line 10: family of operation \"backup.create\" is a whole number; write family = \"…\", or \
     family = \"unclassified\" if none fits"
)]
#[case(
    "title = { en = \"Unclassified\", de = \"Nicht eingeordnet\" }\n",
    "",
    "line 2: family \"unclassified\" has no title; add title = { en = \"…\", de = \"…\" }"
)]
#[case(
    "title = { en = \"Unclassified\", de = \"Nicht eingeordnet\" }\n",
    "title = { en = \"Unclassified\" }\n",
    "line 3: the title of family \"unclassified\" has no de; add the German title: de = \"…\""
)]
#[case(
    "\"Nicht eingeordnet\"",
    "\" \"",
    "line 3: the title of family \"unclassified\" is empty; write the German title: de = \"…\""
)]
#[case(
    "queue_window = \"15m\"",
    "queue_window = \"15 minutes\"",
    "line 6: queue_window of family \"backup\": \"15 minutes\" is not a duration such as \"90s\", \
     \"15m\", \"6h\" or \"2d\"; write it so"
)]
#[case(
    "queue_window = \"15m\"",
    "queue_window = \"0s\"",
    "line 6: queue_window of family \"backup\" is zero; give it a length, or leave it out if it \
     is not known"
)]
#[case(
    "queue_window = \"15m\"",
    "queue_window = 15",
    "line 6: queue_window of family \"backup\" is a whole number; write a duration such as \
     queue_window = \"15m\""
)]
#[case(
    "queue_window = \"15m\"\nrun_window = \"2h\"\n",
    "",
    "line 6: family \"backup\" has an abandon_after but no window to be missed, so it could never \
     fire; add queue_window or run_window, or remove it"
)]
#[case(
    "[family.backup]",
    "run_window = \"1h\"\nabandon_after = \"1d\"\n[family.backup]",
    "line 5: family \"unclassified\" has an abandon_after, but what is unclassified is never given \
     up; remove it"
)]
#[case(
    "family = \"backup\"\n",
    "family = \"unclassified\"\nrun_window = \"1h\"\nabandon_after = \"1d\"\n",
    "line 12: operation \"backup.create\" has an abandon_after, but what is unclassified is never \
     given up; remove it"
)]
#[case(
    "run_window = \"2h\"\n",
    "run_window = \"2h\"\nsupersession = \"run\"\n",
    "line 8: supersession of family \"backup\" is \"run\", which is none; write supersession = \
     \"none\" or \"scope\" or \"subject\" or \"fingerprint\""
)]
#[case(
    "run_window = \"2h\"\n",
    "run_window = \"2h\"\ninformational = \"yes\"\n",
    "line 8: informational of family \"backup\" is a string; write informational = true or \
     informational = false, without quotes"
)]
#[case(
    "[family.backup]\n",
    "[family]\nempty = 1\n[family.backup]\n",
    "line 5: empty of the table `family` is a whole number; write a table for each family: \
     [family.\"name\"]"
)]
#[case(
    "[\"backup_create\"]",
    "[\n  \"backup_create\",\n  5,\n]",
    "line 14: aliases of operation \"backup.create\" contains a whole number; write aliases = \
     [\"other.name\"]"
)]
#[case(
    "[\"backup_create\"]",
    "[\"backup_create\", \"backup.create\"]",
    "line 12: operation \"backup.create\" has its own name as an alias; remove the alias"
)]
#[case(
    "[\"backup_create\"]",
    "[\n  \"b\",\n  \"b\",\n]",
    "line 14: alias \"b\" of operation \"backup.create\" is already taken by operation \
     \"backup.create\" on line 13; remove one of the two"
)]
#[case(
    "[\"backup_create\"]",
    "[\"\"]",
    "line 12: alias \"\" must not be empty; leave it out if there is nothing to say; write the name \
     as it arrives"
)]
#[case(
    "[\"backup_create\"]\n",
    "[\"b\"]\nadapter = \"restore..run\"\n",
    "line 13: \"restore..run\" is not an adapter name; write words of a-z, 0-9, _ and - with \
     dots between them, at most 100 bytes"
)]
fn a_mistake_is_named_with_its_line_and_what_to_do(
    #[case] old: &str,
    #[case] new: &str,
    #[case] expected: &str,
) {
    assert_refused(&replaced(old, new), &[expected]);
}

#[test]
fn an_alias_of_two_operations_or_that_is_an_operation_is_refused() {
    let text = format!(
        r#"{SOUND}[operation."backup.other"]
family = "backup"
title = {{ en = "B", de = "B" }}
aliases = ["backup_create", "backup.create"]
"#
    );
    assert_refused(
        &text,
        &[
            "line 16: alias \"backup_create\" of operation \"backup.other\" is already taken by \
             operation \"backup.create\" on line 12; remove one of the two",
            "line 16: alias \"backup.create\" of operation \"backup.other\" is itself an \
             operation; remove one of the two",
        ],
    );
}

#[rstest]
#[case("")]
#[case(".a")]
#[case("a.")]
#[case("a..b")]
#[case("aB")]
#[case("a b")]
#[case("Ä")]
#[case(&"a".repeat(101))]
fn a_name_that_is_not_dotted_lower_case_is_refused(#[case] name: &str) {
    let text = replaced("[operation.\"backup.create\"]", &format!("[operation.\"{name}\"]"));
    let errors = Catalog::parse(&text).unwrap_err();
    assert_eq!(errors.errors().len(), 1, "{errors}");
    assert_eq!(errors.errors()[0].line, Some(9));
    assert!(errors.to_string().contains("is not an operation name"), "{errors}");
}

#[test]
fn a_name_may_have_a_hundred_bytes() {
    let name = "a".repeat(100);
    let text = replaced("[operation.\"backup.create\"]", &format!("[operation.\"{name}\"]"));
    assert!(Catalog::parse(&text).unwrap().operation(&name).classified);
}

#[test]
fn a_dotted_name_without_quotes_is_told_about_the_quotes() {
    let text = replaced("[operation.\"backup.create\"]", "[operation.backup.create]");
    let errors = Catalog::parse(&text).unwrap_err();
    assert!(
        errors.to_string().contains(
            "line 9: operation \"backup\" has an unknown key \"create\"; if it is part of a \
             dotted name, put the whole name in quotes"
        ),
        "{errors}"
    );
}

#[test]
fn a_window_of_the_operation_itself_can_be_missed_and_of_its_family_too() {
    let operation = |lines: &str| {
        format!(
            "{SOUND}[family.bare]\ntitle = {{ en = \"B\", de = \"B\" }}\n[operation.o]\nfamily = \
             \"bare\"\ntitle = {{ en = \"O\", de = \"O\" }}\nabandon_after = \"1d\"\n{lines}"
        )
    };
    assert!(Catalog::parse(&operation("queue_window = \"1m\"\n")).is_ok());
    assert_refused(
        &operation(""),
        &["line 18: operation \"o\" has an abandon_after but no window to be missed, so it could \
           never fire; add queue_window or run_window, or remove it"],
    );
    let inherited = operation("").replace("\"bare\"", "\"backup\"");
    assert!(Catalog::parse(&inherited).is_ok());
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_lines() {
    let text = SOUND
        .replace("version = 1\n", "# no version\n")
        .replace("\"2h\"", "\"soon\"")
        .replace("family = \"backup\"", "family = \"backups\"")
        .replace("[\"backup_create\"]", "[\"backup.create\"]");
    let errors = Catalog::parse(&text).unwrap_err();
    let lines: Vec<Option<usize>> = errors.errors().iter().map(|error| error.line).collect();
    assert_eq!(lines, [None, Some(7), Some(10), Some(12)]);
    assert_eq!(errors.to_string().lines().count(), 4);
}

#[test]
fn a_catalog_that_would_not_fit_in_one_event_is_refused() {
    let long = |length: usize, filler: &str| {
        let mut text = SOUND.to_owned();
        while text.len() + filler.len() < length {
            text.push_str(filler);
        }
        text
    };
    let comment = "# a comment of thirty-two bytes\n";
    assert!(Catalog::parse(&long(MAX_TEXT_BYTES, comment)).is_ok());
    let errors = Catalog::parse(&long(MAX_TEXT_BYTES + 64, comment)).unwrap_err();
    assert!(errors.to_string().contains("49152 is the limit"), "{errors}");
    let errors = Catalog::parse(&long(MAX_TEXT_BYTES, "\n")).unwrap_err();
    assert!(errors.to_string().contains("61440 is the limit"), "{errors}");
    let largest = long(MAX_TEXT_BYTES, comment);
    assert!(serde_json::to_string(&largest).unwrap().len() <= 60 * 1024);
}
