//! What a catalog file must be (DESIGN section 4): each rule, and what its breach is called.
//!
//! A broken part is noted and filled with a stand-in, so that the rest is still looked at. No
//! catalog leaves here while anything was noted.

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use toml::de::DeTable;

use super::section::{Located, Problems, Section, nearest, quoted};
use super::{
    Catalog, CatalogErrors, CurrentState, Entry, Family, Lifecycle, MAX_NAME_BYTES, MAX_TEXT_BYTES,
    OperationScope, Review, Supersession, Title, UNCLASSIFIED,
};
use crate::time::Span;
use crate::words::Name;

/// The longest catalog as a JSON string, in bytes. An event has 65,535 and needs a few for itself;
/// a short text full of quotes could otherwise still be too long for one.
const MAX_JSON_BYTES: usize = 60 * 1024;

const FAMILY_KEYS: [&str; 8] = [
    "title",
    "supersession",
    "current_state",
    "review",
    "informational",
    "queue_window",
    "run_window",
    "abandon_after",
];
const OPERATION_KEYS: [&str; 9] = [
    "family",
    "title",
    "aliases",
    "scope",
    "adapter",
    "artifact",
    "queue_window",
    "run_window",
    "abandon_after",
];

const TITLE: &str = "title = { en = \"…\", de = \"…\" }";
const ALIASES: &str = "aliases = [\"other.name\"]";

pub(super) const SUPERSESSION: [(&str, Supersession); 4] = [
    ("none", Supersession::None),
    ("scope", Supersession::Scope),
    ("subject", Supersession::Subject),
    ("fingerprint", Supersession::Fingerprint),
];
pub(super) const CURRENT_STATE: [(&str, CurrentState); 2] =
    [("none", CurrentState::None), ("subject", CurrentState::Subject)];
pub(super) const REVIEW: [(&str, Review); 2] = [("auto", Review::Auto), ("manual", Review::Manual)];
pub(super) const SCOPE: [(&str, OperationScope); 2] =
    [("environment", OperationScope::Environment), ("workspace", OperationScope::Workspace)];

pub(super) fn catalog(text: &str) -> Result<Catalog, CatalogErrors> {
    let mut problems = Problems::of(text);
    check_length(text, &mut problems);
    if !problems.is_empty() {
        return Err(problems.into_errors());
    }
    let (document, syntax_errors) = DeTable::parse_recoverable(text);
    if !syntax_errors.is_empty() {
        return Err(not_toml(&syntax_errors, problems));
    }
    let file = Section::file(document.get_ref());
    file.only(&["version", "family", "operation"], &mut problems);
    let version = version(&file, &mut problems);
    let mut families = families(&file, &mut problems);
    let unclassified = place_of_unclassified(&mut families);
    let drafts = operations(&file, &families, unclassified, &mut problems);
    let names = names(&drafts, &mut problems);
    if !problems.is_empty() {
        return Err(problems.into_errors());
    }
    Ok(Catalog {
        text: text.to_owned(),
        version,
        sha256: Sha256::digest(text).into(),
        families,
        operations: drafts.into_iter().map(|draft| draft.entry).collect(),
        names,
        unclassified,
    })
}

/// An operation, with the lines of its names.
struct Draft<'a> {
    entry: Entry,
    line: Option<usize>,
    aliases: Vec<Located<&'a str>>,
}

fn check_length(text: &str, problems: &mut Problems) {
    let escaped = text.bytes().filter(|byte| matches!(byte, b'"' | b'\\' | b'\n' | b'\r' | b'\t'));
    let json = text.len() + escaped.count();
    if text.len() > MAX_TEXT_BYTES {
        let length = text.len();
        problems.add(
            None,
            format!(
                "the catalog is {length} bytes long, and {MAX_TEXT_BYTES} is the limit, because it \
                 must fit in one event; shorten it"
            ),
        );
    } else if json > MAX_JSON_BYTES {
        problems.add(
            None,
            format!(
                "the catalog is {json} bytes long as JSON, and {MAX_JSON_BYTES} is the limit, \
                 because it must fit in one event; shorten it, or use fewer quotes and lines"
            ),
        );
    }
}

/// What the TOML reader found. One mistake often leads to more, so each line is named once.
fn not_toml(errors: &[toml::de::Error], mut problems: Problems) -> CatalogErrors {
    let mut last = None;
    for error in errors {
        let line = error.span().map(|span| problems.line_at(span.start));
        if last != Some(line) {
            problems.add(line, format!("this is not TOML: {}; correct it here", error.message()));
        }
        last = Some(line);
    }
    problems.into_errors()
}

fn version(file: &Section<'_>, problems: &mut Problems) -> u32 {
    if !file.has("version") {
        problems.add(None, "the catalog has no version; add version = 1 at the top".to_owned());
    }
    if let Some(version) = file.number("version", "version = 1", problems)
        && version.value != 1
    {
        let message = "the version of the catalog is not 1, and no other is known; \
                       write version = 1";
        problems.add(Some(version.line), message.to_owned());
    }
    1
}

