//! Typed reading of the tables of a TOML file, with the line of everything that is read.
//!
//! Knows TOML and how to complain; knows nothing of operations and families.

use std::borrow::Cow;

use toml::de::{DeTable, DeValue};

use super::{CatalogError, CatalogErrors, MAX_NAME_BYTES};

/// Collects what is wrong with a text.
pub(super) struct Problems {
    /// The byte at which each line after the first begins.
    line_starts: Vec<usize>,
    found: Vec<CatalogError>,
}

impl Problems {
    pub(super) fn of(text: &str) -> Self {
        let line_starts = text.match_indices('\n').map(|(at, _)| at + 1).collect();
        Problems { line_starts, found: Vec::new() }
    }

    /// The line, counted from 1, of the byte at `offset`.
    pub(super) fn line_at(&self, offset: usize) -> usize {
        1 + self.line_starts.partition_point(|&start| start <= offset)
    }

    pub(super) fn add(&mut self, line: Option<usize>, message: String) {
        self.found.push(CatalogError { line, message });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The problems in the order of their lines.
    pub(super) fn into_errors(mut self) -> CatalogErrors {
        self.found.sort_by_key(|error| error.line);
        CatalogErrors(self.found)
    }
}

/// A value and the line of its key.
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) line: usize,
}

/// One table of the file, and the words for it in a complaint.
pub(super) struct Section<'a> {
    pub(super) what: String,
    /// None for the file itself.
    pub(super) line: Option<usize>,
    table: &'a DeTable<'a>,
}

impl<'a> Section<'a> {
    pub(super) fn file(table: &'a DeTable<'a>) -> Self {
        Section { what: "the catalog".to_owned(), line: None, table }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Refuses every key that is not one of `known`.
    pub(super) fn only(&self, known: &[&str], problems: &mut Problems) {
        for (key, value) in self.table {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let advice = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if value.get_ref().is_table() && self.line.is_some() => {
                    "if it is part of a dotted name, put the whole name in quotes".to_owned()
                }
                None => format!("remove it; known here are {}", known.join(", ")),
            };
            let line = problems.line_at(key.span().start);
            let message = format!("{} has an unknown key {}; {advice}", self.what, quoted(name));
            problems.add(Some(line), message);
        }
    }

    /// A string that must be there. `example` is what to write instead.
    pub(super) fn required_text(
        &self,
        key: &str,
        example: &str,
        problems: &mut Problems,
    ) -> Option<Located<&'a str>> {
        if !self.has(key) {
            problems.add(self.line, format!("{} has no {key}; add {example}", self.what));
        }
        self.text(key, example, problems)
    }

    /// A string.
    pub(super) fn text(
        &self,
        key: &str,
        example: &str,
        problems: &mut Problems,
    ) -> Option<Located<&'a str>> {
        self.take(key, example, problems, DeValue::as_str)
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &str, problems: &mut Problems) -> Option<Located<bool>> {
        let example = format!("{key} = true or {key} = false, without quotes");
        self.take(key, &example, problems, DeValue::as_bool)
    }

    /// A whole number.
    pub(super) fn number(
        &self,
        key: &str,
        example: &str,
        problems: &mut Problems,
    ) -> Option<Located<i64>> {
        self.take(key, example, problems, |value| {
            let number = value.as_integer()?;
            // What does not fit is as wrong as any other number that nobody expects.
            Some(i64::from_str_radix(number.as_str(), number.radix()).unwrap_or(i64::MAX))
        })
    }

    /// One of a few words. Any other is refused.
    pub(super) fn choice<T: Copy>(
        &self,
        key: &str,
        words: &[(&str, T)],
        problems: &mut Problems,
    ) -> Option<T> {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let example = format!("{key} = \"{}\"", known.join("\" or \""));
        let given = self.text(key, &example, problems)?;
        let chosen = words.iter().find(|(word, _)| *word == given.value).map(|(_, choice)| *choice);
        if chosen.is_none() {
            let (what, word) = (&self.what, quoted(given.value));
            let message = format!("{key} of {what} is {word}, which is none; write {example}");
            problems.add(Some(given.line), message);
        }
        chosen
    }

    /// A list of strings, each with its own line.
    pub(super) fn list(
        &self,
        key: &str,
        example: &str,
        problems: &mut Problems,
    ) -> Vec<Located<&'a str>> {
        let Some(list) = self.take(key, example, problems, DeValue::as_array) else {
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in list.value.iter() {
            let line = problems.line_at(item.span().start);
            match item.get_ref().as_str() {
                Some(value) => texts.push(Located { value, line }),
                None => {
                    let (what, kind) = (&self.what, kind(item.get_ref()));
                    let message = format!("{key} of {what} contains {kind}; write {example}");
                    problems.add(Some(line), message);
                }
            }
        }
        texts
    }

    /// The table under `key`; `what` names it in a complaint.
    pub(super) fn section(
        &self,
        key: &str,
        what: String,
        example: &str,
        problems: &mut Problems,
    ) -> Option<Section<'a>> {
        let table = self.take(key, example, problems, DeValue::as_table)?;
        Some(Section { what, line: Some(table.line), table: table.value })
    }

    /// The tables of the table under `key`, with their names; `noun` says what each is.
    pub(super) fn sections(
        &self,
        key: &str,
        noun: &str,
        problems: &mut Problems,
    ) -> Vec<(&'a str, Section<'a>)> {
        let example = format!("a table for each {noun}: [{key}.\"name\"]");
        let Some(group) = self.section(key, format!("the table `{key}`"), &example, problems)
        else {
            return Vec::new();
        };
        let mut sections = Vec::new();
        for key in group.table.keys() {
            let name: &'a str = key.get_ref();
            let what = format!("{noun} {}", quoted(name));
            if let Some(section) = group.section(name, what, &example, problems) {
                sections.push((name, section));
            }
        }
        sections
    }

    /// The value under `key`, if `pick` takes it; a value of another kind is refused.
    fn take<T>(
        &self,
        key: &str,
        example: &str,
        problems: &mut Problems,
        pick: impl Fn(&'a DeValue<'a>) -> Option<T>,
    ) -> Option<Located<T>> {
        let (place, value) = self.table.get_key_value(key)?;
        let line = problems.line_at(place.span().start);
        match pick(value.get_ref()) {
            Some(value) => Some(Located { value, line }),
            None => {
                let (what, kind) = (&self.what, kind(value.get_ref()));
                let message = format!("{} of {what} is {kind}; write {example}", shown(key));
                problems.add(Some(line), message);
                None
            }
        }
    }
}

/// A text from the file as it may stand in a complaint: in quotes, escaped, cut where it is long.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 100;
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{:?}", format!("{}…", &text[..cut])),
        None => format!("{text:?}"),
    }
}

/// The one of `known` that is most like `text`, if one is much like it. What is too long to be a
/// name is like nothing.
pub(super) fn nearest<'k>(text: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if text.len() > MAX_NAME_BYTES {
        return None;
    }
    let limit = (text.len() / 3).clamp(1, 4);
    known
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(text.len()) <= limit)
        .map(|candidate| (edits(text.as_bytes(), candidate.as_bytes()), candidate))
        .filter(|(edits, _)| *edits <= limit)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// How many bytes must be put in, taken out or replaced to make `a` of `b` (Levenshtein).
fn edits(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// A key as it may stand in a complaint: those that we know go without quotes.
fn shown(key: &str) -> Cow<'_, str> {
    let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if plain { Cow::Borrowed(key) } else { Cow::Owned(quoted(key)) }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
