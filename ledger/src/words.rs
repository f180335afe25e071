//! The words of the ledger (DESIGN section 1): names, subjects, scopes, statuses and outcomes.
//!
//! What a source may send is limited here, where it is read, so that nothing behind this page has
//! to think of empty names, control characters or megabytes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// Most bytes of a [`Name`].
pub const NAME_BYTES: usize = 255;
/// Most bytes of a [`Note`].
pub const NOTE_BYTES: usize = 4_096;

/// A text that is too long, empty or holds control characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// Nothing is in it.
    #[error("must not be empty; leave it out if there is nothing to say")]
    Empty,
    /// It is longer than the ledger keeps.
    #[error("is {length} bytes long; at most {most} may come")]
    TooLong {
        /// Bytes that came.
        length: usize,
        /// Bytes that may come.
        most: usize,
    },
    /// It holds a control character.
    #[error("holds the control character U+{0:04X}; remove it")]
    Control(u32),
    /// It is not of the form `type/id`.
    #[error("must have the form type/id")]
    NoSubject,
}

fn check(text: &str, most: usize, may_break_lines: bool) -> Result<(), WordError> {
    if text.is_empty() {
        return Err(WordError::Empty);
    }
    if text.len() > most {
        return Err(WordError::TooLong { length: text.len(), most });
    }
    let bad = |c: &char| c.is_control() && !(may_break_lines && matches!(c, '\n' | '\t' | '\r'));
    match text.chars().find(bad) {
        Some(c) => Err(WordError::Control(u32::from(c))),
        None => Ok(()),
    }
}

macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $most:expr, $lines:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Box<str>);

        impl $name {
            /// Takes `text` if it is short enough and clean.
            pub fn new(text: impl AsRef<str>) -> Result<Self, WordError> {
                check(text.as_ref(), $most, $lines)?;
                Ok($name(text.as_ref().into()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = WordError;

            fn from_str(text: &str) -> Result<Self, WordError> {
                $name::new(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                $name::new(text).map_err(serde::de::Error::custom)
            }
        }
    };
}

word! {
    /// A name of something: 1 to 255 bytes on one line, no control characters.
    Name, NAME_BYTES, false
}
word! {
    /// A sentence or two for people: 1 to 4,096 bytes, line breaks allowed.
    Note, NOTE_BYTES, true
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map($name)
            }
        }
    };
}

id! {
    /// A tenant: the unit of isolation, of ordering and of verification.
    WorkspaceId
}
id! {
    /// One execution; the client's own UUID or one that the ledger makes.
    RunId
}

/// What a run acts on, written `type/id` where it stands in one string.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Its id among the subjects of its type.
    pub id: Name,
    /// Its type, such as `provider_connection`.
    #[serde(rename = "type")]
    pub kind: Name,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.id)
    }
}

impl FromStr for Subject {
    type Err = WordError;

    /// Reads `type/id`; the id may hold further slashes.
    fn from_str(text: &str) -> Result<Self, WordError> {
        let (kind, id) = text.split_once('/').ok_or(WordError::NoSubject)?;
        Ok(Subject { id: Name::new(id)?, kind: Name::new(kind)? })
    }
}

/// An enumeration of fixed words: the same in the database, in JSON and on the command line.
#[macro_export]
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            ::serde::Serialize, ::serde::Deserialize,
        )]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant),+
        }

        impl $name {
            /// Every one of them, in the order of the design.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The word that is stored, sent and shown to programs.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::words::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok($name::$variant),)+
                    _ => Err($crate::words::UnknownWord::new(text, &[$($text),+])),
                }
            }
        }
    };
}
pub use words;

/// A word that is none of those that may stand there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is none of {known}")]
pub struct UnknownWord {
    word: String,
    known: String,
}

impl UnknownWord {
    /// `word` came where one of `known` must stand.
    pub fn new(word: &str, known: &[&str]) -> Self {
        UnknownWord { word: word.chars().take(64).collect(), known: known.join(", ") }
    }
}

