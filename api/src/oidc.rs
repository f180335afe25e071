//! Signing in with a provider of identities (OpenID Connect, specs/0026): the authorization code flow
//! with PKCE, for one provider that the settings name.
//!
//! What this knows is who somebody is at the provider. Whom that is here, and whether they may come in,
//! is decided in `people`.

mod keys;
mod pending;
mod provider;
mod token;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Url;
use runledger_ledger::access::Identity;
use runledger_ledger::clock::{Entropy, NoEntropy};
use runledger_ledger::time::Moment;
use serde::Deserialize;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::settings::OidcSettings;
use pending::Pending;
use provider::{Asker, Metadata, Trouble};
use token::{Expected, Told, Unbelievable};

pub(crate) use pending::{Linking, PATIENCE};

/// The path at which browsers come back.
pub(crate) const CALLBACK: &str = "/sign-in/openid/callback";
/// How many sign-ins ask the provider at a time.
const AT_A_TIME: usize = 16;
/// How long one more waits for its turn before it is told to come again: its code is lost then.
const ROOM: Duration = Duration::from_secs(5);
/// Most sign-ins of which it is remembered that they have ended.
const REMEMBERED: usize = 10_000;

/// The provider of this server.
#[derive(Debug)]
pub struct Provider {
    asker: Asker,
    entropy: Entropy,
    room: Semaphore,
    ended: Mutex<HashMap<String, Moment>>,
}

/// A sign-in that was begun.
#[derive(Debug)]
pub(crate) struct Begun {
    /// Where the browser goes.
    pub(crate) url: Url,
    /// What it keeps until it comes back.
    pub(crate) cookie: String,
}

/// What a browser brings back. What else a provider adds is not looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Brought {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// Who signed in at the provider.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// Who it is, for good.
    pub(crate) identity: Identity,
    /// What the provider calls them, if it stands for that.
    pub(crate) name: Option<String>,
    /// Their groups there.
    pub(crate) groups: Vec<String>,
    /// Whoever wants to be known as this one; none signs in.
    pub(crate) linking: Option<Linking>,
    /// Where to go on.
    pub(crate) next: String,
}

/// Why nobody signed in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// This browser has begun no such sign-in, or too long ago.
    #[error("this browser has begun no such sign-in, or too long ago")]
    NotBegun,
    /// Somebody said no at the provider.
    #[error("it was refused at the provider")]
    Denied,
    /// The provider is not there, or makes no sense.
    #[error("{0}")]
    NoAnswer(String),
    /// It is there, and gives nothing for a code that could be used.
    #[error("{0}")]
    NoToken(String),
    /// Too many sign in at the same moment.
    #[error("too many sign in at the same moment")]
    Busy,
    /// What came is not to be believed.
    #[error("{0}")]
    NotBelieved(String),
    /// There were no random bytes.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

impl From<Trouble> for Refusal {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::NoAnswer(_) => Refusal::NoAnswer(trouble.to_string()),
            Trouble::Refused(_) => Refusal::NotBelieved(trouble.to_string()),
        }
    }
}

impl From<Unbelievable> for Refusal {
    fn from(why: Unbelievable) -> Self {
        Refusal::NotBelieved(format!("the ID token is not believed: {why}"))
    }
}

/// A way back that belongs to a sign-in which was begun in the same browser.
#[derive(Clone)]
pub(crate) struct Returned {
    pending: Pending,
    code: String,
    iss: Option<String>,
}

impl Provider {
    /// The one that the settings name. It is not asked before somebody signs in.
    ///
    /// # Errors
    /// If this machine can ask nobody.
    pub fn new(settings: OidcSettings, entropy: Entropy) -> Result<Self, reqwest::Error> {
        let (room, ended) = (Semaphore::new(AT_A_TIME), Mutex::default());
        Ok(Provider { asker: Asker::new(settings)?, entropy, room, ended })
    }

    /// What it is, and what its word counts for.
    pub(crate) const fn settings(&self) -> &OidcSettings {
        self.asker.settings()
    }

