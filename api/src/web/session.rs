//! Who looks: sessions of browsers, and the link that begins the first one.
//!
//! Nothing that a browser holds is kept as it is: references and links are known by their hashes.
//! Time comes from the ledger's clock. Users and roles come in where a [`Viewer`] is made.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, HeaderValue, header};
use runledger_ledger::clock::{Entropy, NoEntropy};
use runledger_ledger::time::{Moment, Span};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::security::is_loopback;

/// How long a session lasts without a request.
const IDLE: Span = Span::from_secs(8 * 60 * 60);
/// How long it lasts at most.
const LONGEST: Span = Span::from_secs(24 * 60 * 60);
/// How long the printed link may wait to be used.
const CODE: Span = Span::from_secs(60 * 60);
/// Sessions at a time; the one that was idle longest makes room.
const MOST: usize = 1_000;

/// The cookie where connections are encrypted.
const SECURE: &str = "__Host-runledger";
/// The cookie on a loopback address, where browsers take no secure one over plain HTTP.
const LOOPBACK: &str = "runledger";

type Hash = [u8; 32];

/// All sessions of this server, and the links that have not been used.
#[derive(Debug)]
pub struct Sessions {
    entropy: Entropy,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    sessions: HashMap<Hash, Session>,
    codes: HashMap<Hash, Moment>,
}

#[derive(Clone, Debug)]
struct Session {
    began: Moment,
    seen: Moment,
    form_token: String,
}

/// What signs in once.
#[derive(Clone, Debug)]
pub struct SignInCode(pub String);

/// Whoever has a session.
#[derive(Clone, Debug)]
pub(super) struct Viewer {
    /// What forms of this session carry.
    pub(super) form_token: String,
}

impl Viewer {
    /// Whether a form was made for this session. Takes as long whether it was or not.
    pub(super) fn made(&self, form_token: &str) -> bool {
        self.form_token.as_bytes().ct_eq(form_token.as_bytes()).into()
    }
}

impl Sessions {
    /// None yet.
    pub fn new(entropy: Entropy) -> Self {
        Sessions { entropy, inner: Mutex::default() }
    }

    /// Something that signs in once, within an hour.
    pub fn code(&self, now: Moment) -> Result<SignInCode, NoEntropy> {
        let code = self.random()?;
        let mut inner = self.lock();
        inner.codes.retain(|_, until| *until > now);
        inner.codes.insert(hash(&code), now.plus(CODE));
        Ok(SignInCode(code))
    }

    /// Whether `code` signs in now. It does not a second time.
    pub(super) fn redeem(&self, code: &str, now: Moment) -> bool {
        self.lock().codes.remove(&hash(code)).is_some_and(|until| until > now)
    }

    /// Begins a session: the reference for its cookie.
    pub(super) fn begin(&self, now: Moment) -> Result<String, NoEntropy> {
        let (reference, form_token) = (self.random()?, self.random()?);
        let mut inner = self.lock();
        inner.sessions.retain(|_, session| session.is_there(now));
        if inner.sessions.len() >= MOST {
            let idlest = inner.sessions.iter().min_by_key(|(_, session)| session.seen);
            if let Some(idlest) = idlest.map(|(reference, _)| *reference) {
                inner.sessions.remove(&idlest);
            }
        }
        inner.sessions.insert(hash(&reference), Session { began: now, seen: now, form_token });
        Ok(reference)
    }

    /// Who sends these headers. `active` is whether a person does: what a page asks by itself keeps
    /// no session alive.
    pub(super) fn viewer(&self, headers: &HeaderMap, now: Moment, active: bool) -> Option<Viewer> {
        let reference = hash(cookie(headers, name(headers))?);
        let mut inner = self.lock();
        let session = inner.sessions.get_mut(&reference)?;
        if !session.is_there(now) {
            inner.sessions.remove(&reference);
            return None;
        }
        if active {
            session.seen = session.seen.max(now);
        }
        Some(Viewer { form_token: session.form_token.clone() })
    }

    /// Ends the session of whoever sends these headers.
    pub(super) fn end(&self, headers: &HeaderMap) {
        if let Some(reference) = cookie(headers, name(headers)) {
            self.lock().sessions.remove(&hash(reference));
        }
    }

