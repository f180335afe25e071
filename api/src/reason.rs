//! Why somebody does something, as it is sent: the log keeps it, so it must say something.

use runledger_ledger::words::Note;
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
    if note.as_str().trim().is_empty() {
        return Err(de::Error::custom("a reason of blanks says nothing; write why"));
    }
    Ok(note)
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
        for refused in [r#"{}"#, r#"{"why": " "}"#, r#"{"why": "\t"}"#] {
            read(refused).unwrap_err();
        }
    }
}
