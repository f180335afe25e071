//! A sign-in that has begun, as the browser keeps it until it comes back.
//!
//! One random secret lies in a cookie that no script reads. What goes over the wire are three values
//! that follow from it and from which it does not: the state ties the way back to this browser, the
//! nonce ties the token to this sign-in, and the verifier (RFC 7636) ties the code to this server. So
//! nothing is kept here of sign-ins that nobody ends, and any server of several can end them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use runledger_ledger::clock::{Entropy, NoEntropy};
use runledger_ledger::time::{Moment, Span};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// How long somebody may take at the provider.
pub(crate) const PATIENCE: Span = Span::from_secs(10 * 60);
/// Longest path to go on at that fits into a cookie.
const LONGEST_NEXT: usize = 1_500;

/// A sign-in that has begun.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pending {
    secret: [u8; 32],
    began: Moment,
    /// Whoever wants to be known by the provider from now on; none signs in.
    pub(super) linking: Option<Linking>,
    /// Where to go on.
    pub(super) next: String,
}

/// Somebody who is signed in, and says who they are at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Linking {
    /// Their session.
    pub(crate) session: Uuid,
    /// What the seal is of.
    sealed: String,
    /// Shows that their password was given when this began: a browser could write the rest by
    /// itself. It is keyed with what the ledger keeps of the password, which leaves it nowhere.
    seal: String,
}

impl Linking {
    fn new(session: Uuid, sealed: String, password: &str) -> Self {
        let seal = hmac::sign(&key(password), sealed.as_bytes());
        Linking { session, seal: hex::encode(seal), sealed }
    }

    /// Whether whoever began this knew the password of which the ledger keeps this.
    pub(crate) fn knew(&self, password: &str) -> bool {
        let seal = hex::decode(&self.seal).unwrap_or_default();
        hmac::verify(&key(password), self.sealed.as_bytes(), &seal).is_ok()
    }
}

fn key(password: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, password.as_bytes())
}

impl Pending {
    /// Begins one, or the linking of whoever has the session, and this of a password.
    pub(super) fn begin(
        entropy: &Entropy,
        now: Moment,
        of: Option<(Uuid, &str)>,
        next: &str,
    ) -> Result<Self, NoEntropy> {
        let mut secret = [0; 32];
        entropy.fill(&mut secret)?;
        let next = if next.len() <= LONGEST_NEXT { next } else { "/" };
        let mut pending = Pending { secret, began: now, linking: None, next: next.to_owned() };
        pending.linking = of.map(|(session, password)| {
            Linking::new(session, pending.text(Some(session)), password)
        });
        Ok(pending)
    }

    /// What the cookie holds.
    pub(super) fn write(&self) -> String {
        let (session, seal) = match &self.linking {
            None => (None, ""),
            Some(linking) => (Some(linking.session), linking.seal.as_str()),
        };
        format!("{}.{seal}", self.text(session))
    }

    /// The same but for the seal.
    fn text(&self, session: Option<Uuid>) -> String {
        let session = session.map(|session| session.simple().to_string());
        let next = URL_SAFE_NO_PAD.encode(&self.next);
        let (secret, began) = (hex::encode(self.secret), self.began.micros());
        format!("{secret}.{began}.{}.{next}", session.unwrap_or_default())
    }

    /// Reads a cookie; none if it holds something else, or is too old.
    pub(super) fn read(cookie: &str, now: Moment) -> Option<Self> {
        let (sealed, seal) = cookie.rsplit_once('.')?;
        let mut parts = sealed.split('.');
        let (secret, began) = (parts.next()?, parts.next()?);
        let (session, next) = (parts.next()?, parts.next()?);
        let began = Moment::from_micros(began.parse().ok()?);
        let linking =
            |session| Linking { session, sealed: sealed.to_owned(), seal: seal.to_owned() };
        let pending = Pending {
            secret: hex::decode(secret).ok()?.try_into().ok()?,
            began,
            linking: match session {
                "" => None,
                session => Some(linking(session.parse().ok()?)),
            },
            next: String::from_utf8(URL_SAFE_NO_PAD.decode(next).ok()?).ok()?,
        };
        let lasts = began <= now && now.since(began) < PATIENCE;
        (parts.next().is_none() && lasts).then_some(pending)
    }

