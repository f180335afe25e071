//! What is asked of a provider: where its endpoints are, which keys it has, and who a code is of.
//!
//! Nothing else is ever asked: the discovery document lies where the issuer says, and the endpoints are
//! those that it names. Each answer has an end in time and size, and no redirect is followed. Whoever
//! asks while the provider gives no answer is told so at once.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{RequestBuilder, StatusCode, Url, header, redirect};
use runledger_ledger::time::{Moment, Span};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::keys::Keys;
use super::pending::Pending;
use crate::settings::{OidcSettings, is_loopback, is_safe};

/// How long a provider may take to answer.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// How long it may take to be connected to.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Most bytes of an answer.
const MOST_BYTES: usize = 256 * 1024;
/// How long what a provider says of itself is taken for true.
const FRESH: Span = Span::from_secs(60 * 60);
/// How long it is, if the provider gives no answer any more.
const STALE: Span = Span::from_secs(24 * 60 * 60);
/// How long it is not asked again after it was asked and gave no answer: longer than it takes to know
/// that, or whoever waited meanwhile would ask at once.
const REST: Span = Span::from_secs(30);
/// How often keys are looked for at most because one is not known.
const LOOK_AGAIN: Span = Span::from_secs(60);

/// Why a provider did not help.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// It gave no answer, or none that can be used. It may be there again in a moment.
    #[error("the provider gave no usable answer: {0}")]
    NoAnswer(String),
    /// It does not accept the code.
    #[error("the provider does not accept the code: {0}")]
    Refused(String),
}

/// What a provider says of itself.
#[derive(Clone, Debug)]
pub(super) struct Metadata {
    /// Where browsers are sent.
    pub(super) authorization: Url,
    token: Url,
    keys: Url,
    by_post: bool,
    /// Whether it always says who it is when it sends a browser back (RFC 9207).
    pub(super) names_itself: bool,
}

#[derive(Deserialize)]
struct Discovered {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

#[derive(Deserialize)]
struct Answered {
    id_token: Option<String>,
}

#[derive(Deserialize)]
struct Erred {
    error: String,
}

/// Asks one provider, and remembers what it says of itself.
#[derive(Debug)]
pub(super) struct Asker {
    settings: OidcSettings,
    http: reqwest::Client,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    metadata: Option<(Arc<Metadata>, Moment)>,
    keys: Option<(Arc<Keys>, Moment)>,
    /// When it last told nothing of itself, and no keys.
    metadata_failed: Option<Moment>,
    keys_failed: Option<Moment>,
}

impl Asker {
    pub(super) fn new(settings: OidcSettings) -> Result<Self, reqwest::Error> {
        // Another part of the process may have chosen already; any choice will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let on_this_machine = Url::parse(&settings.issuer).is_ok_and(|url| is_loopback(&url));
        let http = reqwest::Client::builder()
            .https_only(!on_this_machine)
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .timeout(TIME_LIMIT)
            .user_agent("runledger")
            .build()?;
        Ok(Asker { settings, http, known: Mutex::default() })
    }

    pub(super) const fn settings(&self) -> &OidcSettings {
        &self.settings
    }

