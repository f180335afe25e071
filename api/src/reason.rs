//! Why somebody does something, as it is sent: the log keeps it, so it must say something.

use runledger_ledger::words::Note;
use serde::{Deserialize, Deserializer, de};

/// A reason that is more than blanks.
pub(crate) fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Note, D::Error> {
    let note = Note::deserialize(deserializer)?;
    if note.as_str().trim().is_empty() {
        return Err(de::Error::custom("a reason of blanks says nothing; write why"));
    }
    Ok(note)
}

/// The same, where none need be given.
pub(crate) fn said_if_any<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Note>, D::Error> {
    said(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Asked {
        #[serde(deserialize_with = "said")]
        must: Note,
        #[serde(default, deserialize_with = "said_if_any")]
        may: Option<Note>,
    }

    #[test]
    fn a_reason_is_more_than_blanks_and_may_be_left_out_only_where_none_need_be_given() {
        let read = |text| serde_json::from_str::<Asked>(text);
        let asked = read(r#"{"must": " left us "}"#).unwrap();
        assert_eq!((asked.must.as_str(), asked.may), (" left us ", None));
        assert!(read(r#"{"must": "a", "may": "b"}"#).unwrap().may.is_some());
        for refused in [r#"{}"#, r#"{"must": " "}"#, r#"{"must": "a", "may": "\t"}"#] {
            read(refused).unwrap_err();
        }
    }
}