    /// What comes back with the browser.
    pub(super) fn state(&self) -> String {
        self.derived("state")
    }

    /// What comes back in the token.
    pub(super) fn nonce(&self) -> String {
        self.derived("nonce")
    }

    /// What proves that whoever brings the code has begun this sign-in.
    pub(super) fn verifier(&self) -> String {
        self.derived("verifier")
    }

    /// What the provider is told of the verifier before (`S256`).
    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier()))
    }

    /// Whether this is the state of this sign-in. Takes as long whether it is or not.
    pub(super) fn is_of(&self, state: &str) -> bool {
        self.state().as_bytes().ct_eq(state.as_bytes()).into()
    }

    fn derived(&self, what: &str) -> String {
        let hash = Sha256::new().chain_update(what).chain_update([0]).chain_update(self.secret);
        URL_SAFE_NO_PAD.encode(hash.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_micros(1_772_366_400_000_000);

    #[test]
    fn a_sign_in_is_read_as_it_was_written_and_not_for_ever() {
        let of = Some((Uuid::from_u128(7), "$argon2id$a"));
        let pending = Pending::begin(&Entropy::seeded(1), NOW, of, "/w/main?q=ü").unwrap();
        let cookie = pending.write();
        let read = |seconds: i64| {
            Pending::read(&cookie, Moment::from_micros(NOW.micros() + seconds * 1_000_000))
        };
        assert!(read(0) == Some(pending.clone()) && read(599) == Some(pending));
        assert!(read(600).is_none() && read(-1).is_none());
        for wrong in ["", "a.b.c.d", &format!("{cookie}.x"), &cookie[1..]] {
            assert!(Pending::read(wrong, NOW).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_browser_cannot_say_by_itself_that_a_password_was_given() {
        let (entropy, session) = (Entropy::seeded(1), Uuid::from_u128(7));
        let knew = |cookie: &str, password: &str| {
            let linking = Pending::read(cookie, NOW).unwrap().linking.unwrap();
            linking.session == session && linking.knew(password)
        };
        let of = Some((session, "$argon2id$a"));
        let cookie = Pending::begin(&entropy, NOW, of, "/").unwrap().write();
        assert!(knew(&cookie, "$argon2id$a"));
        assert!(!knew(&cookie, "$argon2id$b"), "the password of somebody else, or of before");
        // A sign-in of nobody, into which the id of a session is written.
        let plain = Pending::begin(&entropy, NOW, None, "/").unwrap().write();
        let mut parts: Vec<&str> = plain.split('.').collect();
        let id = session.simple().to_string();
        parts[2] = &id;
        assert!(!knew(&parts.join("."), "$argon2id$a"));
        let seal = cookie.rsplit_once('.').unwrap().1;
        parts[4] = seal;
        assert!(!knew(&parts.join("."), "$argon2id$a"), "with the seal of another one");
    }

    #[test]
    fn nothing_that_is_sent_is_the_same_as_another_or_tells_the_secret() {
        let entropy = Entropy::seeded(1);
        let pending = Pending::begin(&entropy, NOW, None, &"/".repeat(2_000)).unwrap();
        assert_eq!(pending.next, "/");
        let other = Pending::begin(&entropy, NOW, None, "/").unwrap();
        let sent = [pending.state(), pending.nonce(), pending.verifier(), pending.challenge()];
        for (place, one) in sent.iter().enumerate() {
            assert_eq!(one.len(), 43);
            assert!(!sent[place + 1..].contains(one));
        }
        assert!(pending.is_of(&pending.state()));
        assert!(!pending.is_of(&other.state()) && !pending.is_of(""));
    }
}
