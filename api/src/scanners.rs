//! Who may report that a token of ours was found where it should not be: scanners whose public keys
//! the operator names (specs/0023).

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde::Deserialize;

/// What the DER form of a public key of P-256 begins with (RFC 5480); the point follows.
const SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// Bytes of a point that is not compressed.
const POINT: usize = 65;

/// The public keys of scanners, by what they are called.
#[derive(Clone, Debug)]
pub struct Scanners(HashMap<String, Vec<u8>>);

/// Why a file names no scanners.
#[derive(Debug, thiserror::Error)]
pub enum NoScanners {
    /// It is not of the form in which scanners publish their keys.
    #[error(
        "it must be JSON such as {{\"public_keys\": [{{\"key_identifier\": \"…\", \"key\": \
         \"-----BEGIN PUBLIC KEY-----…\"}}]}}"
    )]
    Form(#[source] serde_json::Error),
    /// A key is none.
    #[error("the key {0:?} is no public key of ECDSA P-256 in PEM")]
    Key(String),
    /// There is none.
    #[error("it names no key")]
    Empty,
}

#[derive(Deserialize)]
struct Published {
    public_keys: Vec<PublishedKey>,
}

#[derive(Deserialize)]
struct PublishedKey {
    key_identifier: String,
    key: String,
}

impl Scanners {
    /// Reads the keys as scanners publish them.
    pub fn parse(json: &[u8]) -> Result<Self, NoScanners> {
        let published: Published = serde_json::from_slice(json).map_err(NoScanners::Form)?;
        let mut keys = HashMap::new();
        for PublishedKey { key_identifier, key } in published.public_keys {
            match point(&key) {
                Some(point) => drop(keys.insert(key_identifier, point)),
                None => return Err(NoScanners::Key(key_identifier)),
            }
        }
        if keys.is_empty() { Err(NoScanners::Empty) } else { Ok(Scanners(keys)) }
    }

    /// Whether the holder of the key `identifier` has signed `body`. The signature is the base64 of
    /// its DER form.
    pub fn have_signed(&self, identifier: &str, signature: &str, body: &[u8]) -> bool {
        let Some(point) = self.0.get(identifier) else { return false };
        let Ok(signature) = STANDARD.decode(signature) else { return false };
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(body, &signature).is_ok()
    }
}

/// The point of a public key in PEM.
fn point(pem: &str) -> Option<Vec<u8>> {
    let pem = pem.trim().strip_prefix("-----BEGIN PUBLIC KEY-----")?;
    let base64 = pem.strip_suffix("-----END PUBLIC KEY-----")?;
    let base64: String = base64.split_whitespace().collect();
    let der = STANDARD.decode(base64).ok()?;
    let point = der.strip_prefix(&SPKI)?;
    (point.len() == POINT && point.first() == Some(&4)).then(|| point.to_vec())
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

    use super::*;

    #[test]
    fn what_the_holder_of_a_named_key_has_signed_is_taken_and_nothing_else() {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
        let der = [&SPKI[..], pair.public_key().as_ref()].concat();
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(&der)
        );
        let keys = serde_json::json!({"public_keys": [
            {"key_identifier": "one", "key": pem, "is_current": true},
        ]});
        let scanners = Scanners::parse(keys.to_string().as_bytes()).unwrap();
        let signature = STANDARD.encode(pair.sign(&random, b"found").unwrap());
        assert!(scanners.have_signed("one", &signature, b"found"));
        assert!(!scanners.have_signed("one", &signature, b"lost"));
        assert!(!scanners.have_signed("two", &signature, b"found"));
        assert!(!scanners.have_signed("one", "", b"found"));
        assert!(!scanners.have_signed("one", "no base64!", b"found"));
    }

    #[test]
    fn a_file_without_usable_keys_is_refused() {
        for wrong in [
            "",
            "{}",
            r#"{"public_keys": []}"#,
            r#"{"public_keys": [{"key_identifier": "a", "key": "-----BEGIN PUBLIC KEY-----"}]}"#,
        ] {
            assert!(Scanners::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