words! {
    /// Where a run stands in its life, as recorded.
    Status {
        /// Dispatched, not started.
        Queued = "queued",
        /// Started, not ended.
        Running = "running",
        /// Ended, one way or another.
        Completed = "completed",
    }
}

words! {
    /// How a run ended, as recorded.
    Outcome {
        /// It has not ended.
        Pending = "pending",
        /// It did what it was asked.
        Succeeded = "succeeded",
        /// It did a part.
        PartiallySucceeded = "partially_succeeded",
        /// Something that it needs was missing.
        Blocked = "blocked",
        /// It failed.
        Failed = "failed",
        /// Somebody stopped it.
        Cancelled = "cancelled",
        /// It ended, and nobody has said how.
        Unknown = "unknown",
    }
}

impl Outcome {
    /// Whether it is a *problem outcome* (DESIGN section 1).
    pub const fn is_problem(self) -> bool {
        match self {
            Outcome::PartiallySucceeded | Outcome::Blocked | Outcome::Failed | Outcome::Unknown => {
                true
            }
            Outcome::Pending | Outcome::Succeeded | Outcome::Cancelled => false,
        }
    }
}

words! {
    /// A report from a worker or a source.
    Signal {
        /// The run began.
        Started = "started",
        /// The run is alive.
        Heartbeat = "heartbeat",
        /// The run did what it was asked.
        Succeeded = "succeeded",
        /// The run failed, in part or whole, or was blocked.
        Failed = "failed",
        /// The run was stopped.
        Cancelled = "cancelled",
        /// The run ended; how is not known.
        Ended = "ended",
    }
}

words! {
    /// Which part of a run's identity an active run holds alone (DESIGN section 3, `unique`).
    UniqueMode {
        /// One active run a subject.
        Subject = "subject",
        /// One active run a fingerprint.
        Fingerprint = "fingerprint",
    }
}

/// `deserialize_with` for values by name. A name that comes twice is refused: of two values, one
/// would be lost.
pub fn each_once<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<Name, T>, D::Error> {
    struct EachOnce<T>(std::marker::PhantomData<T>);

    impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for EachOnce<T> {
        type Value = BTreeMap<Name, T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(
            self,
            mut members: A,
        ) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((name, value)) = members.next_entry::<Name, T>()? {
                if let Some((twice, _)) = map.remove_entry(&name) {
                    let problem = format!("duplicate field `{twice}`");
                    return Err(serde::de::Error::custom(problem));
                }
                map.insert(name, value);
            }
            Ok(map)
        }
    }

    deserializer.deserialize_map(EachOnce(std::marker::PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_clean_and_short() {
        assert!(Name::new("a b").is_ok());
        assert_eq!(Name::new(""), Err(WordError::Empty));
        assert_eq!(Name::new("a\nb"), Err(WordError::Control(10)));
        assert!(Note::new("a\nb").is_ok());
        assert!(matches!(Name::new("x".repeat(256)), Err(WordError::TooLong { .. })));
    }

    #[test]
    fn a_subject_is_written_as_it_is_read() {
        let subject: Subject = "job/a/b".parse().unwrap();
        assert_eq!((subject.kind.as_str(), subject.id.as_str()), ("job", "a/b"));
        assert_eq!(subject.to_string(), "job/a/b");
        assert!("job".parse::<Subject>().is_err());
        assert!("/x".parse::<Subject>().is_err());
    }

    #[test]
    fn words_are_the_same_in_text_and_in_json() {
        for outcome in Outcome::ALL {
            assert_eq!(outcome.as_str().parse::<Outcome>().as_ref(), Ok(outcome));
            let json = serde_json::to_value(outcome).unwrap();
            assert_eq!(json, serde_json::Value::String(outcome.to_string()));
        }
    }
}
