//! A sign-in that has begun, as the browser keeps it until it comes back.
//!
//! One random secret lies in a cookie that no script reads. What goes over the wire are three values
//! that follow from it and from which it does not: the state ties the way back to this browser, the
//! nonce ties the token to this sign-in, and the verifier (RFC 7636) ties the code to this server. So
//! nothing is kept here of sign-ins that nobody ends, and any server of several can end them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
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
    /// The session of whoever wants to be known by the provider from now on; none signs in.
    pub(super) session: Option<Uuid>,
    /// Where to go on.
    pub(super) next: String,
}

impl Pending {
    pub(super) fn begin(
        entropy: &Entropy,
        now: Moment,
        session: Option<Uuid>,
        next: &str,
    ) -> Result<Self, NoEntropy> {
        let mut secret = [0; 32];
        entropy.fill(&mut secret)?;
        let next = if next.len() <= LONGEST_NEXT { next } else { "/" };
        Ok(Pending { secret, began: now, session, next: next.to_owned() })
    }

    /// What the cookie holds.
    pub(super) fn write(&self) -> String {
        let session = self.session.map(|session| session.simple().to_string());
        let next = URL_SAFE_NO_PAD.encode(&self.next);
        let (secret, began) = (hex::encode(self.secret), self.began.micros());
        format!("{secret}.{began}.{}.{next}", session.unwrap_or_default())
    }

    /// Reads a cookie; none if it holds something else, or is too old.
    pub(super) fn read(cookie: &str, now: Moment) -> Option<Self> {
        let mut parts = cookie.split('.');
        let (secret, began) = (parts.next()?, parts.next()?);
        let (session, next) = (parts.next()?, parts.next()?);
        let began = Moment::from_micros(began.parse().ok()?);
        let pending = Pending {
            secret: hex::decode(secret).ok()?.try_into().ok()?,
            began,
            session: match session {
                "" => None,
                session => Some(session.parse().ok()?),
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
        let session = Some(Uuid::from_u128(7));
        let pending = Pending::begin(&Entropy::seeded(1), NOW, session, "/w/main?q=ü").unwrap();
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
