//! Lengths of time as programs outside read them: whole seconds. For `#[serde(with = …)]`.

use runledger_ledger::time::Span;
use serde::{Deserialize, Deserializer, Serializer};

/// Writes a length of time, or nothing. What is less than a second is left out.
pub(crate) fn serialize<S: Serializer>(
    span: &Option<Span>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match span {
        Some(span) => serializer.serialize_i64(span.micros() / 1_000_000),
        None => serializer.serialize_none(),
    }
}

/// Reads a length of time, or nothing.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Span>, D::Error> {
    Ok(Option::<i64>::deserialize(deserializer)?.map(Span::from_secs))
}