fn families(file: &Section<'_>, problems: &mut Problems) -> Vec<(String, Family)> {
    let mut families = Vec::new();
    for (name, section) in file.sections("family", "family", problems) {
        if let Some(line) = section.line {
            check_name("a family name", &Located { value: name, line }, problems);
        }
        families.push((name.to_owned(), family(name, &section, problems)));
    }
    families
}

/// Where the family [`UNCLASSIFIED`] is. It takes every operation that is not in the file, so it is
/// there even if the file says nothing of it: then it has no windows, and nothing supersedes.
fn place_of_unclassified(families: &mut Vec<(String, Family)>) -> usize {
    families.iter().position(|(name, _)| name == UNCLASSIFIED).unwrap_or_else(|| {
        let title = Title { en: "Unclassified".to_owned(), de: "Nicht eingeordnet".to_owned() };
        families.push((UNCLASSIFIED.to_owned(), Family { title, ..Family::default() }));
        families.len() - 1
    })
}

fn family(name: &str, section: &Section<'_>, problems: &mut Problems) -> Family {
    section.only(&FAMILY_KEYS, problems);
    let windows = Windows::of(section, problems);
    if name == UNCLASSIFIED {
        windows.refuse_abandonment(section, problems);
    } else {
        windows.refuse_idle_abandonment(section, windows.lifecycle, problems);
    }
    Family {
        title: title(section, problems),
        supersession: section.choice("supersession", &SUPERSESSION, problems).unwrap_or_default(),
        current_state: section
            .choice("current_state", &CURRENT_STATE, problems)
            .unwrap_or_default(),
        review: section.choice("review", &REVIEW, problems).unwrap_or_default(),
        informational: section.flag("informational", problems).is_some_and(|flag| flag.value),
        lifecycle: windows.lifecycle,
    }
}

fn operations<'a>(
    file: &Section<'a>,
    families: &[(String, Family)],
    unclassified: usize,
    problems: &mut Problems,
) -> Vec<Draft<'a>> {
    let mut drafts = Vec::new();
    for (name, section) in file.sections("operation", "operation", problems) {
        if let Some(line) = section.line {
            check_name("an operation name", &Located { value: name, line }, problems);
        }
        section.only(&OPERATION_KEYS, problems);
        let family = family_of(&section, families, problems);
        let own = Windows::of(&section, problems);
        let inherited = family.map(|place| families[place].1.lifecycle).unwrap_or_default();
        let lifecycle = own.lifecycle.or(inherited);
        if family == Some(unclassified) {
            own.refuse_abandonment(&section, problems);
        } else if family.is_some() {
            own.refuse_idle_abandonment(&section, lifecycle, problems);
        }
        let aliases = section.list("aliases", ALIASES, problems);
        for alias in &aliases {
            check_alias(alias, problems);
        }
        let entry = Entry {
            name: name.to_owned(),
            title: title(&section, problems),
            aliases: aliases.iter().map(|alias| alias.value.to_owned()).collect(),
            scope: section.choice("scope", &SCOPE, problems).unwrap_or_default(),
            adapter: reference("adapter", "an adapter name", &section, problems),
            artifact: reference("artifact", "an artifact type", &section, problems),
            // Without a family this is never looked up: the catalog is refused.
            family: family.unwrap_or_default(),
            lifecycle,
        };
        drafts.push(Draft { entry, line: section.line, aliases });
    }
    drafts
}

fn family_of(
    section: &Section<'_>,
    families: &[(String, Family)],
    problems: &mut Problems,
) -> Option<usize> {
    let example = format!("family = \"…\", or family = {UNCLASSIFIED:?} if none fits");
    let given = section.required_text("family", &example, problems)?;
    let found = families.iter().position(|(name, _)| name == given.value);
    if found.is_none() {
        let known = families.iter().map(|(name, _)| name.as_str());
        let advice = match nearest(given.value, known) {
            Some(near) => format!("did you mean {near:?}?"),
            None => "define it as [family.…], or name one that is defined".to_owned(),
        };
        let (what, family) = (&section.what, quoted(given.value));
        let message = format!("{what} names the family {family}, which is not defined; {advice}");
        problems.add(Some(given.line), message);
    }
    found
}

