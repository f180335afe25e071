//! What keeps a page live: a stream of server-sent events that says how far the read models are.
//!
//! Events carry positions and no content, so whoever comes back with the last one that it saw
//! (`Last-Event-ID`) has missed nothing. A beat tells pages to look at what time alone changes.
//! Something is told every few seconds whatever happens, so that a page knows by the silence that its
//! server hangs or that the network swallows what is sent.
//! Before each it is asked again who looks: a stream ends with the session and with the role.
//!
//! Who is held to environments is given beats alone, as many whether anything happens or not: what
//! moves the log, and how far, is not for them to see (specs/0018).

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream};
use runledger_ledger::words::WorkspaceId;
use tokio::sync::watch;

use super::fault::Page;
use super::{door, shell};
use crate::app::App;

/// How often a page is told something although nothing was recorded. `app.js` waits for three of them.
const PULSE: Duration = Duration::from_secs(5);
/// Every so many of them it is told to look. Where it is told nothing else, it looks at each.
const LOOK: u8 = 3;
/// What a beat carries that tells of no position: an event of nothing is not heard.
const NOTHING: &str = "-";
/// How long after one word the next one comes at the earliest: what is recorded meanwhile is told
/// together.
const PACE: Duration = Duration::from_millis(500);
/// How long a browser waits before it comes back.
const RETRY: Duration = Duration::from_secs(2);

/// The stream of a workspace.
pub(super) async fn stream(State(app): State<App>, request: Request) -> Page<Response> {
    let (mut parts, _) = request.into_parts();
    let (_, workspace) = shell::workspace(&mut parts, &app).await?;
    let seen = last_seen(&parts.headers);
    let narrowed = door::access(&parts)?.sight().is_narrowed();
    let closing = app.closing().subscribe();
    let asked = parts;
    let events =
        events(Watching { app, asked, workspace, narrowed, seen, closing, first: true, quiet: 0 });
    let mut response = Sse::new(events).into_response();
    // A proxy that collects the answer first would make it none.
    let headers = response.headers_mut();
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn last_seen(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

struct Watching {
    app: App,
    /// The request, which is let in again before each event.
    asked: Parts,
    workspace: WorkspaceId,
    /// Whether it sees no more than some environments of it.
    narrowed: bool,
    /// Events that the browser knows of.
    seen: Option<u64>,
    closing: watch::Receiver<bool>,
    first: bool,
    /// How often it was told since it looked last.
    quiet: u8,
}

fn events(watching: Watching) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(watching, |mut watching| async move {
        let event = watching.next().await?;
        Some((Ok(event), watching))
    })
}

impl Watching {
    /// The next thing to tell; none when the server ends, or when whoever looks may not any more.
    async fn next(&mut self) -> Option<Event> {
        if !self.first {
            let mut closing = self.closing.clone();
            tokio::select! {
                _ = closing.wait_for(|closing| *closing) => return None,
                () = tokio::time::sleep(PACE) => {}
            }
        }
        let mut closing = self.closing.clone();
        let moved = tokio::select! {
            _ = closing.wait_for(|closing| *closing) => return None,
            moved = self.moved() => moved,
        };
        let first = std::mem::take(&mut self.first);
        if !first {
            let access = door::let_in_again(&self.app, &mut self.asked).await?;
            // Whoever comes back is told what a role of now may hear.
            if access.sight().is_narrowed() != self.narrowed {
                return None;
            }
        }
        let event = match self.narrowed {
            true => Event::default().data(NOTHING),
            false => {
                let seen = self.seen?.to_string();
                Event::default().id(seen.clone()).data(seen)
            }
        };
        self.quiet = if moved { 0 } else { self.quiet + 1 };
        let looks = self.narrowed || first || self.quiet >= LOOK;
        let event = event.event(match (moved, looks) {
            (true, _) => "moved",
            (false, true) => "beat",
            (false, false) => "still",
        });
        if looks {
            self.quiet = 0;
        }
        Some(if first { event.retry(RETRY) } else { event })
    }

    /// Waits for the read models to move; false if they did not for a while. A browser that says
    /// nothing of what it has seen is told at once where they are.
    async fn moved(&mut self) -> bool {
        if self.narrowed {
            if !self.first {
                tokio::time::sleep(PULSE).await;
            }
            return false;
        }
        let projections = self.app.projections();
        if let Some(seen) = self.seen {
            // A failure is over when it is over; the beat goes on meanwhile.
            let there = projections.wait(self.workspace, seen, PULSE).await;
            if !there.unwrap_or(false) {
                return false;
            }
        }
        match projections.position(self.workspace).await {
            Ok(position) => {
                let moved = self.seen.is_some_and(|seen| position > seen);
                self.seen = Some(position);
                moved
            }
            Err(error) => {
                tracing::debug!(%error, "a page could not be told how far the read models are");
                self.seen = self.seen.or(Some(0));
                false
            }
        }
    }
}