    /// Where its endpoints are.
    pub(super) async fn metadata(&self, now: Moment) -> Result<Arc<Metadata>, Trouble> {
        let mut known = self.known.lock().await;
        let age = known.metadata.as_ref().map(|(_, at)| age(*at, now));
        let kept = known.metadata.as_ref().map(|(metadata, _)| Arc::clone(metadata));
        if let Some(kept) = kept.clone().filter(|_| age.is_some_and(|age| age < FRESH)) {
            return Ok(kept);
        }
        let kept = kept.filter(|_| age.is_some_and(|age| age < STALE));
        match unless_failed(&mut known.metadata_failed, now, self.discover()).await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                known.metadata = Some((Arc::clone(&metadata), now));
                Ok(metadata)
            }
            Err(trouble) => kept.ok_or(trouble),
        }
    }

    /// Its keys. With `look_again`, those that are known are not enough: it is asked once more, unless
    /// it was a moment ago, for which there is none.
    pub(super) async fn keys(
        &self,
        metadata: &Metadata,
        now: Moment,
        look_again: bool,
    ) -> Result<Option<Arc<Keys>>, Trouble> {
        let mut known = self.known.lock().await;
        let age = known.keys.as_ref().map(|(_, at)| age(*at, now));
        let lasts = if look_again { LOOK_AGAIN } else { FRESH };
        if age.is_some_and(|age| age < lasts) {
            let kept = known.keys.as_ref().map(|(keys, _)| Arc::clone(keys));
            return Ok(kept.filter(|_| !look_again));
        }
        let read = self.read_keys(&metadata.keys);
        let keys = Arc::new(unless_failed(&mut known.keys_failed, now, read).await?);
        known.keys = Some((Arc::clone(&keys), now));
        Ok(Some(keys))
    }

    /// The token of a code.
    pub(super) async fn exchange(
        &self,
        metadata: &Metadata,
        pending: &Pending,
        code: &str,
    ) -> Result<String, Trouble> {
        let settings = &self.settings;
        let callback = settings.callback();
        let verifier = pending.verifier();
        let mut pairs = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", callback.as_str()),
            ("code_verifier", verifier.as_str()),
        ];
        let mut request = self.http.post(metadata.token.clone());
        match &settings.client_secret {
            None => pairs.push(("client_id", &settings.client_id)),
            Some(secret) if metadata.by_post => {
                pairs.push(("client_id", &settings.client_id));
                pairs.push(("client_secret", secret.expose()));
            }
            Some(secret) => {
                let (id, secret) = (form(&[("", &settings.client_id)]), secret.expose());
                let pair = format!("{}:{}", part(&id), part(&form(&[("", secret)])));
                let mut basic =
                    header::HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))
                        .map_err(|_| {
                            Trouble::NoAnswer("the client's secret cannot be sent".to_owned())
                        })?;
                basic.set_sensitive(true);
                request = request.header(header::AUTHORIZATION, basic);
            }
        }
        let request = request
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form(&pairs));
        let (status, body) = answer(request).await?;
        if status.is_client_error() {
            let erred: Option<Erred> = serde_json::from_slice(&body).ok();
            // Of what it says only what stands in the standard: the rest may hold anything.
            let why = erred.map(|erred| erred.error).filter(|why| is_plain(why));
            let why = why.unwrap_or_else(|| status.as_u16().to_string());
            // That is about this server and not about whoever signs in.
            let ours = status == StatusCode::TOO_MANY_REQUESTS
                || ["invalid_client", "unauthorized_client"].contains(&why.as_str());
            return Err(if ours { Trouble::NoAnswer(why) } else { Trouble::Refused(why) });
        }
        let answered: Answered = read(status, &body)?;
        answered.id_token.ok_or_else(|| Trouble::Refused("there is no ID token".to_owned()))
    }

    async fn discover(&self) -> Result<Metadata, Trouble> {
        let issuer = &self.settings.issuer;
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let (status, body) = answer(self.http.get(url)).await?;
        let found: Discovered = read(status, &body)?;
        if found.issuer != *issuer {
            let other: String = found.issuer.chars().take(200).collect();
            return Err(Trouble::NoAnswer(format!(
                "it calls itself {other:?}, and `issuer` is {issuer:?}; they must be the same"
            )));
        }
        let methods = found.token_endpoint_auth_methods_supported.unwrap_or_default();
        let takes = |method: &str| methods.iter().any(|known| known == method);
        Ok(Metadata {
            authorization: self.endpoint(&found.authorization_endpoint)?,
            token: self.endpoint(&found.token_endpoint)?,
            keys: self.endpoint(&found.jwks_uri)?,
            by_post: takes("client_secret_post") && !takes("client_secret_basic"),
            names_itself: found.authorization_response_iss_parameter_supported,
        })
    }

    /// An endpoint that may be spoken to: encrypted, and not on this machine unless the provider is.
    fn endpoint(&self, text: &str) -> Result<Url, Trouble> {
        let here = Url::parse(&self.settings.issuer).is_ok_and(|url| is_loopback(&url));
        let url = Url::parse(text).ok().filter(is_safe);
        url.filter(|url| here || !is_loopback(url)).ok_or_else(|| {
            let shown: String = text.chars().take(200).collect();
            Trouble::NoAnswer(format!("its endpoint {shown:?} is not one that may be asked"))
        })
    }

    async fn read_keys(&self, url: &Url) -> Result<Keys, Trouble> {
        let (status, body) = answer(self.http.get(url.clone())).await?;
        if status != StatusCode::OK {
            return Err(Trouble::NoAnswer(format!("it answered {status}")));
        }
        Keys::parse(&body).map_err(|_| Trouble::NoAnswer("its keys cannot be read".to_owned()))
    }
}

/// Asks, unless the provider gave no answer to the same a moment ago.
async fn unless_failed<T>(
    failed: &mut Option<Moment>,
    now: Moment,
    ask: impl Future<Output = Result<T, Trouble>>,
) -> Result<T, Trouble> {
    if failed.is_some_and(|at| age(at, now) < REST) {
        return Err(Trouble::NoAnswer("it gave none a moment ago".to_owned()));
    }
    // Who goes away before there is an answer had none either.
    *failed = Some(now);
    let asked = ask.await;
    if asked.is_ok() {
        *failed = None;
    }
    asked
}

/// How long ago something was. What is of the future is of a clock that was set back since, and as old
/// as can be.
fn age(at: Moment, now: Moment) -> Span {
    if at > now { STALE } else { now.since(at) }
}

/// Sends a request, and reads an answer that has an end.
async fn answer(request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), Trouble> {
    let failed = |error: reqwest::Error| Trouble::NoAnswer(reason(&error.without_url()));
    let request = request.header(header::ACCEPT, "application/json");
    let mut answer = request.send().await.map_err(failed)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if bytes.len() + chunk.len() > MOST_BYTES {
            return Err(Trouble::NoAnswer("it is too long".to_owned()));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((answer.status(), bytes))
}

/// What went wrong, with what is behind it.
fn reason(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

fn read<T: serde::de::DeserializeOwned>(status: StatusCode, body: &[u8]) -> Result<T, Trouble> {
    if status != StatusCode::OK {
        return Err(Trouble::NoAnswer(format!("it answered {status}")));
    }
    // What is wrong may show what is in it, so it is not told.
    serde_json::from_slice(body).map_err(|_| Trouble::NoAnswer("it cannot be read".to_owned()))
}

/// Pairs as a form is sent.
fn form(pairs: &[(&str, &str)]) -> String {
    // Only its query is used.
    let Ok(mut url) = Url::parse("https://form.invalid/") else { return String::new() };
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

/// The value of a form of one pair without a name.
fn part(form: &str) -> &str {
    form.strip_prefix('=').unwrap_or(form)
}

fn is_plain(word: &str) -> bool {
    word.len() <= 60 && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_written_so_that_nothing_in_it_ends_it() {
        assert_eq!(form(&[("a", "b&c=d e"), ("f", "ü")]), "a=b%26c%3Dd+e&f=%C3%BC");
        assert_eq!(part(&form(&[("", "a:b%")])), "a%3Ab%25");
        assert!(is_plain("invalid_grant") && !is_plain("<b>") && !is_plain("Invalid grant"));
    }
}