    /// Begins a sign-in, or the linking of whoever has a session and has given the password of which
    /// the ledger keeps this.
    pub(crate) async fn begin(
        &self,
        now: Moment,
        of: Option<(Uuid, &str)>,
        next: &str,
    ) -> Result<Begun, Refusal> {
        let metadata = self.asker.metadata(now).await?;
        let pending = Pending::begin(&self.entropy, now, of, next)?;
        let settings = self.settings();
        let mut scopes = vec!["openid"];
        scopes.extend(settings.scopes.iter().map(String::as_str).filter(|one| *one != "openid"));
        let mut url = metadata.authorization.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &settings.client_id)
            .append_pair("redirect_uri", settings.callback().as_str())
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", &pending.state())
            .append_pair("nonce", &pending.nonce())
            .append_pair("code_challenge", &pending.challenge())
            .append_pair("code_challenge_method", "S256");
        Ok(Begun { url, cookie: pending.write() })
    }

    /// Looks at what a browser brings back, as far as nobody has to be asked. A sign-in ends once.
    pub(crate) fn returned(
        &self,
        cookie: Option<&str>,
        brought: Brought,
        now: Moment,
    ) -> Result<Returned, Refusal> {
        let Brought { code, state, iss, error } = brought;
        let pending = cookie.and_then(|cookie| Pending::read(cookie, now));
        let pending = pending.ok_or(Refusal::NotBegun)?;
        if !pending.is_of(&state.unwrap_or_default()) || !self.end(pending.state(), now) {
            return Err(Refusal::NotBegun);
        }
        let other = |iss: &String| *iss != self.settings().issuer;
        if iss.as_ref().is_some_and(other) {
            return Err(Refusal::NotBelieved("the answer is of another issuer".to_owned()));
        }
        match (error.as_deref(), code) {
            (Some("access_denied"), _) => Err(Refusal::Denied),
            (Some("temporarily_unavailable" | "server_error"), _) => {
                Err(Refusal::NoAnswer("it sent the browser back with an error".to_owned()))
            }
            (None, Some(code)) if !code.is_empty() => Ok(Returned { pending, code, iss }),
            (error, _) => {
                let error = error.unwrap_or("without a code");
                let shown: String = error.chars().filter(char::is_ascii_graphic).take(60).collect();
                Err(Refusal::NotBelieved(format!("the provider sent the browser back: {shown}")))
            }
        }
    }

    /// Asks the provider who it is that came back. `clock` tells the time, which goes on meanwhile.
    pub(crate) async fn who(
        &self,
        returned: Returned,
        clock: impl Fn() -> Moment,
    ) -> Result<Known, Refusal> {
        let room = tokio::time::timeout(ROOM, self.room.acquire()).await;
        let _room = room.map_err(|_| Refusal::Busy)?.map_err(|_| Refusal::Busy)?;
        let Returned { pending, code, iss } = returned;
        let metadata = self.asker.metadata(clock()).await?;
        if metadata.names_itself && iss.is_none() {
            return Err(Refusal::NotBelieved("the answer does not say whose it is".to_owned()));
        }
        let token = self.asker.exchange(&metadata, &pending, &code).await;
        let token = token.map_err(|trouble| match trouble {
            Trouble::NoAnswer(_) => Refusal::NoToken(trouble.to_string()),
            Trouble::Refused(_) => trouble.into(),
        })?;
        let told = self.believed(&metadata, &token, &pending.nonce(), clock()).await?;
        let settings = self.settings();
        let subject = told.subject(&settings.subject_claim)?;
        if told.0.contains_key("_claim_names") {
            tracing::warn!(
                issuer = settings.issuer,
                "claims of a token stand elsewhere, such as the groups of somebody in very many: \
                 they count as none"
            );
        }
        Ok(Known {
            identity: Identity { issuer: settings.issuer.clone(), subject },
            name: told.name(&settings.name_claim).map(str::to_owned),
            groups: told.groups(&settings.groups_claim),
            linking: pending.linking,
            next: pending.next,
        })
    }

    /// What a token says. For a key that is not known, or that does not fit (a provider may change its
    /// only key and name neither), the provider is asked for its keys once more.
    async fn believed(
        &self,
        metadata: &Metadata,
        token: &str,
        nonce: &str,
        now: Moment,
    ) -> Result<Told, Refusal> {
        let settings = self.settings();
        let (issuer, client_id) = (settings.issuer.as_str(), settings.client_id.as_str());
        let expected = Expected { issuer, client_id, nonce, now };
        let mut told = Err(Unbelievable::NoKey);
        for again in [false, true] {
            if !matches!(told, Err(Unbelievable::NoKey | Unbelievable::Signature)) {
                break;
            }
            let Some(keys) = self.asker.keys(metadata, now, again).await? else { break };
            told = token::believe(token, &keys, expected);
        }
        Ok(told?)
    }

    /// Notes that a sign-in has ended; false if it had before. The provider takes no code twice either,
    /// so what is forgotten here lets nobody in.
    fn end(&self, state: String, now: Moment) -> bool {
        let mut ended = self.ended();
        if ended.len() >= REMEMBERED {
            ended.retain(|_, at| now.since(*at) < PATIENCE);
        }
        if ended.len() >= REMEMBERED {
            ended.clear();
        }
        ended.insert(state, now).is_none()
    }

    fn ended(&self) -> MutexGuard<'_, HashMap<String, Moment>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OidcSettings {
    /// Where browsers come back: what the provider has to know beforehand.
    pub fn callback(&self) -> Url {
        let mut url = self.public_url.clone();
        url.set_path(CALLBACK);
        url
    }
}
