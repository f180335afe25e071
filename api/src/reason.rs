//! Why somebody does something, as it is sent: the log keeps it, so it must say something.

use runledger_ledger::words::{Name, Note};
use serde::{Deserialize, Deserializer, de};
use utoipa::IntoParams;

/// Why something is done that says it nowhere else.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Because {
    /// Why, for the log of the workspace.
    #[serde(deserialize_with = "said")]
    #[param(value_type = String)]
    pub(crate) reason: Note,
}

/// A reason that is more than blanks.
pub(crate) fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Note, D::Error> {
    let note = Note::deserialize(deserializer)?;
    match says_something(note.as_str()) {
        true => Ok(note),
        false => Err(de::Error::custom(BLANK)),
    }
}

/// The same in a word.
pub(crate) fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
    let name = Name::deserialize(deserializer)?;
    match says_something(name.as_str()) {
        true => Ok(name),
        false => Err(de::Error::custom(BLANK)),
    }
}

/// What is answered to a reason that says nothing.
pub(crate) const BLANK: &str = "a reason of blanks says nothing; write why";

/// Whether there is a letter or a digit in it, of any script: signs that nobody sees are none.
pub(crate) fn says_something(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Asked {
        #[serde(deserialize_with = "said")]
        why: Note,
    }

    #[test]
    fn a_reason_is_more_than_blanks() {
        let read = |text| serde_json::from_str::<Asked>(text);
        assert_eq!(read(r#"{"why": " left us "}"#).unwrap().why.as_str(), " left us ");
        for refused in [r#"{}"#, r#"{"why": " "}"#, r#"{"why": "\t"}"#, "{\"why\": \"\u{200b}\"}"] {
            read(refused).unwrap_err();
        }
    }
}
