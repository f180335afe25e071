//! One byte string per event: JSON in the form of RFC 8785, without what that form cannot keep.
//!
//! The bytes are written once, stored, hashed and handed out; nothing is ever serialised again to
//! be compared. Members are sorted by UTF-16 code units, strings are escaped as RFC 8785 says
//! (which is what `serde_json` writes), and numbers are integers within 2^53: a fraction has no
//! form that every language reads back alike, so it is refused at the door.

use serde_json::Value;

/// The largest integer that every JSON reader keeps exact.
pub const LARGEST_INTEGER: i64 = (1 << 53) - 1;
/// Most levels of nesting.
pub const DEEPEST: usize = 16;

/// Why a value has no canonical form here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// A number with a fraction or an exponent.
    #[error("{0} is not a whole number; send it as a string or in a smaller unit")]
    Fraction(String),
    /// An integer that some readers would round.
    #[error("{0} is beyond 2^53, where readers begin to round; send it as a string")]
    TooLarge(String),
    /// More levels than are kept.
    #[error("it is nested more than {DEEPEST} levels deep")]
    TooDeep,
}

/// Appends the canonical form of `value` to `out`.
pub fn write(out: &mut Vec<u8>, value: &Value) -> Result<(), CanonicalError> {
    write_at(out, value, 0)
}

/// The canonical form of `value`.
pub fn to_bytes(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    let mut out = Vec::with_capacity(256);
    write(&mut out, value)?;
    Ok(out)
}

/// Appends `text` as a JSON string.
pub fn write_text(out: &mut Vec<u8>, text: &str) {
    // Writing to a vector does not fail, and a string always has a JSON form.
    let _ = serde_json::to_writer(out, text);
}

fn write_at(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<(), CanonicalError> {
    if depth > DEEPEST {
        return Err(CanonicalError::TooDeep);
    }
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => {
            let integer = match number.as_i64() {
                Some(integer) => integer,
                None if number.is_u64() => {
                    return Err(CanonicalError::TooLarge(number.to_string()));
                }
                None => return Err(CanonicalError::Fraction(number.to_string())),
            };
            if integer.unsigned_abs() > LARGEST_INTEGER.unsigned_abs() {
                return Err(CanonicalError::TooLarge(number.to_string()));
            }
            out.extend_from_slice(integer.to_string().as_bytes());
        }
        Value::String(text) => write_text(out, text),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_at(out, item, depth + 1)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(a, _), (b, _)| compare_keys(a, b));
            out.push(b'{');
            for (index, (key, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_text(out, key);
                out.push(b':');
                write_at(out, member, depth + 1)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn compare_keys(a: &str, b: &str) -> std::cmp::Ordering {
    if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn text(value: &Value) -> String {
        String::from_utf8(to_bytes(value).unwrap()).unwrap()
    }

    #[test]
    fn members_are_sorted_by_utf16_units() {
        // U+10000 is written with surrogates (0xD800…), which sort before U+FB33.
        assert_eq!(
            text(&json!({"\u{fb33}": 1, "\u{10000}": 2})),
            "{\"\u{10000}\":2,\"\u{fb33}\":1}"
        );
        assert_eq!(text(&json!({"b": 1, "a": [true, null]})), r#"{"a":[true,null],"b":1}"#);
    }

    #[test]
    fn what_readers_would_round_is_refused() {
        assert!(matches!(to_bytes(&json!(1.5)), Err(CanonicalError::Fraction(_))));
        assert!(matches!(to_bytes(&json!(1e300)), Err(CanonicalError::Fraction(_))));
        assert!(matches!(to_bytes(&json!(1_i64 << 53)), Err(CanonicalError::TooLarge(_))));
        assert!(matches!(to_bytes(&json!(-(1_i64 << 53))), Err(CanonicalError::TooLarge(_))));
        assert!(matches!(to_bytes(&json!(u64::MAX)), Err(CanonicalError::TooLarge(_))));
        assert!(matches!(to_bytes(&json!(i64::MAX)), Err(CanonicalError::TooLarge(_))));
        assert!(matches!(to_bytes(&json!(i64::MIN)), Err(CanonicalError::TooLarge(_))));
        assert!(matches!(to_bytes(&json!(-0.0)), Err(CanonicalError::Fraction(_))));
        assert_eq!(text(&json!(LARGEST_INTEGER)), "9007199254740991");
        assert_eq!(text(&json!(-LARGEST_INTEGER)), "-9007199254740991");
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
        assert!(to_bytes(&nested(DEEPEST)).is_ok());
        assert_eq!(to_bytes(&nested(DEEPEST + 1)), Err(CanonicalError::TooDeep));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-LARGEST_INTEGER..=LARGEST_INTEGER).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn an_independent_writer_writes_the_same_bytes(value in any_json()) {
            let theirs = serde_json_canonicalizer::to_vec(&value).unwrap();
            prop_assert_eq!(to_bytes(&value).unwrap(), theirs);
        }
    }
}
