//! What a value of each kind of evidence looks like. Strict, because there is no way back.

use runledger_ledger::time::{Moment, Span};

use crate::adapter::Kind;

/// Most entries of evidence in one decision.
pub const MOST_EVIDENCE: usize = 32;
/// Most bytes of an identifier.
const ID_BYTES: usize = 200;
/// Most bytes of a word.
const WORD_BYTES: usize = 64;
/// The largest number that canonical JSON keeps exact.
const MOST: i64 = (1 << 53) - 1;

/// Whether `text` is a plain word: what keys and reason codes are.
pub fn is_word(text: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.len() <= WORD_BYTES
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase())
        && text.bytes().all(rest)
}

/// The kind and what is taken for it, for whoever sent something else.
pub(super) const fn wanted(kind: Kind) -> &'static str {
    match kind {
        Kind::Id => "id (a text of at most 200 letters, digits and ._:/@#+-)",
        Kind::State => "state (a text of at most 64 letters, digits, _ and -, a letter first)",
        Kind::Count => "count (a whole number from 0 to 9007199254740991)",
        Kind::Hash => "hash (a text of 16 to 128 hexadecimal digits)",
        Kind::Time => "time (a text as in RFC 3339)",
        Kind::Duration => "duration (a text such as 90s or 15m)",
        Kind::Flag => "flag (true or false)",
    }
}

pub(super) fn is_text_of(kind: Kind, text: &str) -> bool {
    match kind {
        Kind::Id => is_id(text),
        Kind::State => is_state(text),
        Kind::Hash => is_hash(text),
        Kind::Time => text.len() <= WORD_BYTES && text.parse::<Moment>().is_ok(),
        Kind::Duration => text.len() <= WORD_BYTES && text.parse::<Span>().is_ok(),
        Kind::Count | Kind::Flag => false,
    }
}

pub(super) fn is_number_of(kind: Kind, number: i64) -> bool {
    kind == Kind::Count && (0..=MOST).contains(&number)
}

pub(super) fn is_flag(kind: Kind) -> bool {
    kind == Kind::Flag
}

fn is_id(text: &str) -> bool {
    let may = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/@#+-".contains(&byte);
    (1..=ID_BYTES).contains(&text.len()) && text.bytes().all(may)
}

fn is_state(text: &str) -> bool {
    let may = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    text.len() <= WORD_BYTES
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && text.bytes().all(may)
}

fn is_hash(text: &str) -> bool {
    let digits = match text.split_once(':') {
        Some((algorithm, digits)) if is_state(algorithm) => digits,
        Some(_) => return false,
        None => text,
    };
    (16..=128).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}
