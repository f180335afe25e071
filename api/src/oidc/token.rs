//! What an ID token must be before anything in it is believed (OpenID Connect Core 3.1.3.7).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use runledger_ledger::time::{Moment, Span};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

use super::keys::{Algorithm, Held, Keys};

/// How far the provider's clock may be from ours.
const LEEWAY: Span = Span::from_secs(60);
/// Most bytes of a token.
const MOST_BYTES: usize = 64 * 1024;
/// Most bytes of what somebody is called by for good.
const LONGEST_SUBJECT: usize = 255;

/// What is expected of a token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now: Moment,
}

/// What a provider has said of whoever signed in.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told(pub(super) Map<String, Value>);

/// Why a token is not believed. It holds nothing of the token but what is no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unbelievable {
    /// It is no token of three parts.
    #[error("it is not a signed token")]
    Form,
    /// It is signed in a way that is not taken, or not at all.
    #[error("it is signed in a way that is not taken")]
    Algorithm,
    /// Its header asks for what is not understood here.
    #[error("its header names extensions that must be understood")]
    Critical,
    /// The provider has no such key.
    #[error("it is signed with a key that the provider does not publish")]
    NoKey,
    /// The signature is of something else.
    #[error("its signature does not hold")]
    Signature,
    /// It does not say what every token must.
    #[error("its claims cannot be read")]
    Claims,
    /// Somebody else made it.
    #[error("it is of another issuer")]
    Issuer,
    /// It was made for somebody else.
    #[error("it is for another client")]
    Audience,
    /// It is of another sign-in.
    #[error("it is not of this sign-in")]
    Nonce,
    /// It has ended.
    #[error("it has expired")]
    Expired,
    /// It is of the future.
    #[error("it is not valid yet; are the clocks right?")]
    Early,
    /// It names nobody.
    #[error("it names nobody")]
    Subject,
}

#[derive(Deserialize)]
struct Header {
    alg: Value,
    kid: Option<String>,
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    azp: Option<String>,
    #[serde(deserialize_with = "second")]
    exp: i64,
    #[serde(deserialize_with = "second")]
    iat: i64,
    #[serde(default, deserialize_with = "second_if_any")]
    nbf: Option<i64>,
    nonce: Option<String>,
}

/// A NumericDate (RFC 7519, 2): seconds, which may have a fraction.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Second {
    Whole(i64),
    Part(f64),
}

impl Second {
    fn whole<E: serde::de::Error>(self) -> Result<i64, E> {
        match self {
            Second::Whole(whole) => Ok(whole),
            // Far beyond any date, and far within what a number holds exactly.
            Second::Part(part) if part.abs() < 1e15 => {
                let text = format!("{:.0}", part.floor());
                text.parse().map_err(E::custom)
            }
            Second::Part(_) => Err(E::custom("no date")),
        }
    }
}

fn second<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Second::deserialize(deserializer)?.whole()
}

fn second_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Option::<Second>::deserialize(deserializer)?.map(Second::whole).transpose()
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn names(&self, client: &str) -> bool {
        match self {
            Audience::One(one) => one == client,
            Audience::Several(all) => all.iter().any(|one| one == client),
        }
    }

    fn others(&self) -> bool {
        matches!(self, Audience::Several(all) if all.len() > 1)
    }
}

