//! How a browser wants its pages: language, theme, clock. Kept by the browser, in a cookie.

use axum::extract::Form;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use runledger_ledger::words;
use runledger_projections::texts::Language;
use serde::Deserialize;

use super::fault::{Fault, Page};
use super::security::is_loopback;
use super::session::{Viewer, cookie};
use super::sign_in::own_path;
use crate::language;

words! {
    /// Light or dark.
    Theme {
        /// As the machine is set.
        Auto = "auto",
        /// Light.
        Light = "light",
        /// Dark.
        Dark = "dark",
    }
}

words! {
    /// In which time zone moments are shown.
    Zone {
        /// Coordinated universal time.
        Utc = "utc",
        /// The browser's.
        Local = "local",
    }
}

/// What a browser wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Preferences {
    /// The language; the browser's own unless somebody chose another one.
    pub(super) language: Language,
    /// The theme.
    pub(super) theme: Theme,
    /// The time zone.
    pub(super) zone: Zone,
    chosen: Option<Language>,
}

const COOKIE: &str = "runledger_view";

/// A choice of one of them, and where to go on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Choice {
    language: Option<Language>,
    theme: Option<Theme>,
    zone: Option<Zone>,
    #[serde(default)]
    form_token: String,
    next: String,
}

impl Preferences {
    /// What the browser that sends these headers wants.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut kept = cookie(headers, COOKIE).unwrap_or_default().split('.');
        let chosen = kept.next().and_then(|word| word.parse().ok());
        Preferences {
            language: chosen.unwrap_or_else(|| language::preferred(headers)),
            theme: kept.next().and_then(|word| word.parse().ok()).unwrap_or(Theme::Auto),
            zone: kept.next().and_then(|word| word.parse().ok()).unwrap_or(Zone::Utc),
            chosen,
        }
    }

    fn set_cookie(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let language = self.chosen.map_or("", Language::as_str);
        let secure = if is_loopback(headers) { "" } else { "; Secure" };
        let text = format!(
            "{COOKIE}={language}.{}.{}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax{secure}",
            self.theme, self.zone
        );
        HeaderValue::from_str(&text).ok()
    }
}

/// Keeps a choice and goes back.
pub(super) async fn choose(
    viewer: Viewer,
    headers: HeaderMap,
    Form(choice): Form<Choice>,
) -> Page<Response> {
    if !viewer.made(&choice.form_token) {
        return Err(Fault::foreign());
    }
    let mut preferences = Preferences::of(&headers);
    preferences.chosen = choice.language.or(preferences.chosen);
    preferences.theme = choice.theme.unwrap_or(preferences.theme);
    preferences.zone = choice.zone.unwrap_or(preferences.zone);
    let mut response = Redirect::to(own_path(&choice.next)).into_response();
    if let Some(cookie) = preferences.set_cookie(&headers) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
