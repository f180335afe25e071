//! What evidence may hold (DESIGN section 9): identifiers, states, counts, hashes and times.
//!
//! A decision stays in the log for ever. So no adapter may put a payload, a sentence, an address
//! with a signature, a token or a database's error into it, by mistake either.

use runledger_ledger::run::{Fields, Scalar};
use runledger_ledger::words::Name;

/// The longest identifier or state. A hash may be longer.
const LONGEST: usize = 64;
/// The longest hash: 512 bits in hexadecimal.
const LONGEST_HASH: usize = 128;

/// A value that may not be in evidence. It does not say the value, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the evidence {name} is no identifier, state, count, hash or time")]
pub struct Forbidden {
    /// The name of the value.
    pub name: Name,
}

/// Refuses evidence that holds anything but short words, numbers, flags, hashes and times.
pub fn check(evidence: &Fields) -> Result<(), Forbidden> {
    let forbidden = evidence.iter().find(|(_, value)| match value {
        Scalar::Flag(_) | Scalar::Number(_) => false,
        Scalar::Text(text) => !may_stand(text.as_str()),
    });
    match forbidden {
        Some((name, _)) => Err(Forbidden { name: name.clone() }),
        None => Ok(()),
    }
}

fn may_stand(text: &str) -> bool {
    if text.len() > LONGEST {
        return text.len() <= LONGEST_HASH && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    // No blanks, so no sentences; no `?`, `=`, `%` or `&`, so no signed addresses.
    let plain = |c: char| c.is_alphanumeric() || "._:/@+#-".contains(c);
    text.chars().all(plain) && !text.contains("://")
}

#[cfg(test)]
mod tests {
    use runledger_ledger::words::Note;

    use super::*;

    fn checked(value: Scalar) -> Result<(), Forbidden> {
        check(&Fields::from([(Name::new("value").unwrap(), value)]))
    }

    fn text(text: &str) -> Scalar {
        Scalar::Text(Note::new(text).unwrap())
    }

    #[test]
    fn identifiers_states_counts_hashes_and_times_may_stand_in_evidence() {
        let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        for allowed in [
            "environment_review/12",
            "needs_attention",
            "2026-01-01T00:00:00.5+02:00",
            "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
            "ops@example.test",
            "Überprüfung#7",
            hash,
            &hash.repeat(2),
        ] {
            assert_eq!(checked(text(allowed)), Ok(()), "{allowed}");
        }
        assert_eq!(checked(Scalar::Number(-3)), Ok(()));
        assert_eq!(checked(Scalar::Flag(true)), Ok(()));
    }

    #[test]
    fn sentences_addresses_tokens_and_errors_may_not() {
        for forbidden in [
            "duplicate key value violates unique constraint \"reviews_pkey\"",
            "https://files.example.test/report",
            "files.example.test/report?signature=abc",
            "{\"password\":\"x\"}",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4ifQ.dozjgNryP4J3jVmN",
            "two\nlines",
        ] {
            let refused = checked(text(forbidden)).unwrap_err();
            assert_eq!(refused.name.as_str(), "value", "{forbidden}");
            assert!(!refused.to_string().contains(forbidden));
        }
    }
}
