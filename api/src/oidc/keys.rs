//! The public keys of a provider (RFC 7517), and what they have signed (RFC 7515).
//!
//! The header of a token chooses among what is allowed here and never beyond it: a key has the one
//! algorithm of its kind, so nothing that is called a public key is ever taken for a shared secret,
//! and nothing without a signature for signed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde::Deserialize;

/// Most keys of a provider that are looked at.
const MOST: usize = 64;
/// Bytes of a coordinate of P-256, and of a key of Ed25519.
const COORDINATE: usize = 32;

/// How a token may be signed. There is nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, which every provider has.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA over P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA", alias = "Ed25519")]
    EdDsa,
}

/// The keys of a provider that can sign something for us.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys(Vec<Key>);

#[derive(Clone, Debug)]
struct Key {
    id: Option<String>,
    public: Public,
}

#[derive(Clone, Debug)]
enum Public {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// Whether a signature holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// A key of the provider made it.
    Yes,
    /// No key of the provider made it.
    No,
    /// The provider has no such key, as far as is known here.
    NoKey,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Written {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Keys {
    /// Reads what a provider publishes. Keys that are not for us are left out.
    pub(super) fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        let Set { keys } = serde_json::from_slice(json)?;
        let read = |value| Key::of(serde_json::from_value::<Written>(value).ok()?);
        Ok(Keys(keys.into_iter().take(MOST).filter_map(read).collect()))
    }

    /// Whether the key of this name has signed `message`, or, for a signature that names none, any.
    pub(super) fn have_signed(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> Held {
        let named = |key: &&Key| id.is_none_or(|id| key.id.as_deref() == Some(id));
        let fitting = self.0.iter().filter(named).filter(|key| key.public.is_of(algorithm));
        let mut held = Held::NoKey;
        for key in fitting {
            if key.public.verifies(message, signature) {
                return Held::Yes;
            }
            held = Held::No;
        }
        held
    }
}

impl Key {
    fn of(written: Written) -> Option<Self> {
        let Written { kty, kid, purpose, alg, crv, n, e, x, y } = written;
        if purpose.is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let public = match (kty.as_str(), crv.as_deref()) {
            ("RSA", None) => Public::Rsa { n: number(n?)?, e: number(e?)? },
            ("EC", Some("P-256")) => {
                Public::P256([vec![4], coordinate(x?)?, coordinate(y?)?].concat())
            }
            ("OKP", Some("Ed25519")) => Public::Ed25519(coordinate(x?)?),
            _ => return None,
        };
        // One that is for another way of signing is for none of ours.
        let fits = match alg.as_deref() {
            None => true,
            Some("RS256") => public.is_of(Algorithm::Rs256),
            Some("ES256") => public.is_of(Algorithm::Es256),
            Some("EdDSA" | "Ed25519") => public.is_of(Algorithm::EdDsa),
            Some(_) => false,
        };
        fits.then_some(Key { id: kid, public })
    }
}

impl Public {
    const fn is_of(&self, algorithm: Algorithm) -> bool {
        matches!(
            (self, algorithm),
            (Public::Rsa { .. }, Algorithm::Rs256)
                | (Public::P256(_), Algorithm::Es256)
                | (Public::Ed25519(_), Algorithm::EdDsa)
        )
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match self {
            // Less than 2,048 bits is refused.
            Public::Rsa { n, e } => RsaPublicKeyComponents { n, e }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                message,
                signature,
            ),
            Public::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            Public::Ed25519(point) => {
                UnparsedPublicKey::new(&ED25519, point).verify(message, signature)
            }
        };
        verified.is_ok()
    }
}

fn bytes(text: String) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

/// A number without leading zeros, which some providers write.
fn number(text: String) -> Option<Vec<u8>> {
    let bytes = bytes(text)?;
    let first = bytes.iter().position(|byte| *byte != 0)?;
    bytes.get(first..).map(<[u8]>::to_vec)
}

/// A coordinate with all its bytes, and no leading zero beyond them.
fn coordinate(text: String) -> Option<Vec<u8>> {
    let bytes = bytes(text)?;
    let more = bytes.len().checked_sub(COORDINATE)?;
    let (leading, rest) = bytes.split_at_checked(more)?;
    leading.iter().all(|byte| *byte == 0).then(|| rest.to_vec())
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{Ed25519KeyPair, KeyPair as _};
    use serde_json::json;

    use super::*;

    fn pair() -> Ed25519KeyPair {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap()
    }

    fn keys(list: serde_json::Value) -> Keys {
        Keys::parse(json!({"keys": list}).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_key_signs_in_its_own_way_and_under_its_own_name() {
        let pair = pair();
        let x = URL_SAFE_NO_PAD.encode(pair.public_key());
        let key = json!({"kty": "OKP", "crv": "Ed25519", "kid": "one", "use": "sig", "x": x});
        let keys = keys(json!([key, {"kty": "oct", "k": x}, "nonsense"]));
        let signature = pair.sign(b"word");
        let signature = signature.as_ref();
        let asked = |algorithm, id, message| keys.have_signed(algorithm, id, message, signature);
        assert_eq!(asked(Algorithm::EdDsa, Some("one"), b"word"), Held::Yes);
        assert_eq!(asked(Algorithm::EdDsa, None, b"word"), Held::Yes);
        assert_eq!(asked(Algorithm::EdDsa, Some("one"), b"other"), Held::No);
        assert_eq!(asked(Algorithm::EdDsa, Some("two"), b"word"), Held::NoKey);
        assert_eq!(asked(Algorithm::Rs256, Some("one"), b"word"), Held::NoKey);
    }

    #[test]
    fn keys_for_something_else_are_left_out() {
        let x = URL_SAFE_NO_PAD.encode([1; 32]);
        for other in [
            json!({"kty": "OKP", "crv": "Ed25519", "x": x, "use": "enc"}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": x, "alg": "RS256"}),
            json!({"kty": "OKP", "crv": "X25519", "x": x}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}),
            json!({"kty": "EC", "crv": "P-256", "x": x}),
            json!({"kty": "RSA", "n": x}),
        ] {
            assert!(keys(json!([other.clone()])).0.is_empty(), "{other}");
        }
    }

    #[test]
    fn numbers_are_read_with_or_without_a_leading_zero() {
        assert_eq!(number("AAEAAQ".to_owned()), Some(vec![1, 0, 1]));
        assert_eq!(number("AQAB".to_owned()), Some(vec![1, 0, 1]));
        let long = URL_SAFE_NO_PAD.encode([&[0][..], &[7; 32][..]].concat());
        assert_eq!(coordinate(long), Some(vec![7; 32]));
        assert_eq!(coordinate(URL_SAFE_NO_PAD.encode([7; 33])), None);
    }
}
