//! Signing in with the provider of identities: the way there and the way back (specs/0026).
//!
//! The way there is a link and no form: a browser that takes forms of this server to itself alone does
//! not follow them elsewhere. What it keeps meanwhile lies in a cookie of its own, and is taken back
//! with every answer on the way back, whatever it is.

use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use runledger_ledger::access::Identity;
use runledger_ledger::store::Proof;
use serde::Deserialize;

use super::fault::{Fault, Page};
use super::preferences::Preferences;
use super::security::is_loopback;
use super::session::{cookie, set_cookie};
use super::sign_in::{Origin, Told, Tried, own_path, shown};
use super::words::Words;
use crate::app::App;
use crate::oidc::{Brought, Known, Linking, PATIENCE, Provider, Refusal};
use crate::people::{Arrival, Hand, arrive};
use crate::problem::{ApiError, ApiResult};

/// The cookie of a sign-in that has begun, where connections are encrypted.
const SECURE: &str = "__Host-runledger-openid";
/// The same on a loopback address.
const LOOPBACK: &str = "runledger-openid";

/// Where to go on afterwards.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Towards {
    next: Option<String>,
}

/// What became of a way back.
enum Ended {
    /// Somebody is signed in, by this reference, or goes on in the session that they have.
    In(Option<String>, String),
    /// Nobody is, and this is why.
    Out(StatusCode, Told),
}

/// Sends a browser to the provider.
pub(super) async fn begin(
    State(app): State<App>,
    headers: HeaderMap,
    Query(Towards { next }): Query<Towards>,
) -> Page<Response> {
    let provider = provider(&app)?;
    let next = own_path(next.as_deref().unwrap_or("/")).to_owned();
    let w = Words::of(Preferences::of(&headers).language);
    match provider.begin(app.ledger().now(), None, &next).await {
        Ok(begun) => {
            let mut response = Redirect::to(begun.url.as_str()).into_response();
            keep(&headers, provider, &mut response, Some(&begun.cookie));
            Ok(response)
        }
        Err(refusal) => {
            let (status, told) = told(&refusal, provider, w);
            let tried = Tried { next, told: Some((status, told)), ..Tried::default() };
            shown(&app, &headers, tried).await
        }
    }
}

/// Takes a browser back from the provider, and begins a session for whoever may come in.
pub(super) async fn callback(
    State(app): State<App>,
    origin: Origin,
    headers: HeaderMap,
    uri: Uri,
) -> Page<Response> {
    let provider = provider(&app)?;
    // What cannot be read has brought nothing.
    let brought = Query::<Brought>::try_from_uri(&uri).map(|Query(brought)| brought);
    let ended = end(&app, provider, origin, &headers, brought.unwrap_or_default()).await;
    let mut response = match ended {
        Ok(Ended::In(reference, next)) => {
            let mut response = Redirect::to(own_path(&next)).into_response();
            if let Some(reference) = reference {
                // Whoever was signed in here before is not any more.
                app.sessions().end(&headers).await.map_err(ApiError::from)?;
                if let Some(cookie) = set_cookie(&headers, Some(&reference)) {
                    response.headers_mut().append(header::SET_COOKIE, cookie);
                }
            }
            response
        }
        Ok(Ended::Out(status, told)) => {
            let next = "/".to_owned();
            let tried = Tried { next, told: Some((status, told)), ..Tried::default() };
            shown(&app, &headers, tried).await?
        }
        Err(error) => Fault::from(error).into_response(),
    };
    keep(&headers, provider, &mut response, None);
    Ok(response)
}

async fn end(
    app: &App,
    provider: &Provider,
    Origin(address): Origin,
    headers: &HeaderMap,
    brought: Brought,
) -> ApiResult<Ended> {
    let now = app.ledger().now();
    let w = Words::of(Preferences::of(headers).language);
    let out = |refusal: Refusal| {
        let (status, told) = told(&refusal, provider, w);
        Ok(Ended::Out(status, told))
    };
    let (name, _) = kept_as(headers, provider);
    let returned = match provider.returned(cookie(headers, name), brought, now) {
        Ok(returned) => returned,
        Err(refusal) => return out(refusal),
    };
    // From here on the provider is asked, and somebody could ask it much with our help.
    let Some(attempt) = app.throttle().begin_from(address, now) else {
        let told = Told::of(w.say("openid-slow"));
        return Ok(Ended::Out(StatusCode::TOO_MANY_REQUESTS, told));
    };
    let known = provider.who(returned, || app.ledger().now()).await;
    // Whoever the provider knows has not made it work for nothing, and of what it was not asked
    // nobody has.
    if !matches!(known, Err(Refusal::NotBelieved(_) | Refusal::NoToken(_))) {
        app.throttle().forgive(attempt, true);
    }
    match known {
        Ok(Known { linking: Some(linking), identity, next, .. }) => {
            link(app, headers, (linking, identity, next), w).await
        }
        Ok(known) => let_in(app, provider, headers, known, w).await,
        Err(refusal) => out(refusal),
    }
}

