//! What every answer to a browser carries, and which requests are taken from one.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::fault::Fault;
use crate::app::App;

/// Only what this server sends, nothing inline, and in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'";

/// The headers of every answer, whatever it is.
const ALWAYS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    (header::X_FRAME_OPTIONS, "DENY"),
];
/// A year, where the connection is encrypted: browsers take it from no other.
const TRANSPORT: &str = "max-age=31536000";

/// Refuses what another site caused, and puts the headers on every answer.
pub(super) async fn guard(State(_app): State<App>, request: Request, next: Next) -> Response {
    let loopback = is_loopback(request.headers());
    let mut response = if changes(request.method()) && !is_ours(request.headers()) {
        Fault::foreign().into_response()
    } else {
        next.run(request).await
    };
    carry(response.headers_mut(), loopback);
    response
}

/// Puts on an answer to a browser what every one carries.
pub(super) fn carry(headers: &mut HeaderMap, loopback: bool) {
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !loopback {
        let value = HeaderValue::from_static(TRANSPORT);
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
}

/// Keeps pages out of every cache: they hold what their reader may see now.
pub(super) async fn no_store(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Whether the request came to a loopback address under one of its own names.
pub(super) fn is_loopback(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    matches!(name, "localhost" | "127.0.0.1" | "::1")
}

/// Whether the request says that it came over a connection that is not encrypted.
pub(super) fn is_plain(headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    origin.is_some_and(|origin| origin.starts_with("http://")) && !is_loopback(headers)
}

fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether a page of this server caused the request, as far as the browser tells. A browser always
/// tells; other programs have no session that somebody could borrow.
fn is_ours(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    matches!((origin, host), (Some((_, origin)), Some(host)) if origin == host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn what_another_site_causes_is_told_from_what_this_one_does() {
        let host = ("host", "ledger.example:7300");
        assert!(is_ours(&headers(&[host])));
        assert!(is_ours(&headers(&[host, ("sec-fetch-site", "same-origin")])));
        assert!(is_ours(&headers(&[host, ("origin", "https://ledger.example:7300")])));
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://ledger.example"),
            ("origin", "null"),
        ] {
            assert!(!is_ours(&headers(&[host, (name, value)])), "{name}: {value}");
        }
    }

    #[test]
    fn a_name_that_leads_here_is_not_taken_for_a_loopback_address() {
        for host in ["localhost", "localhost:7300", "127.0.0.1:7300", "[::1]:7300"] {
            assert!(is_loopback(&headers(&[("host", host)])), "{host}");
        }
        for host in ["ledger.example", "localhost.example", "127.0.0.1.example:80", "10.0.0.1"] {
            assert!(!is_loopback(&headers(&[("host", host)])), "{host}");
        }
        assert!(is_plain(&headers(&[("host", "10.0.0.1"), ("origin", "http://10.0.0.1")])));
        assert!(!is_plain(&headers(&[("host", "localhost"), ("origin", "http://localhost")])));
    }
}
