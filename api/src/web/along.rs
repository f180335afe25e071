//! What goes along from one page to the next and belongs into no address: what somebody wrote before
//! their session was over, and on how many runs a word was said. The browser keeps it for minutes, in
//! a cookie that no script reads, and hands it to one page.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::links::encode;
use super::security::is_loopback;
use super::session::cookie;
use super::sign_in::own_path;
use crate::extract::Query;

/// What goes along to one page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Along {
    /// The page, without its query.
    path: String,
    /// What was to be done.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) action: String,
    /// Why, as it was written.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) reason: String,
    /// The note, as it was written.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) note: String,
    /// On how many runs a word was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) done: Option<u64>,
}

const COOKIE: &str = "runledger_along";
/// Seconds: long enough to sign in.
const AGE: u32 = 900;
/// Most bytes of a reason and of a note that go along, and of both as they are kept: browsers keep
/// cookies of 4 KiB.
const REASON: usize = 255;
const NOTE: usize = 4_096;
const MOST: usize = 3_900;
/// Most bytes of a form that is read though nobody is signed in.
const FORM: usize = 64 * 1024;
/// Longest address that a form is led back to; a longer one names too much of a list.
const ADDRESS: usize = 4_000;

impl Along {
    /// To the page at this address.
    pub(super) fn to(address: &str) -> Along {
        let path = address.split(['?', '#']).next().unwrap_or_default();
        Along { path: path.to_owned(), ..Along::default() }
    }

    /// The same, with a reason and a note.
    pub(super) fn written(self, action: &str, reason: &str, note: &str) -> Along {
        let cut = |text: &str, most| text[..text.floor_char_boundary(most)].to_owned();
        let action = action.to_owned();
        Along { action, reason: cut(reason, REASON), note: cut(note, NOTE), ..self }
    }

    /// The same, after a word was said on so many runs.
    pub(super) fn after(self, runs: u64) -> Along {
        Along { done: Some(runs), ..self }
    }

    /// What came along with a request for a page that a person opens.
    pub(super) fn of(parts: &Parts) -> Option<Along> {
        if parts.method != Method::GET || parts.headers.contains_key("hx-request") {
            return None;
        }
        let kept = URL_SAFE_NO_PAD.decode(cookie(&parts.headers, COOKIE)?).ok()?;
        let along: Along = serde_json::from_slice(&kept).ok()?;
        (along.path == parts.uri.path()).then_some(along)
    }

    /// Whether somebody wrote something.
    pub(super) fn is_written(&self) -> bool {
        !self.reason.is_empty() || !self.note.is_empty()
    }

    /// The header that hands it to the browser.
    pub(super) fn set_cookie(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut kept = self.clone();
        loop {
            let value = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&kept).ok()?);
            if value.len() <= MOST || kept.note.is_empty() {
                return header(headers, &value, AGE);
            }
            // Of a note that is longer than a cookie its beginning goes along.
            let shorter = kept.note.floor_char_boundary(kept.note.len() * 7 / 8);
            kept.note.truncate(shorter);
        }
    }

    /// The header that takes it away again.
    pub(super) fn taken(headers: &HeaderMap) -> Option<HeaderValue> {
        header(headers, "", 0)
    }
}