/// The claims of a token, if all of it is as it must be.
pub(super) fn believe(
    token: &str,
    keys: &Keys,
    expected: Expected<'_>,
) -> Result<Told, Unbelievable> {
    if token.len() > MOST_BYTES {
        return Err(Unbelievable::Form);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(Unbelievable::Form)?;
    let (header, payload) = signed.split_once('.').ok_or(Unbelievable::Form)?;
    if payload.contains('.') {
        return Err(Unbelievable::Form);
    }
    let header: Header =
        serde_json::from_slice(&decoded(header)?).map_err(|_| Unbelievable::Form)?;
    if header.crit.is_some() {
        return Err(Unbelievable::Critical);
    }
    let algorithm: Algorithm =
        serde_json::from_value(header.alg).map_err(|_| Unbelievable::Algorithm)?;
    let (signature, payload) = (decoded(signature)?, decoded(payload)?);
    // The signature first: nothing of what nobody signed is looked at.
    match keys.have_signed(algorithm, header.kid.as_deref(), signed.as_bytes(), &signature) {
        Held::Yes => {}
        Held::No => return Err(Unbelievable::Signature),
        Held::NoKey => return Err(Unbelievable::NoKey),
    }
    let claims: Claims = serde_json::from_slice(&payload).map_err(|_| Unbelievable::Claims)?;
    check(&claims, expected)?;
    let all = serde_json::from_slice(&payload).map_err(|_| Unbelievable::Claims)?;
    Ok(Told(all))
}

fn check(claims: &Claims, expected: Expected<'_>) -> Result<(), Unbelievable> {
    let Expected { issuer, client_id, nonce, now } = expected;
    if claims.iss != issuer {
        return Err(Unbelievable::Issuer);
    }
    let party = claims.azp.as_deref();
    if !claims.aud.names(client_id)
        || party.is_some_and(|party| party != client_id)
        || (claims.aud.others() && party.is_none())
    {
        return Err(Unbelievable::Audience);
    }
    let given = claims.nonce.as_deref().unwrap_or_default();
    if !bool::from(given.as_bytes().ct_eq(nonce.as_bytes())) {
        return Err(Unbelievable::Nonce);
    }
    let (now, leeway) = (now.micros() / 1_000_000, LEEWAY.micros() / 1_000_000);
    if claims.exp.saturating_add(leeway) <= now {
        return Err(Unbelievable::Expired);
    }
    let early = |second: i64| second.saturating_sub(leeway) > now;
    if early(claims.iat) || claims.nbf.is_some_and(early) {
        return Err(Unbelievable::Early);
    }
    Ok(())
}

fn decoded(part: &str) -> Result<Vec<u8>, Unbelievable> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Unbelievable::Form)
}

