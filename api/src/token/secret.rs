//! The form of a token: `rll_live_`, 32 letters and digits (190 bits), `_`, and 6 that say whether the
//! rest was read rightly. So scanners find one wherever it turns up, and what is none asks no
//! database.

use std::fmt;

use runledger_ledger::clock::{Entropy, NoEntropy};
use runledger_ledger::store::SecretHash;
use sha2::{Digest, Sha256};

/// What every token begins with.
const PREFIX: &str = "rll_live_";
const LETTERS: usize = 32;
const CHECK: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A token. It is shown once, and kept by its hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// A new one.
    pub fn make(entropy: &Entropy) -> Result<Self, NoEntropy> {
        let letters = random_letters(entropy, LETTERS)?;
        let check = check(&letters);
        Ok(Secret(format!("{PREFIX}{letters}_{check}")))
    }

    /// Reads a token; none if it cannot be one.
    pub fn read(text: &str) -> Option<Self> {
        let (letters, found) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let plain = letters.len() == LETTERS && letters.bytes().all(|b| ALPHABET.contains(&b));
        (plain && found == check(letters)).then(|| Secret(text.to_owned()))
    }

    /// What it is known by.
    pub fn hash(&self) -> SecretHash {
        Sha256::digest(&self.0).into()
    }

    /// The token itself, to be shown once.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// So many random letters and digits, each as likely as any other.
fn random_letters(entropy: &Entropy, length: usize) -> Result<String, NoEntropy> {
    let mut letters = String::with_capacity(length);
    while letters.len() < length {
        let mut bytes = [0; 64];
        entropy.fill(&mut bytes)?;
        // The first multiple of 62 below 256: what is above would make some letters more likely.
        let fair = bytes.iter().filter(|byte| **byte < 248);
        let more = fair.filter_map(|byte| ALPHABET.get(usize::from(byte % 62)));
        letters.extend(more.take(length - letters.len()).map(|byte| char::from(*byte)));
    }
    Ok(letters)
}

/// The CRC-32 of a text in letters and digits, always as many.
fn check(text: &str) -> String {
    let mut rest = crc32(text.as_bytes());
    let mut letters = [b'0'; CHECK];
    for letter in letters.iter_mut().rev() {
        *letter = ALPHABET.get((rest % 62) as usize).copied().unwrap_or(b'0');
        rest /= 62;
    }
    letters.iter().map(|byte| char::from(*byte)).collect()
}

/// The CRC-32 of ISO 3309, as in zip and PNG.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_again_and_one_wrong_letter_is_found() {
        let secret = Secret::make(&Entropy::seeded(3)).unwrap();
        let text = secret.expose();
        assert_eq!(text.len(), PREFIX.len() + LETTERS + 1 + CHECK);
        assert_eq!(Secret::read(text), Some(secret.clone()));
        for place in 0..text.len() {
            let mut wrong = text.as_bytes().to_vec();
            wrong[place] = if wrong[place] == b'x' { b'y' } else { b'x' };
            let wrong = String::from_utf8(wrong).unwrap();
            assert_eq!(Secret::read(&wrong), None, "{place}");
        }
        assert!(!format!("{secret:?}").contains(&text[9..20]));
    }

    #[test]
    fn the_check_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }
}