    fn random(&self) -> Result<String, NoEntropy> {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes)?;
        Ok(hex::encode(bytes))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn is_there(&self, now: Moment) -> bool {
        now < self.seen.plus(IDLE) && now < self.began.plus(LONGEST)
    }
}

fn hash(text: &str) -> Hash {
    Sha256::digest(text).into()
}

fn name(headers: &HeaderMap) -> &'static str {
    if is_loopback(headers) { LOOPBACK } else { SECURE }
}

/// The header that hands a browser the reference of its session, or takes it away.
pub(super) fn set_cookie(headers: &HeaderMap, reference: Option<&str>) -> Option<HeaderValue> {
    let (value, age) = match reference {
        Some(reference) => (reference, LONGEST.micros() / 1_000_000),
        None => ("", 0),
    };
    let secure = if is_loopback(headers) { "" } else { "; Secure" };
    let name = name(headers);
    let text = format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).ok()
}

/// The value of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|text| text.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_micros(1_767_225_600_000_000);

    fn with(reference: &str) -> HeaderMap {
        let cookie = format!("a=b; {LOOPBACK}={reference}");
        [
            (header::HOST, HeaderValue::from_static("127.0.0.1:7300")),
            (header::COOKIE, HeaderValue::from_str(&cookie).unwrap()),
        ]
        .into_iter()
        .collect()
    }

    fn hours(hours: i64) -> Moment {
        NOW.plus(Span::from_secs(hours * 3_600))
    }

    #[test]
    fn a_session_ends_when_it_was_idle_too_long_and_when_it_lasted_too_long() {
        let sessions = Sessions::new(Entropy::seeded(1));
        let headers = with(&sessions.begin(NOW).unwrap());
        assert!(sessions.viewer(&headers, hours(7), true).is_some());
        assert!(sessions.viewer(&headers, hours(14), false).is_some());
        assert!(
            sessions.viewer(&headers, hours(15), true).is_none(),
            "what a page asks counts not"
        );
        let headers = with(&sessions.begin(NOW).unwrap());
        for hour in (6..24).step_by(6) {
            assert!(sessions.viewer(&headers, hours(hour), true).is_some());
        }
        assert!(sessions.viewer(&headers, hours(24), true).is_none());
    }

    #[test]
    fn a_link_signs_in_once_and_within_an_hour() {
        let sessions = Sessions::new(Entropy::seeded(1));
        let SignInCode(code) = sessions.code(NOW).unwrap();
        assert!(!sessions.redeem("another", NOW));
        assert!(sessions.redeem(&code, NOW));
        assert!(!sessions.redeem(&code, NOW));
        let SignInCode(code) = sessions.code(NOW).unwrap();
        assert!(!sessions.redeem(&code, hours(1)));
    }

    #[test]
    fn who_signs_out_is_gone_and_so_is_the_cookie() {
        let sessions = Sessions::new(Entropy::seeded(1));
        let headers = with(&sessions.begin(NOW).unwrap());
        let viewer = sessions.viewer(&headers, NOW, true).unwrap();
        assert!(viewer.made(&viewer.form_token) && !viewer.made(""));
        sessions.end(&headers);
        assert!(sessions.viewer(&headers, NOW, true).is_none());
        let taken = set_cookie(&headers, None).unwrap();
        assert!(taken.to_str().unwrap().contains("Max-Age=0"));
    }

    #[test]
    fn only_a_loopback_address_is_handed_a_cookie_that_is_not_secure() {
        let cookie = |host: &'static str| {
            let headers = [(header::HOST, HeaderValue::from_static(host))].into_iter().collect();
            set_cookie(&headers, Some("r")).unwrap().to_str().unwrap().to_owned()
        };
        assert!(cookie("localhost:7300").starts_with("runledger=r; Path=/; "));
        let secure = cookie("ledger.example");
        assert!(secure.starts_with("__Host-runledger=r; Path=/; "), "{secure}");
        assert!(secure.ends_with("HttpOnly; SameSite=Lax; Secure"), "{secure}");
    }
}