impl Told {
    /// A claim that is a text.
    pub(super) fn text(&self, claim: &str) -> Option<&str> {
        self.0.get(claim).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// What somebody is called by for good.
    pub(super) fn subject(&self, claim: &str) -> Result<String, Unbelievable> {
        let fits = |subject: &&str| {
            subject.len() <= LONGEST_SUBJECT && !subject.chars().any(char::is_control)
        };
        let subject = self.text(claim).filter(fits).ok_or(Unbelievable::Subject)?;
        Ok(subject.to_owned())
    }

    /// What somebody is called, if the provider stands for it: an e-mail address only if it was
    /// verified.
    pub(super) fn name(&self, claim: &str) -> Option<&str> {
        let verified = self.0.get("email_verified") == Some(&Value::Bool(true));
        self.text(claim).filter(|_| claim != "email" || verified)
    }

    /// The groups of a claim: a list of texts, or one.
    pub(super) fn groups(&self, claim: &str) -> Vec<String> {
        match self.0.get(claim) {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(all)) => {
                all.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{Ed25519KeyPair, KeyPair as _};
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_772_366_400;

    struct Signer(Ed25519KeyPair);

    impl Signer {
        fn new() -> Self {
            let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
            Signer(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
        }

        fn keys(&self) -> Keys {
            let x = URL_SAFE_NO_PAD.encode(self.0.public_key());
            let keys = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": x}]});
            Keys::parse(keys.to_string().as_bytes()).unwrap()
        }

        fn sign(&self, header: &Value, claims: &Value) -> String {
            let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let signed = format!("{}.{}", part(header), part(claims));
            let signature = self.0.sign(signed.as_bytes());
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
        }
    }

    fn claims() -> Value {
        json!({"iss": "https://id.example", "aud": "runledger", "sub": "7", "nonce": "n",
            "exp": NOW + 300, "iat": NOW})
    }

    fn look(signer: &Signer, token: &str) -> Result<Told, Unbelievable> {
        let now = Moment::from_micros(NOW * 1_000_000);
        let (issuer, client_id) = ("https://id.example", "runledger");
        believe(token, &signer.keys(), Expected { issuer, client_id, nonce: "n", now })
    }

    fn judged(change: impl FnOnce(&mut Value)) -> Option<Unbelievable> {
        let (signer, mut claims) = (Signer::new(), claims());
        change(&mut claims);
        look(&signer, &signer.sign(&json!({"alg": "EdDSA", "kid": "k"}), &claims)).err()
    }

    #[test]
    fn a_token_is_believed_if_all_of_it_is_as_it_must_be() {
        assert_eq!(judged(|_| ()), None);
        assert_eq!(judged(|claims| claims["aud"] = json!(["runledger"])), None);
        let several = json!(["runledger", "other"]);
        assert_eq!(
            judged(|claims| {
                claims["aud"] = several.clone();
                claims["azp"] = json!("runledger");
            }),
            None
        );
        assert_eq!(judged(|claims| claims["exp"] = json!(NOW - 59)), None, "clocks differ");
        type Case = (&'static str, Value, Unbelievable);
        let cases: [Case; 14] = [
            ("iss", json!("https://id.example/"), Unbelievable::Issuer),
            ("aud", json!("other"), Unbelievable::Audience),
            ("aud", json!([]), Unbelievable::Audience),
            ("aud", several, Unbelievable::Audience),
            ("azp", json!("other"), Unbelievable::Audience),
            ("nonce", json!("m"), Unbelievable::Nonce),
            ("nonce", Value::Null, Unbelievable::Nonce),
            ("exp", json!(NOW - 60), Unbelievable::Expired),
            ("exp", json!("tomorrow"), Unbelievable::Claims),
            ("exp", Value::Null, Unbelievable::Claims),
            ("iat", json!(NOW + 61), Unbelievable::Early),
            ("nbf", json!(NOW + 61), Unbelievable::Early),
            ("nbf", json!("never"), Unbelievable::Claims),
            ("iss", Value::Null, Unbelievable::Claims),
        ];
        for (name, value, why) in cases {
            assert_eq!(judged(|claims| claims[name] = value.clone()), Some(why), "{name} {value}");
        }
    }

    #[test]
    fn a_header_chooses_nothing_that_is_not_taken() {
        let signer = Signer::new();
        let judged = |header: Value| look(&signer, &signer.sign(&header, &claims())).err();
        for algorithm in ["none", "None", "HS256", "RS512", "ES384", ""] {
            let header = json!({"alg": algorithm, "kid": "k"});
            assert_eq!(judged(header), Some(Unbelievable::Algorithm), "{algorithm}");
        }
        assert_eq!(judged(json!({"alg": "EdDSA"})), None, "without the name of a key");
        assert_eq!(judged(json!({"alg": "EdDSA", "kid": "j"})), Some(Unbelievable::NoKey));
        assert_eq!(judged(json!({"alg": "RS256", "kid": "k"})), Some(Unbelievable::NoKey));
        let critical = json!({"alg": "EdDSA", "kid": "k", "crit": ["b64"], "b64": false});
        assert_eq!(judged(critical), Some(Unbelievable::Critical));
    }

    #[test]
    fn a_token_that_was_changed_is_not_believed() {
        let signer = Signer::new();
        let token = signer.sign(&json!({"alg": "EdDSA", "kid": "k"}), &claims());
        let parts: Vec<&str> = token.split('.').collect();
        let mut other = claims();
        other["sub"] = json!("8");
        let other = URL_SAFE_NO_PAD.encode(other.to_string());
        for changed in [
            format!("{}.{other}.{}", parts[0], parts[2]),
            format!("{}.{}.", parts[0], parts[1]),
            format!("{}.{}.{}", parts[0], parts[1], &parts[2][..80]),
        ] {
            assert_eq!(look(&signer, &changed).err(), Some(Unbelievable::Signature), "{changed}");
        }
        for nothing in ["", "a.b", "....", &format!("{token}.x"), &"a".repeat(70_000)] {
            assert_eq!(look(&signer, nothing).err(), Some(Unbelievable::Form));
        }
    }

    #[test]
    fn an_address_names_somebody_only_if_the_provider_has_verified_it() {
        let told = |claims: Value| Told(claims.as_object().unwrap().clone());
        let mail = json!({"email": "ada@example.com", "email_verified": false});
        assert_eq!(told(mail).name("email"), None);
        let mail = json!({"email": "ada@example.com", "email_verified": "true"});
        assert_eq!(told(mail).name("email"), None, "a text is no yes");
        let mail = json!({"email": "ada@example.com", "email_verified": true});
        assert_eq!(told(mail).name("email"), Some("ada@example.com"));
        let groups = told(json!({"groups": ["a", 7, "b"], "one": "c"}));
        assert_eq!(groups.groups("groups"), ["a", "b"]);
        assert_eq!(groups.groups("one"), ["c"]);
        assert!(groups.groups("none").is_empty());
        assert!(told(json!({"sub": "a\nb"})).subject("sub").is_err());
        assert!(told(json!({"sub": ""})).subject("sub").is_err());
    }
}
