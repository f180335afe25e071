//! How JSON is read strictly: only objects are objects, and an error knows where it is.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use runledger_ledger::canonical::{self, CanonicalError};
use runledger_ledger::run::{Fields, Scalar};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, Note};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::evidence;
use crate::ingest::{ItemError, half_of_a_pair, plain};

/// Reads an object. `at` is the pointer to it within the event.
pub(super) fn object<'a, T: Deserialize<'a>>(json: &'a [u8], at: &str) -> Result<T, ItemError> {
    match serde_json::from_slice::<Object<T>>(json) {
        Ok(Object(value)) => Ok(value),
        Err(error) => Err(explain::<T>(json, at, error)),
    }
}

/// Reads again what could not be read, this time keeping track of where.
fn explain<'a, T: Deserialize<'a>>(
    json: &'a [u8],
    at: &str,
    first: serde_json::Error,
) -> ItemError {
    let mut reader = serde_json::Deserializer::from_slice(json);
    match serde_path_to_error::deserialize::<_, Object<T>>(&mut reader) {
        Ok(_) => ItemError::at("invalid_event", at, problem(&first)),
        Err(error) => {
            let pointer = format!("{at}{}", pointer(error.path()));
            ItemError::at("invalid_event", pointer, problem(error.inner()))
        }
    }
}

/// Why `json` is no JSON, if it is none.
pub(in crate::ingest) fn syntax_problem(json: &[u8]) -> Option<(String, usize)> {
    let error = serde_json::from_slice::<IgnoredAny>(json).err()?;
    Some((problem(&error), error.column()))
}

/// Finds the first number of an item that canonical bytes cannot hold, and says where it is.
pub(super) fn check_numbers(json: &[u8]) -> Result<(), ItemError> {
    let Ok(value) = serde_json::from_slice::<Value>(json) else {
        // Such as a number beyond all floats: reading the item will say so.
        return Ok(());
    };
    match odd_number(&value) {
        Some((pointer, error)) => {
            let error = ItemError::at("not_canonical", pointer, error);
            let observed = value["type"] == "subject.observed";
            Err(if observed { evidence::explained(error) } else { error })
        }
        None => Ok(()),
    }
}

fn odd_number(value: &Value) -> Option<(String, CanonicalError)> {
    let below = |key: &str, value: &Value| {
        let (pointer, error) = odd_number(value)?;
        Some((format!("/{}{pointer}", escaped(key)), error))
    };
    match value {
        Value::Number(_) => canonical::to_bytes(value).err().map(|error| (String::new(), error)),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| below(&index.to_string(), item))
        }
        Value::Object(members) => members.iter().find_map(|(key, member)| below(key, member)),
        _ => None,
    }
}

/// What a parser says, without the line and column of a place that the client never saw.
fn problem(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&place).unwrap_or(&text);
    half_of_a_pair(text).map_or_else(|| plain(text), str::to_owned)
}

fn pointer(path: &Path) -> String {
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", escaped(key)),
            Segment::Enum { .. } | Segment::Unknown => String::new(),
        })
        .collect()
}

pub(super) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// A value that was written as a JSON object; a list of its members in order is not taken for it.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_map(Members(PhantomData)).map(Object)
    }
}

/// `deserialize_with` for an object.
pub(super) fn required<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Object::deserialize(deserializer).map(|Object(value)| value)
}

/// `deserialize_with` for an object that may be left out or null.
pub(super) fn optional<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Ok(Option::<Object<T>>::deserialize(deserializer)?.map(|Object(value)| value))
}

/// `deserialize_with` for a list of objects.
pub(super) fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let items = Vec::<Object<T>>::deserialize(deserializer)?;
    Ok(items.into_iter().map(|Object(value)| value).collect())
}

/// `deserialize_with` for a time in RFC 3339 that may be left out or null.
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Moment>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
}

/// `deserialize_with` for a flat map of texts, whole numbers and flags.
pub(super) fn fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Fields, D::Error> {
    let fields: BTreeMap<Name, FlatValue> = map(deserializer)?;
    Ok(fields.into_iter().map(|(name, FlatValue(value))| (name, value)).collect())
}

/// `deserialize_with` for values by name, each name once.
pub(super) use runledger_ledger::words::each_once as map;

struct FlatValue(Scalar);

impl<'de> Deserialize<'de> for FlatValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Flat;

        impl Visitor<'_> for Flat {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a whole number, true or false")
            }

            fn visit_bool<E: Error>(self, flag: bool) -> Result<Scalar, E> {
                Ok(Scalar::Flag(flag))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar::Number(number))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
                i64::try_from(number).map(Scalar::Number).map_err(E::custom)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
                Note::new(text).map(Scalar::Text).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Flat).map(FlatValue)
    }
}