/// Begins a session for somebody whom the provider knows, if they are somebody here.
async fn let_in(
    app: &App,
    provider: &Provider,
    headers: &HeaderMap,
    known: Known,
    w: &Words,
) -> ApiResult<Ended> {
    let of = &provider.settings().name;
    let out = |told: Told| Ok(Ended::Out(StatusCode::FORBIDDEN, told));
    let subject = || Some(known.identity.subject.clone());
    // A browser that goes away leaves nobody half made.
    let (all, settings, newcomer) = (app.clone(), provider.settings().clone(), known.clone());
    let arrived = tokio::spawn(async move { arrive(&all, &settings, &newcomer).await }).await;
    let person = match arrived.map_err(ApiError::internal)?? {
        Arrival::Welcome(person) => person,
        Arrival::Unknown => {
            return out(Told { text: w.say_of("openid-unknown", of), subject: subject() });
        }
        Arrival::Disabled => return out(Told::of(w.say("openid-disabled"))),
        Arrival::Nameless => {
            return out(Told { text: w.say_of("openid-nameless", of), subject: subject() });
        }
        Arrival::NameTaken(name) => {
            tracing::warn!(%name, "somebody new at the provider has the name of somebody here");
            return out(Told { text: w.say_of("openid-name-taken", of), subject: subject() });
        }
    };
    let proof = Proof::Identity(&known.identity);
    let now = app.ledger().now();
    let begun = app.sessions().begin_of(person.id, proof, headers, now).await;
    match begun.map_err(ApiError::internal)? {
        Some(reference) => Ok(Ended::In(Some(reference), known.next)),
        // They were disabled or unlinked while they were at the provider.
        None => out(Told::of(w.say("openid-disabled"))),
    }
}

/// Says who somebody is at the provider who is signed in here, and has asked for it in this session
/// with their password.
async fn link(
    app: &App,
    headers: &HeaderMap,
    (linking, identity, next): (Linking, Identity, String),
    w: &Words,
) -> ApiResult<Ended> {
    let viewer = app.sessions().viewer(headers, app.ledger().now(), true).await?;
    let viewer = viewer.filter(|viewer| viewer.session == linking.session);
    let not_begun = || Ok(Ended::Out(StatusCode::BAD_REQUEST, Told::of(w.say("openid-not-begun"))));
    let Some(person) = viewer.and_then(|viewer| viewer.person) else { return not_begun() };
    let credential = app.ledger().store().credential(person.name.as_str()).await?;
    if !credential.is_some_and(|credential| linking.knew(&credential.password)) {
        return not_begun();
    }
    let principal = app.directory().principal(&person).await?;
    let hand = Hand { app, actor: principal.actor() };
    let person = hand.person(&person.name).await?;
    // Another identity is for the administrator to take away first.
    let linked = match &person.identity {
        Some(other) if *other != identity => None,
        _ => match hand.link(&person, identity, None).await {
            Ok(_) => Some(()),
            Err(error) if error.code() == "identity_taken" => None,
            Err(error) => return Err(error),
        },
    };
    match linked {
        Some(()) => Ok(Ended::In(None, next)),
        None => Ok(Ended::Out(StatusCode::CONFLICT, Told::of(w.say("openid-taken")))),
    }
}

/// What a refusal says to whoever it is about. The reason in full is for the log.
fn told(refusal: &Refusal, provider: &Provider, w: &Words) -> (StatusCode, Told) {
    let settings = provider.settings();
    let of = |key| Told::of(w.say_of(key, &settings.name));
    match refusal {
        Refusal::NotBegun => (StatusCode::BAD_REQUEST, Told::of(w.say("openid-not-begun"))),
        Refusal::Denied => (StatusCode::FORBIDDEN, of("openid-denied")),
        Refusal::Busy => (StatusCode::SERVICE_UNAVAILABLE, Told::of(w.say("openid-busy"))),
        Refusal::NoAnswer(why) | Refusal::NoToken(why) => {
            tracing::warn!(issuer = settings.issuer, why, "nobody can sign in with the provider");
            (StatusCode::SERVICE_UNAVAILABLE, of("openid-no-answer"))
        }
        Refusal::NotBelieved(why) => {
            tracing::warn!(
                issuer = settings.issuer,
                why,
                "a sign-in with the provider was refused"
            );
            (StatusCode::UNAUTHORIZED, of("openid-not-believed"))
        }
        Refusal::Entropy(error) => {
            tracing::error!(%error, "nobody can sign in");
            (StatusCode::SERVICE_UNAVAILABLE, Told::of(w.say("openid-busy")))
        }
    }
}

fn provider(app: &App) -> ApiResult<&Provider> {
    app.provider().ok_or_else(|| ApiError::of_status(StatusCode::NOT_FOUND))
}

/// The name of the cookie, and what makes it one of encrypted connections alone. What a proxy says of
/// the host counts for nothing where browsers are known to come by https.
fn kept_as(headers: &HeaderMap, provider: &Provider) -> (&'static str, &'static str) {
    let plain = provider.settings().public_url.scheme() != "https";
    if plain && is_loopback(headers) { (LOOPBACK, "") } else { (SECURE, "; Secure") }
}

/// Hands a browser what it keeps until it comes back, or takes that away.
pub(super) fn keep(
    headers: &HeaderMap,
    provider: &Provider,
    response: &mut Response,
    value: Option<&str>,
) {
    let age = value.map_or(0, |_| PATIENCE.micros() / 1_000_000);
    let value = value.unwrap_or_default();
    let (name, secure) = kept_as(headers, provider);
    let text = format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&text) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}
