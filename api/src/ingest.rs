//! The ways in: from the bytes that a client sent to what is asked of the ledger.
//!
//! Pure functions, one module for each wire contract. They know no HTTP, no database and no clock.
//! What they keep true: a bad item never harms a good one, and an error says what is wrong, where,
//! and what to do. What is *decided* about a submission is the ledger's matter, not theirs.

pub mod native;
pub mod openlineage;
mod split;

pub(crate) use split::trimmed;

use runledger_ledger::event::Actor;
use runledger_ledger::words::Name;

/// Most bytes of a request, after it has been inflated.
pub const REQUEST_BYTES: usize = 8 * 1024 * 1024;
/// Most events of a request.
pub const REQUEST_EVENTS: usize = 5_000;
/// Most bytes of one native event, as it was sent.
pub const EVENT_BYTES: usize = 64 * 1024;
/// Most objects and lists inside each other in one native event, itself counted.
pub const EVENT_DEPTH: usize = runledger_ledger::canonical::DEEPEST;

/// The reason code of a failure whose source gives none.
const UNSPECIFIED: &str = "unspecified";

/// Who calls: what an event that names no actor and no source is recorded with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Caller<'a> {
    /// The one that the token stands for.
    pub actor: Option<&'a Actor>,
    /// The source that the token is bound to.
    pub source: Option<&'a Name>,
    /// Whether it may name any other actor. Otherwise it may name none that the ledger itself
    /// vouches for: a person, a token, an adapter, a part of the ledger, the administrator.
    pub vouches: bool,
}

impl Caller<'_> {
    /// Whether an event of this caller may name `actor`.
    fn may_name(&self, actor: &Actor) -> bool {
        let kind = actor.kind.as_str();
        let vouched = matches!(kind, "person" | "token" | "adapter" | "system" | "administrator");
        // Nothing that only looks like one of these.
        let plain = kind.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte)
        });
        self.vouches || self.actor == Some(actor) || (plain && !vouched)
    }
}

/// Why a whole body was not looked at. Nothing of it was taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is empty.
    #[error("the body is empty; send {0}")]
    Empty(&'static str),
    /// It has too many bytes.
    #[error("the body has more than {REQUEST_BYTES} bytes; send several requests")]
    TooLarge,
    /// It has too many events.
    #[error("the body has more than {REQUEST_EVENTS} events; send several requests")]
    TooMany,
    /// Its items cannot be told apart, or it is one item that is no JSON.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// It is JSON, but nothing that events can be in.
    #[error("the body must be {0}")]
    WrongShape(&'static str),
}

impl BodyError {
    /// The stable code of the error.
    pub const fn code(&self) -> &'static str {
        match self {
            BodyError::Empty(_) => "empty_body",
            BodyError::TooLarge => "body_too_large",
            BodyError::TooMany => "too_many_events",
            BodyError::NotJson(_) => "not_json",
            BodyError::WrongShape(_) => "wrong_body_shape",
        }
    }

    /// The HTTP status that says it.
    pub const fn status(&self) -> u16 {
        match self {
            BodyError::TooLarge | BodyError::TooMany => 413,
            BodyError::Empty(_) | BodyError::NotJson(_) | BodyError::WrongShape(_) => 400,
        }
    }
}

/// Why one item cannot be taken. The others of its request can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ItemError {
    /// A stable word for programs.
    pub code: &'static str,
    /// What is wrong, where, and what to do.
    pub detail: String,
    /// Where in the item, as a JSON pointer (RFC 6901).
    pub pointer: Option<String>,
}

/// Most bytes of [`ItemError::detail`]: it may quote what was sent, but not all of it.
const DETAIL_BYTES: usize = 600;

impl ItemError {
    /// An error about the item as a whole.
    fn new(code: &'static str, detail: impl Into<String>) -> Self {
        ItemError { code, detail: cut(detail.into(), DETAIL_BYTES), pointer: None }
    }

    /// An error about what is at `pointer`.
    fn at(code: &'static str, pointer: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        let pointer = pointer.into();
        let detail = if pointer.is_empty() {
            problem.to_string()
        } else {
            format!("`{}`: {problem}", cut(pointer.clone(), 200))
        };
        ItemError { pointer: Some(pointer), ..ItemError::new(code, detail) }
    }

    /// The HTTP status that says it when the item was sent alone.
    pub fn status(&self) -> u16 {
        match self.code {
            "not_json" | "empty_body" => 400,
            "event_too_large" | "body_too_large" => 413,
            "no_run_id_made" => 503,
            "forbidden" => 403,
            _ => 422,
        }
    }
}

impl From<BodyError> for ItemError {
    /// Where the body is the item.
    fn from(error: BodyError) -> Self {
        ItemError::new(error.code(), error.to_string())
    }
}

/// What a parser says about half of a surrogate pair, in words that help; none of anything else.
fn half_of_a_pair(problem: &str) -> Option<&'static str> {
    let half = problem.contains("surrogate") || problem.contains("unexpected end of hex escape");
    half.then_some(
        "a \\u escape is half of a surrogate pair, which is no character; write both halves, or the \
         character itself",
    )
}

/// What a parser says, in words that also help those who do not know what it is written in.
pub(crate) fn plain(problem: &str) -> String {
    let mut plain = match problem.split_once("UUID parsing failed: ") {
        Some((before, _)) => {
            format!("{before}must be a UUID, such as 0195f3c0-0000-7000-8000-000000000001")
        }
        None => problem.to_owned(),
    };
    for (width, most) in [("u8", 255), ("u16", 65_535), ("u32", 4_294_967_295_u64)] {
        let number = format!("expected a whole number from 0 to {most}");
        plain = plain.replace(&format!("expected {width}"), &number);
    }
    let words = [
        ("expected u64", "expected a whole number that is not negative"),
        ("expected usize", "expected a whole number that is not negative"),
        ("expected i64", "expected a whole number"),
        ("expected f64", "expected a number"),
        ("invalid type: ", "found "),
        ("invalid value: ", "found "),
        ("unknown variant `", "there is no `"),
        ("missing field `", "the field is missing: `"),
    ];
    words.into_iter().fold(plain, |plain, (before, after)| plain.replace(before, after))
}

/// What a parser says of a text that is whole before its sender, with the place.
pub(crate) fn not_json(error: &serde_json::Error) -> String {
    match half_of_a_pair(&error.to_string()) {
        Some(half) => format!("{half} (line {}, column {})", error.line(), error.column()),
        None => error.to_string(),
    }
}

/// A word of our own that is a name.
fn word(text: &'static str) -> Result<Name, ItemError> {
    Name::new(text).map_err(|problem| ItemError::new("internal", format!("{text:?} {problem}")))
}

/// `text`, at most `most` bytes of it, cut between characters.
fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_parser_says_is_told_without_the_words_of_its_language() {
        for (problem, told) in [
            (
                "unknown variant `sleeping`, expected `queued` or `running`",
                "there is no `sleeping`, expected `queued` or `running`",
            ),
            (
                "invalid type: string \"x\", expected u16",
                "found string \"x\", expected a whole number from 0 to 65535",
            ),
            (
                "invalid value: integer `-1`, expected u64",
                "found integer `-1`, expected a whole number that is not negative",
            ),
            ("missing field `reason`", "the field is missing: `reason`"),
            (
                "UUID parsing failed: invalid length",
                "must be a UUID, such as 0195f3c0-0000-7000-8000-000000000001",
            ),
        ] {
            assert_eq!(plain(problem), told);
        }
    }
}