fn header(headers: &HeaderMap, value: &str, age: u32) -> Option<HeaderValue> {
    let secure = if is_loopback(headers) { "" } else { "; Secure" };
    let text = format!("{COOKIE}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).ok()
}

/// Nobody is signed in who sends this form: leads to signing in, and from there to the page that has
/// the form, with what was written.
pub(super) async fn sign_in_first(parts: &Parts, body: Body) -> Response {
    use axum::response::{IntoResponse, Redirect};
    let body = axum::body::to_bytes(body, FORM).await.unwrap_or_default();
    let form = std::str::from_utf8(&body).unwrap_or_default();
    let form: Vec<(String, String)> = Query::read_part(form, &[]).unwrap_or_default();
    let next = page_of(parts.uri.path(), &form);
    let one = |name: &str| {
        let pair = form.iter().find(|(key, _)| key == name);
        pair.map_or("", |(_, value)| value.as_str())
    };
    let along = Along::to(&next).written(one("action"), one("reason"), one("note"));
    if parts.headers.contains_key("hx-request") {
        return Fault::sign_in(&parts.headers, &next).into_response();
    }
    let mut response = Redirect::to(&format!("/sign-in?next={}", encode(&next))).into_response();
    if along.is_written()
        && let Some(cookie) = along.set_cookie(&parts.headers)
    {
        response.headers_mut().append(axum::http::header::SET_COOKIE, cookie);
    }
    response
}

/// The page that has the form which is sent to this path.
pub(super) fn page_of(path: &str, form: &[(String, String)]) -> String {
    let one = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let page = match path.rsplit_once('/') {
        Some((run, "follow-up" | "ask")) => format!("{run}#actions"),
        Some((list, "resolve")) => preview(path, list, form),
        Some((workspace, "views")) => match one("query") {
            Some(query) => format!("{workspace}/runs?{query}"),
            None => format!("{workspace}/runs"),
        },
        Some(("/account", _)) => "/account".to_owned(),
        Some((person, "sessions")) => person.to_owned(),
        _ => one("next").cloned().unwrap_or_default(),
    };
    own_path(&page).to_owned()
}

/// The preview of a word on several runs, or the list that it came from if it named too many of them:
/// then they are marked again, and no others are meant.
fn preview(path: &str, list: &str, form: &[(String, String)]) -> String {
    let beside = ["form_token", "runs", "reason", "note"];
    let kept = form.iter().filter(|(name, _)| !beside.contains(&name.as_str()));
    let pairs: Vec<String> =
        kept.map(|(name, value)| format!("{name}={}", encode(value))).collect();
    let address = format!("{path}?{}", pairs.join("&"));
    if address.len() <= ADDRESS {
        return address;
    }
    let back = form.iter().find(|(name, _)| name == "back").map(|(_, back)| back.clone());
    back.unwrap_or_else(|| list.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_signing_in_there_is_the_page_that_has_the_form() {
        let form = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            pairs.iter().map(owned).collect()
        };
        let run = "/w/main/runs/0195f3c0-0000-7000-8000-000000000001";
        assert_eq!(page_of(&format!("{run}/follow-up"), &[]), format!("{run}#actions"));
        assert_eq!(page_of(&format!("{run}/ask"), &[]), format!("{run}#actions"));
        let resolve = "/w/main/follow-ups/resolve";
        let given = form(&[("form_token", "t"), ("runs", "2"), ("reason", "no"), ("note", "no")]);
        let mut given = [given, form(&[("action", "resolve"), ("family", "a b")])].concat();
        assert_eq!(page_of(resolve, &given), format!("{resolve}?action=resolve&family=a%20b"));
        given.extend((0..400).map(|item| ("item".to_owned(), format!("{item:032}"))));
        assert_eq!(page_of(resolve, &given), "/w/main/follow-ups");
        given.push(("back".to_owned(), "/w/main/runs?follow_up=true".to_owned()));
        assert_eq!(page_of(resolve, &given), "/w/main/runs?follow_up=true");
        let view = form(&[("query", "status=queued")]);
        assert_eq!(page_of("/w/main/views", &view), "/w/main/runs?status=queued");
        assert_eq!(page_of("/preferences", &form(&[("next", "//evil.example")])), "/");
        assert_eq!(page_of("/account/password", &[]), "/account");
        assert_eq!(page_of("/people/ada/sessions", &[]), "/people/ada");
        assert_eq!(page_of("/sign-out", &[]), "/");
    }

    #[test]
    fn what_was_written_goes_along_to_one_page_within_what_a_browser_keeps() {
        let headers: HeaderMap = [("host", "127.0.0.1:7300")]
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .into_iter()
            .collect();
        let along = Along::to("/w/main/runs?x#y").written("resolve", "why", &"ä\"".repeat(2_000));
        let cookie = along.set_cookie(&headers).unwrap();
        assert!(cookie.len() < 4_096 && cookie.len() > 3_000, "{}", cookie.len());
        let short = Along::to("/w/main/runs?x#y").written("resolve", "why", "ä; =");
        let cookie = short.set_cookie(&headers).unwrap();
        let pair = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        let sent = |path: &str, itself: bool| {
            let request = axum::http::Request::get(path).header("cookie", &pair);
            let request = if itself { request.header("hx-request", "true") } else { request };
            Along::of(&request.body(()).unwrap().into_parts().0)
        };
        assert_eq!(sent("/w/main/runs?page=2", false), Some(short));
        assert_eq!(sent("/w/main", false), None);
        assert_eq!(sent("/w/main/runs", true), None);
    }
}
