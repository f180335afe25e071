//! Who looks: sessions of browsers, and the link that begins the first one.
//!
//! Nothing that a browser holds is kept as it is: references and links are known by their hashes.
//! Sessions lie in the database, so that they outlive a restart, and so that ending one counts on
//! every server. Time comes from the ledger's clock.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, HeaderValue, header};
use runledger_ledger::clock::{Entropy, NoEntropy};
use runledger_ledger::store::{Principal, Proof, SecretHash, Store, StoreError, WebSession};
use runledger_ledger::time::{Moment, Span};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use super::security::is_loopback;

/// How long a session lasts without a request.
const IDLE: Span = Span::from_secs(8 * 60 * 60);
/// How long it lasts at most.
const LONGEST: Span = Span::from_secs(24 * 60 * 60);
/// How long the printed link may wait to be used.
const CODE: Span = Span::from_secs(60 * 60);
/// How exactly it is kept when a session was last used.
const NOTED: Span = Span::from_secs(60);
/// Most bytes that are kept of what a browser calls itself.
const DEVICE: usize = 200;

/// The cookie where connections are encrypted.
const SECURE: &str = "__Host-runledger";
/// The cookie on a loopback address, where browsers take no secure one over plain HTTP.
const LOOPBACK: &str = "runledger";

/// The sessions of browsers, which lie in the database, and the links of this server that have not
/// been used.
#[derive(Debug)]
pub struct Sessions {
    store: Store,
    entropy: Entropy,
    codes: Mutex<HashMap<SecretHash, Moment>>,
}

/// What signs in once.
#[derive(Clone, Debug)]
pub struct SignInCode(pub String);

/// Whoever has a session.
#[derive(Clone, Debug)]
pub(super) struct Viewer {
    /// What forms of this session carry.
    pub(super) form_token: String,
    /// Who is signed in; none is the administrator of the server.
    pub(super) person: Option<Principal>,
    /// What the session is called by.
    pub(super) session: Uuid,
}

impl Viewer {
    /// Whether a form was made for this session. Takes as long whether it was or not.
    pub(super) fn made(&self, form_token: &str) -> bool {
        self.form_token.as_bytes().ct_eq(form_token.as_bytes()).into()
    }
}