/// Every canonical name and alias with the place of its operation; no name may mean two things.
fn names(drafts: &[Draft<'_>], problems: &mut Problems) -> HashMap<String, usize> {
    let mut taken: HashMap<&str, (usize, Option<usize>)> = HashMap::new();
    for (place, draft) in drafts.iter().enumerate() {
        taken.insert(&draft.entry.name, (place, draft.line));
    }
    for (place, draft) in drafts.iter().enumerate() {
        for alias in &draft.aliases {
            let Some(&(holder, line)) = taken.get(alias.value) else {
                taken.insert(alias.value, (place, Some(alias.line)));
                continue;
            };
            let holder = &drafts[holder].entry.name;
            let message = refused_alias(&draft.entry.name, alias.value, holder, line);
            problems.add(Some(alias.line), message);
        }
    }
    taken.into_iter().map(|(name, (place, _))| (name.to_owned(), place)).collect()
}

fn refused_alias(operation: &str, alias: &str, holder: &str, line: Option<usize>) -> String {
    let (name, owner) = (quoted(alias), quoted(operation));
    if alias == operation {
        return format!("operation {owner} has its own name as an alias; remove the alias");
    }
    if alias == holder {
        return format!(
            "alias {name} of operation {owner} is itself an operation; remove one of the two"
        );
    }
    let line = line.map(|line| format!(" on line {line}")).unwrap_or_default();
    let holder = quoted(holder);
    format!(
        "alias {name} of operation {owner} is already taken by operation {holder}{line}; \
         remove one of the two"
    )
}

fn title(section: &Section<'_>, problems: &mut Problems) -> Title {
    if !section.has("title") {
        problems.add(section.line, format!("{} has no title; add {TITLE}", section.what));
    }
    let what = format!("the title of {}", section.what);
    let Some(title) = section.section("title", what, TITLE, problems) else {
        return Title::default();
    };
    title.only(&["en", "de"], problems);
    let mut in_language = |key, example| {
        let text = title.required_text(key, example, problems)?;
        if text.value.trim().is_empty() {
            problems.add(Some(text.line), format!("{} is empty; write {example}", title.what));
        }
        Some(text.value.to_owned())
    };
    Title {
        en: in_language("en", "the English title: en = \"…\"").unwrap_or_default(),
        de: in_language("de", "the German title: de = \"…\"").unwrap_or_default(),
    }
}

fn reference(
    key: &str,
    noun: &str,
    section: &Section<'_>,
    problems: &mut Problems,
) -> Option<String> {
    let given = section.text(key, &format!("{key} = \"some.name\""), problems)?;
    check_name(noun, &given, problems);
    Some(given.value.to_owned())
}

fn check_name(noun: &str, name: &Located<&str>, problems: &mut Problems) {
    let is_letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(is_letter);
    if name.value.len() <= MAX_NAME_BYTES && name.value.split('.').all(is_word) {
        return;
    }
    let message = format!(
        "{} is not {noun}; write words of a-z, 0-9, _ and - with dots between them, at most \
         {MAX_NAME_BYTES} bytes",
        quoted(name.value)
    );
    problems.add(Some(name.line), message);
}

/// An alias stands for a name that arrives, and other systems name their jobs as they like.
fn check_alias(alias: &Located<&str>, problems: &mut Problems) {
    if let Err(error) = Name::new(alias.value) {
        let message =
            format!("alias {} {error}; write the name as it arrives", quoted(alias.value));
        problems.add(Some(alias.line), message);
    }
}

/// The windows of a family or operation as its own table has them.
struct Windows {
    lifecycle: Lifecycle,
    abandon_line: Option<usize>,
}

impl Windows {
    fn of(section: &Section<'_>, problems: &mut Problems) -> Self {
        let mut window = |key| window(key, section, problems);
        let (queue, run) = (window("queue_window"), window("run_window"));
        let abandon = window("abandon_after");
        Windows {
            abandon_line: abandon.as_ref().map(|located| located.line),
            lifecycle: Lifecycle {
                queue_window: queue.map(|located| located.value),
                run_window: run.map(|located| located.value),
                abandon_after: abandon.map(|located| located.value),
            },
        }
    }

    /// Nothing may give up a run that nobody has classified (DESIGN section 5).
    fn refuse_abandonment(&self, section: &Section<'_>, problems: &mut Problems) {
        if self.abandon_line.is_some() {
            let what = &section.what;
            let message = format!(
                "{what} has an abandon_after, but what is {UNCLASSIFIED} is never given up; \
                 remove it"
            );
            problems.add(self.abandon_line, message);
        }
    }

    /// `abandon_after` counts from a missed deadline; without a window there is none to miss.
    fn refuse_idle_abandonment(
        &self,
        section: &Section<'_>,
        in_force: Lifecycle,
        problems: &mut Problems,
    ) {
        let tried = section.has("queue_window") || section.has("run_window");
        if self.abandon_line.is_some() && !in_force.has_window() && !tried {
            let message = format!(
                "{} has an abandon_after but no window to be missed, so it could never fire; add \
                 queue_window or run_window, or remove it",
                section.what
            );
            problems.add(self.abandon_line, message);
        }
    }
}

fn window(key: &str, section: &Section<'_>, problems: &mut Problems) -> Option<Located<Span>> {
    let given = section.text(key, &format!("a duration such as {key} = \"15m\""), problems)?;
    let what = &section.what;
    match given.value.parse() {
        Ok(Span::ZERO) => {
            let message = format!(
                "{key} of {what} is zero; give it a length, or leave it out if it is not known"
            );
            problems.add(Some(given.line), message);
            None
        }
        Ok(value) => Some(Located { value, line: given.line }),
        Err(error) => {
            let message = format!("{key} of {what}: {error}; write it so");
            problems.add(Some(given.line), message);
            None
        }
    }
}
