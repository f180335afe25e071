//! How much one token, one person and one address may ask for (specs/0023).
//!
//! What is over a limit is answered before its body is read: 429 with `Retry-After`, or 503 where
//! the clients of other systems lose what is answered with 429 (specs/0006). Nothing of it was
//! looked at. Events are counted once they are known, so a request is never cut in the middle:
//! whoever has reported too many waits before the next one.

mod buckets;
mod origin;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use runledger_ledger::time::Moment;
use uuid::Uuid;

pub use self::buckets::Rate;
use self::buckets::{Buckets, Wait};
use self::origin::Source;
pub use self::origin::{Networks, Peer};
use crate::access::Principal;
use crate::app::App;
use crate::metrics::{Limit, Metrics};
use crate::problem::{ApiError, ApiResult};
use crate::routes::lineage;

/// Where orchestrators ask whether the server lives. An answer costs nothing, and without one they
/// would end a server because somebody else asks too much.
const ALWAYS: [&str; 2] = ["/healthz", "/readyz"];

/// How much may be asked for. None is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitSettings {
    /// Requests of the holder of a token.
    pub token_requests: Option<Rate>,
    /// Events that the holder of a token reports.
    pub token_events: Option<Rate>,
    /// Requests of somebody who is signed in, in all their browsers together.
    pub person_requests: Option<Rate>,
    /// Requests from an address.
    pub address_requests: Option<Rate>,
    /// The proxies whose word counts about where a request comes from.
    pub trusted_proxies: Networks,
}

/// A setting of a limit: so many a second, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerSecond(pub Option<Rate>);

/// What is neither a number from 1 to a million nor `off`.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not a whole number from 1 to 1000000, and not `off`")]
pub struct NoRate;

impl FromStr for PerSecond {
    type Err = NoRate;

    fn from_str(text: &str) -> Result<Self, NoRate> {
        if text == "off" {
            return Ok(PerSecond(None));
        }
        let rate = text.parse::<NonZeroU32>().ok().and_then(Rate::new);
        rate.map(|rate| PerSecond(Some(rate))).ok_or(NoRate)
    }
}

/// The limits of one server, and what has been asked for lately.
#[derive(Debug)]
pub struct Limits {
    requests: Buckets<Option<Uuid>>,
    pages: Buckets<Option<Uuid>>,
    events: Buckets<Option<Uuid>>,
    addresses: Buckets<Source>,
    proxies: Networks,
}

impl Limits {
    /// These limits; nothing has been asked for yet. They are told to `metrics`.
    pub fn new(settings: LimitSettings, metrics: &Metrics) -> Self {
        let LimitSettings {
            token_requests,
            token_events,
            person_requests,
            address_requests,
            trusted_proxies,
        } = settings;
        for (limit, rate) in [
            (Limit::TokenRequests, token_requests),
            (Limit::TokenEvents, token_events),
            (Limit::PersonRequests, person_requests),
            (Limit::AddressRequests, address_requests),
        ] {
            metrics.limit(limit, rate.map_or(0, Rate::per_second));
        }
        Limits {
            requests: Buckets::new(token_requests),
            pages: Buckets::new(person_requests),
            events: Buckets::new(token_events),
            addresses: Buckets::new(address_requests),
            proxies: trusted_proxies,
        }
    }

    /// Counts a request of whoever holds a token. One holder of several tokens is one.
    fn request(&self, holder: Option<Uuid>, at: Moment) -> Result<(), (Limit, Wait)> {
        self.events.look(&holder, at).map_err(|wait| (Limit::TokenEvents, wait))?;
        self.requests.take(holder, at).map_err(|wait| (Limit::TokenRequests, wait))
    }
}

/// Lets a request through if its address has not asked for too much. It stands before everything
/// that costs anything: before the token is looked for, and before the body is read.
pub(crate) async fn by_address(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if let Some(limits) = app.limits().filter(|_| !ALWAYS.contains(&path)) {
        let peer = request.extensions().get::<Peer>();
        let source = peer.map(|peer| limits.proxies.source(*peer, request.headers()));
        let now = app.ledger().now();
        if let Some(Err(wait)) = source.map(|source| limits.addresses.take(source, now)) {
            return over(&app, Limit::AddressRequests, wait, path).into_response();
        }
    }
    next.run(request).await
}

/// The address that a request comes from, as far as the settings believe its headers. None if nobody
/// says, as where nothing listens.
pub(crate) fn address(app: &App, parts: &Parts) -> Option<IpAddr> {
    let Peer(peer) = *parts.extensions.get::<Peer>()?;
    match app.limits() {
        Some(limits) => Some(limits.proxies.client(peer, &parts.headers)),
        None => Some(peer),
    }
}

/// Counts a request of `principal`.
///
/// # Errors
/// 429, or 503 on the ways in of other systems, if it is one too many, or too many events came.
pub(crate) fn by_token(app: &App, principal: &Principal, path: &str) -> ApiResult<()> {
    let Some(limits) = app.limits() else { return Ok(()) };
    let counted = limits.request(principal.id(), app.ledger().now());
    counted.map_err(|(limit, wait)| over(app, limit, wait, path))
}

/// The same of a page that whoever is signed in asks for. They are counted by who they are and not by
/// their sessions, beside what others of the same address ask for.
///
/// # Errors
/// 429 if it is one too many.
pub(crate) fn by_session(app: &App, principal: &Principal) -> ApiResult<()> {
    let Some(limits) = app.limits() else { return Ok(()) };
    let counted = limits.pages.take(principal.id(), app.ledger().now());
    counted.map_err(|wait| over(app, Limit::PersonRequests, wait, ""))
}

/// Counts events that somebody reports, once it is known how many they are.
pub(crate) fn events(app: &App, principal: &Principal, count: usize) {
    if let Some(limits) = app.limits() {
        limits.events.charge(principal.id(), count, app.ledger().now());
    }
}

fn over(app: &App, limit: Limit, wait: Wait, path: &str) -> ApiError {
    app.metrics().limited(limit);
    let (code, what) = match limit {
        Limit::TokenRequests => ("too_many_requests", "the holder of this token sends requests"),
        Limit::TokenEvents => {
            ("too_many_events_a_second", "the holder of this token reports events")
        }
        Limit::PersonRequests => ("too_many_requests", "whoever is signed in here asks for pages"),
        Limit::AddressRequests => ("too_many_requests", "this address sends requests"),
    };
    let seconds = wait.seconds();
    let detail = format!(
        "{what} faster than this server takes them, and this one was not looked at; send it again \
         in {seconds} s (`{}` is the setting)",
        limit.as_str()
    );
    let status = match path.starts_with(lineage::PATH) {
        true => StatusCode::SERVICE_UNAVAILABLE,
        false => StatusCode::TOO_MANY_REQUESTS,
    };
    ApiError::new(status, code, detail).after(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_or_off() {
        assert_eq!("off".parse::<PerSecond>().unwrap(), PerSecond(None));
        let rate = "20".parse::<PerSecond>().unwrap().0.unwrap();
        assert_eq!(rate.per_second(), 20);
        for wrong in ["", "0", "-1", "1.5", "none", "1000001"] {
            assert!(wrong.parse::<PerSecond>().is_err(), "{wrong}");
        }
    }
}
