//! Reading the tables of a scenario file: strictly, with a line for every complaint.

use std::cell::RefCell;
use std::fmt::{self, Display};
use std::str::FromStr;

use toml::de::{DeArray, DeTable, DeValue};

/// One thing that is wrong with a scenario file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong there, and what to do.
    pub message: String,
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// A text that is read, and all that was found wrong with it so far.
pub(super) struct Reader {
    /// The byte at which each line after the first begins.
    line_starts: Vec<usize>,
    problems: RefCell<Vec<Problem>>,
}

impl Reader {
    pub(super) fn of(text: &str) -> Self {
        let line_starts = text.match_indices('\n').map(|(at, _)| at + 1).collect();
        Reader { line_starts, problems: RefCell::default() }
    }

    /// The line, counted from 1, of the byte at `offset`.
    pub(super) fn line(&self, offset: usize) -> usize {
        1 + self.line_starts.partition_point(|&start| start <= offset)
    }

    pub(super) fn complain(&self, line: usize, message: String) {
        self.problems.borrow_mut().push(Problem { line, message });
    }

    /// What was found wrong, in the order of the lines.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = self.problems.take();
        problems.sort_by_key(|problem| problem.line);
        problems
    }
}

/// A table of the file, and what to call it in a complaint.
pub(super) struct Table<'a> {
    pub(super) what: String,
    pub(super) line: usize,
    table: &'a DeTable<'a>,
    reader: &'a Reader,
}

impl<'a> Table<'a> {
    pub(super) fn file(table: &'a DeTable<'a>, reader: &'a Reader) -> Self {
        Table { what: "the file".to_owned(), line: 1, table, reader }
    }

    /// A complaint about this table.
    pub(super) fn complain(&self, line: usize, message: impl Display) {
        self.reader.complain(line, format!("{}: {message}", self.what));
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Refuses every key that is not one of `known`.
    pub(super) fn only(&self, known: &[&str]) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let line = self.reader.line(key.span().start);
                let known = known.join(", ");
                self.complain(line, format!("unknown key {name:?}; known here are {known}"));
            }
        }
    }

    /// The line of a key; that of the table if it has no such key.
    pub(super) fn line_of(&self, key: &str) -> usize {
        let found = self.table.get_key_value(key);
        found.map_or(self.line, |(key, _)| self.reader.line(key.span().start))
    }

    /// A string.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.take(key, "a string in quotes", DeValue::as_str)
    }

    /// A string that means something else.
    pub(super) fn word<T: FromStr<Err: Display>>(&self, key: &str) -> Option<T> {
        self.text(key)?
            .parse()
            .map_err(|error| self.complain(self.line_of(key), format!("{key}: {error}")))
            .ok()
    }

    /// A string that must be there.
    pub(super) fn required<T: FromStr<Err: Display>>(&self, key: &str) -> Option<T> {
        if !self.has(key) {
            self.complain(self.line, format!("{key} is missing"));
        }
        self.word(key)
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.take(key, "true or false, without quotes", DeValue::as_bool)
    }

    /// A whole number, zero or more.
    pub(super) fn count(&self, key: &str) -> Option<u64> {
        self.take(key, "a whole number, zero or more", whole)
    }

    /// A list of strings that mean something else.
    pub(super) fn words<T: FromStr<Err: Display>>(&self, key: &str) -> Option<Vec<T>> {
        let list = self.take(key, "a list of strings", texts)?;
        let word = |text: &str| {
            text.parse()
                .map_err(|error| self.complain(self.line_of(key), format!("{key}: {error}")))
                .ok()
        };
        Some(list.into_iter().filter_map(word).collect())
    }

    /// A table of pairs of whole numbers.
    pub(super) fn pairs(&self, key: &str) -> Option<Vec<(String, (u64, u64))>> {
        self.take(key, "a table such as { name = [1, 2] }", |value| {
            let pair = |value: &DeValue<'_>| {
                let pair: &DeArray<'_> = value.as_array()?;
                (pair.len() == 2)
                    .then(|| {
                        Some((whole(pair.first()?.get_ref())?, whole(pair.get(1)?.get_ref())?))
                    })
                    .flatten()
            };
            let table = value.as_table()?.iter();
            table
                .map(|(key, value)| Some((key.get_ref().to_string(), pair(value.get_ref())?)))
                .collect()
        })
    }

    /// The tables of a list under `key`, each called `noun` and its number.
    pub(super) fn tables(&self, key: &str, noun: &str) -> Vec<Table<'a>> {
        let list = self.take(key, "a list of tables", DeValue::as_array);
        let mut tables = Vec::new();
        for (place, item) in list.into_iter().flat_map(|list| list.iter()).enumerate() {
            let what = format!("{noun} {}", place + 1);
            let line = self.reader.line(item.span().start);
            match item.get_ref().as_table() {
                Some(table) => tables.push(Table { what, line, table, reader: self.reader }),
                None => self.reader.complain(line, format!("{what}: must be a table")),
            }
        }
        tables
    }

    fn take<T>(
        &self,
        key: &str,
        wanted: &str,
        pick: impl Fn(&'a DeValue<'a>) -> Option<T>,
    ) -> Option<T> {
        let picked = pick(self.table.get(key)?.get_ref());
        if picked.is_none() {
            self.complain(self.line_of(key), format!("{key} must be {wanted}"));
        }
        picked
    }
}

fn whole(value: &DeValue<'_>) -> Option<u64> {
    let number = value.as_integer()?;
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn texts<'a>(value: &'a DeValue<'a>) -> Option<Vec<&'a str>> {
    value.as_array()?.iter().map(|item| item.get_ref().as_str()).collect()
}
