//! Pages of the dashboard: how soon their first byte comes, and what they weigh.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::header;
use tokio::time::Instant;

use crate::process::ServerProcess;

/// What is opened: its name in the table, and where it is below the workspace.
pub const PAGES: [(&str, &str); 10] = [
    ("overview", ""),
    ("follow-ups", "/follow-ups"),
    ("runs", "/runs"),
    ("runs, narrowed", "/runs?outcome=failed&environment=production"),
    ("queues", "/queues"),
    ("operations", "/operations"),
    ("environments", "/environments"),
    ("adapters", "/adapters"),
    ("log", "/log"),
    ("a run", "/runs/"),
];

/// What was seen of a page.
#[derive(Clone, Debug)]
pub struct Seen {
    /// How long its first byte took each time, sorted.
    pub first_byte: Vec<Duration>,
    /// Its bytes with all that it names, as they are sent.
    pub bytes: usize,
}

/// A browser without a window, signed in to a server.
#[derive(Debug)]
pub struct Visitor<'a> {
    server: &'a ServerProcess,
    http: reqwest::Client,
    cookie: String,
}

impl<'a> Visitor<'a> {
    /// Signs in.
    ///
    /// # Errors
    /// When the server does not let it in.
    pub async fn sign_in(server: &'a ServerProcess) -> anyhow::Result<Self> {
        // Already installed is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // The answer that hands out the cookie is a redirect: it is looked at, and not followed.
        let stay = reqwest::redirect::Policy::none();
        let http = reqwest::Client::builder().redirect(stay).no_proxy().build()?;
        let answer = http
            .post(format!("{}/sign-in", server.url))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .body(format!("next=/&token={}", server.token));
        let answer = answer.send().await?;
        let cookie = answer.headers().get(header::SET_COOKIE).context("nobody is let in")?;
        let cookie = cookie.to_str()?.split(';').next().unwrap_or_default().to_owned();
        Ok(Visitor { server, http, cookie })
    }

    /// Opens a page `times` times.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn open(&self, page: &str, times: usize) -> anyhow::Result<Seen> {
        let mut path = format!("/w/main{page}");
        if path.ends_with("/runs/") {
            let list = self.get("/w/main/runs").await?.1;
            let run = list.split("data-row=\"").nth(1).and_then(|rest| rest.split('"').next());
            path.push_str(run.context("there is no run to look at")?);
        }
        let mut first_byte = Vec::with_capacity(times);
        for number in 0..times + times / 10 {
            let (took, _) = self.get(&path).await?;
            if number >= times / 10 {
                first_byte.push(took);
            }
        }
        first_byte.sort_unstable();
        let text = self.get(&path).await?.1;
        Ok(Seen { first_byte, bytes: text.len() + self.assets(&text).await? })
    }

    /// How long the first byte took, and the text.
    async fn get(&self, path: &str) -> anyhow::Result<(Duration, String)> {
        let asked = Instant::now();
        let mut answer = self.ask(path).await?;
        let first = answer.chunk().await?.context("an empty page")?;
        let took = asked.elapsed();
        ensure!(answer.status().is_success(), "{path}: {}", answer.status());
        let mut bytes = first.to_vec();
        while let Some(chunk) = answer.chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok((took, String::from_utf8(bytes)?))
    }

    async fn ask(&self, path: &str) -> anyhow::Result<reqwest::Response> {
        let request = self.http.get(format!("{}{path}", self.server.url));
        let request = request.header(header::COOKIE, &self.cookie);
        Ok(request.header(header::ACCEPT_ENCODING, "gzip").send().await?)
    }

    /// The bytes of all that a page names, each once, as they are sent.
    async fn assets(&self, text: &str) -> anyhow::Result<usize> {
        // What the style sheet names is read from the repository: as it is sent it is packed.
        let fonts = paths(include_str!("../../../api/assets/style/tokens.css"));
        let named: BTreeSet<String> = paths(text).chain(fonts).collect();
        let mut bytes = 0;
        for path in named {
            let answer = self.ask(&path).await?;
            ensure!(answer.status().is_success(), "{path}: {}", answer.status());
            bytes += answer.bytes().await?.len();
        }
        Ok(bytes)
    }
}

/// The files that a text names, without the parts of them that it means.
fn paths(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split('"')
        .filter(|part| part.starts_with("/assets/"))
        .map(|part| part.split('#').next().unwrap_or_default().to_owned())
}