/// Why a session did not begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    /// The database failed.
    #[error("the session could not be kept")]
    Store(#[from] StoreError),
    /// There were no random bytes.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

impl Sessions {
    /// Those in `store`.
    pub fn new(store: Store, entropy: Entropy) -> Self {
        Sessions { store, entropy, codes: Mutex::default() }
    }

    /// Something that signs the administrator in once, within an hour.
    pub fn code(&self, now: Moment) -> Result<SignInCode, NoEntropy> {
        let code = self.random()?;
        let mut codes = self.lock();
        codes.retain(|_, until| *until > now);
        codes.insert(hash(&code), now.plus(CODE));
        Ok(SignInCode(code))
    }

    /// Whether `code` signs in now. It does not a second time.
    pub(super) fn redeem(&self, code: &str, now: Moment) -> bool {
        self.lock().remove(&hash(code)).is_some_and(|until| until > now)
    }

    /// Begins a session of the administrator: the reference for its cookie.
    pub(super) async fn begin(
        &self,
        headers: &HeaderMap,
        now: Moment,
    ) -> Result<String, SessionError> {
        let (reference, session) = self.prepare(headers, now).await?;
        self.store.begin_web_session(&hash(&reference), &session).await?;
        Ok(reference)
    }

    /// The same for a person who was recognized; none if they may not sign in any more, or what was
    /// found to be true of them is not by now.
    pub(super) async fn begin_of(
        &self,
        person: Uuid,
        proof: Proof<'_>,
        headers: &HeaderMap,
        now: Moment,
    ) -> Result<Option<String>, SessionError> {
        let (reference, session) = self.prepare(headers, now).await?;
        let store = &self.store;
        let begun = store.begin_web_session_of(person, proof, &hash(&reference), &session).await?;
        Ok(begun.then_some(reference))
    }

    async fn prepare(
        &self,
        headers: &HeaderMap,
        now: Moment,
    ) -> Result<(String, WebSession), SessionError> {
        let (reference, form_token) = (self.random()?, self.random()?);
        let mut id = [0; 16];
        self.entropy.fill(&mut id)?;
        self.store.sweep_web_sessions(before(now, LONGEST), before(now, IDLE)).await?;
        let session = WebSession {
            id: uuid::Builder::from_random_bytes(id).into_uuid(),
            principal: None,
            form_token,
            began_at: now,
            seen_at: now,
            device: device(headers),
        };
        Ok((reference, session))
    }

    /// Who sends these headers. `active` is whether a person does: what a page asks by itself keeps
    /// no session alive.
    pub(super) async fn viewer(
        &self,
        headers: &HeaderMap,
        now: Moment,
        active: bool,
    ) -> Result<Option<Viewer>, StoreError> {
        let Some(reference) = cookie(headers, &name(headers)) else { return Ok(None) };
        let reference = hash(reference);
        let Some(session) = self.store.web_session(&reference).await? else { return Ok(None) };
        if !is_there(&session, now) {
            self.store.end_web_session(&reference).await?;
            return Ok(None);
        }
        if active && now.since(session.seen_at) >= NOTED {
            self.store.note_web_session(&reference, now).await?;
        }
        let WebSession { id, principal, form_token, .. } = session;
        Ok(Some(Viewer { form_token, person: principal, session: id }))
    }

    /// Ends the session of whoever sends these headers.
    pub(super) async fn end(&self, headers: &HeaderMap) -> Result<(), StoreError> {
        match cookie(headers, &name(headers)) {
            Some(reference) => self.store.end_web_session(&hash(reference)).await,
            None => Ok(()),
        }
    }

    fn random(&self) -> Result<String, NoEntropy> {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes)?;
        Ok(hex::encode(bytes))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SecretHash, Moment>> {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a session is still there: not idle too long, and not too old.
pub(crate) fn is_there(session: &WebSession, now: Moment) -> bool {
    now < session.seen_at.plus(IDLE) && now < session.began_at.plus(LONGEST)
}

fn before(now: Moment, span: Span) -> Moment {
    Moment::from_micros(now.micros() - span.micros())
}

/// What a browser calls itself, as far as it is shown to its owner.
fn device(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let mut agent = agent.unwrap_or_default().to_owned();
    agent.truncate(agent.floor_char_boundary(DEVICE));
    agent
}

fn hash(text: &str) -> SecretHash {
    Sha256::digest(text).into()
}

/// Cookies know nothing of ports: two servers on one machine would take each other's, so the port
/// is in the name.
fn name(headers: &HeaderMap) -> String {
    let name = if is_loopback(headers) { LOOPBACK } else { SECURE };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let port = host.rsplit_once(':').map(|(_, port)| port);
    match port.filter(|port| !port.is_empty() && port.bytes().all(|one| one.is_ascii_digit())) {
        Some(port) => format!("{name}-{port}"),
        None => name.to_owned(),
    }
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
    use runledger_ledger::store::StoreUrl;

    use super::*;

    const NOW: Moment = Moment::from_micros(1_767_225_600_000_000);

    fn with(reference: &str) -> HeaderMap {
        let cookie = format!("a=b; {LOOPBACK}-7300={reference}");
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

    async fn sessions() -> (Sessions, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let url = StoreUrl::SqliteScratch(directory.path().join("ledger.db"));
        let store = Store::open(&url).await.unwrap();
        (Sessions::new(store, Entropy::seeded(1)), directory)
    }

    #[tokio::test]
    async fn a_session_ends_when_it_was_idle_too_long_and_when_it_lasted_too_long() {
        let (sessions, _directory) = sessions().await;
        let none = HeaderMap::new();
        let begin = || sessions.begin(&none, NOW);
        let there = async |headers: &HeaderMap, at, active| {
            sessions.viewer(headers, at, active).await.unwrap().is_some()
        };
        let headers = with(&begin().await.unwrap());
        assert!(there(&headers, hours(7), true).await);
        assert!(there(&headers, hours(14), false).await);
        assert!(!there(&headers, hours(15), true).await, "what a page asks counts not");
        let headers = with(&begin().await.unwrap());
        for hour in (6..24).step_by(6) {
            assert!(there(&headers, hours(hour), true).await);
        }
        assert!(!there(&headers, hours(24), true).await);
    }

    #[tokio::test]
    async fn a_link_signs_in_once_and_within_an_hour() {
        let (sessions, _directory) = sessions().await;
        let SignInCode(code) = sessions.code(NOW).unwrap();
        assert!(!sessions.redeem("another", NOW));
        assert!(sessions.redeem(&code, NOW));
        assert!(!sessions.redeem(&code, NOW));
        let SignInCode(code) = sessions.code(NOW).unwrap();
        assert!(!sessions.redeem(&code, hours(1)));
    }

    #[tokio::test]
    async fn who_signs_out_is_gone_and_so_is_the_cookie() {
        let (sessions, _directory) = sessions().await;
        let headers = with(&sessions.begin(&HeaderMap::new(), NOW).await.unwrap());
        let viewer = sessions.viewer(&headers, NOW, true).await.unwrap().unwrap();
        assert!(viewer.made(&viewer.form_token) && !viewer.made(""));
        sessions.end(&headers).await.unwrap();
        assert!(sessions.viewer(&headers, NOW, true).await.unwrap().is_none());
        let taken = set_cookie(&headers, None).unwrap();
        assert!(taken.to_str().unwrap().contains("Max-Age=0"));
    }

    #[test]
    fn only_a_loopback_address_is_handed_a_cookie_that_is_not_secure() {
        let cookie = |host: &'static str| {
            let headers = [(header::HOST, HeaderValue::from_static(host))].into_iter().collect();
            set_cookie(&headers, Some("r")).unwrap().to_str().unwrap().to_owned()
        };
        assert!(cookie("localhost").starts_with("runledger=r; Path=/; "));
        // Two servers on one machine do not take each other's.
        assert!(cookie("localhost:7300").starts_with("runledger-7300=r; Path=/; "));
        let secure = cookie("ledger.example");
        assert!(secure.starts_with("__Host-runledger=r; Path=/; "), "{secure}");
        assert!(secure.ends_with("HttpOnly; SameSite=Lax; Secure"), "{secure}");
    }
}
