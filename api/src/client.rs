//! A client of a running server: what the command line and the demo speak through.
//!
//! It knows addresses, the token and problems; what an answer means is for its caller.

use std::time::Duration;

use reqwest::{Method, StatusCode, Url, header};
use serde::Deserialize;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take: a question about the past may replay a log first.
const ANSWER: Duration = Duration::from_secs(60);
/// What a body is taken for that is one JSON value.
pub const JSON: &str = "application/json";
/// What a body is taken for that is one JSON value a line.
pub const NDJSON: &str = "application/x-ndjson";

/// Speaks to one server, with one token. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address of the server is none.
    #[error("`{0}` is no address of a server; write one such as http://127.0.0.1:7300")]
    Address(String),
    /// The token cannot be sent.
    #[error("the token holds what no token may hold; look at the file or variable it came from")]
    Token,
    /// No connection can be made at all on this machine.
    #[error("no client for HTTP can be made here")]
    Machine(#[source] reqwest::Error),
    /// Nobody answers.
    #[error(
        "the server at {url} cannot be reached; start one with `runledger serve`, or name another \
         with --url"
    )]
    Unreachable {
        /// Where.
        url: String,
        /// Why not.
        #[source]
        source: Cause,
    },
    /// The answer broke off.
    #[error("the answer of {url} broke off; ask again")]
    BrokeOff {
        /// What was asked.
        url: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// The server does not know the token.
    #[error(
        "the server at {url} does not take this token; name the file of its own with --token-file, \
         or set RUNLEDGER_TOKEN (a server keeps it as `admin-token` in its data directory)"
    )]
    NotAllowed {
        /// Where.
        url: String,
    },
    /// The server said no, and why.
    #[error("{problem} ({url})")]
    Refused {
        /// What was asked.
        url: String,
        /// Why not.
        problem: Box<Problem>,
    },
    /// Somebody answers who is no Runledger server.
    #[error("{url} answered {status} with something that no Runledger server says; check --url")]
    Stranger {
        /// What was asked.
        url: String,
        /// The status of the answer.
        status: u16,
    },
}

/// What a failure came from in the end; what lies between says nothing to people.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Cause(String);

impl Cause {
    fn of(error: &reqwest::Error) -> Self {
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Cause(cause.to_string())
    }
}

/// A problem as a server tells it (RFC 9457), as far as people need it.
#[derive(Clone, Debug, Deserialize)]
pub struct Problem {
    /// What kind it is, as a stable word.
    pub code: String,
    /// What happened, and what to do.
    pub detail: String,
    /// What is wrong one by one, where there can be several.
    #[serde(default)]
    pub errors: Vec<Flaw>,
    /// Under which id the server's log says more.
    #[serde(default)]
    pub instance: Option<String>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Deserialize)]
pub struct Flaw {
    /// What it is.
    pub detail: String,
    /// On which line of a text.
    #[serde(default)]
    pub line: Option<usize>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)?;
        for flaw in &self.errors {
            match flaw.line {
                Some(line) => write!(f, "\n  line {line}: {}", flaw.detail)?,
                None => write!(f, "\n  {}", flaw.detail)?,
            }
        }
        match &self.instance {
            Some(instance) => write!(f, "\n  id in the server's log: {instance}"),
            None => Ok(()),
        }
    }
}

/// What is asked: the parts of a path, and the query.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The path, part by part; each may hold any text.
    pub path: &'a [&'a str],
    /// The query.
    pub query: &'a [(&'a str, String)],
}

impl Client {
    /// A client of the server at `base`, with this token; answers for people in `language`.
    ///
    /// # Errors
    /// [`ClientError::Address`], [`ClientError::Token`] or [`ClientError::Machine`].
    pub fn new(base: &str, token: &str, language: Option<&str>) -> Result<Self, ClientError> {
        let base = address(base)?;
        // Another part of the process may have chosen already; any choice will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = header::HeaderMap::new();
        let mut authorization = header::HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| ClientError::Token)?;
        authorization.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, authorization);
        let language = language.and_then(|text| header::HeaderValue::from_str(text).ok());
        if let Some(language) = language {
            headers.insert(header::ACCEPT_LANGUAGE, language);
        }
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .connect_timeout(CONNECT)
            .timeout(ANSWER)
            // The token is for this server and for nobody that it points to.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(ClientError::Machine)?;
        Ok(Client { http, base })
    }

    /// What the server answers to `ask`, as it came.
    ///
    /// # Errors
    /// [`ClientError`], when there is no answer or it is a problem.
    pub async fn get(&self, ask: Ask<'_>) -> Result<String, ClientError> {
        self.send(Method::GET, ask, None).await
    }

    /// The same, where the answer is no text.
    ///
    /// # Errors
    /// [`ClientError`], when there is no answer or it is a problem.
    pub async fn bytes(&self, ask: Ask<'_>) -> Result<Vec<u8>, ClientError> {
        self.send_for_bytes(Method::GET, ask, None).await
    }

    /// Hands what the server answers to `take` as it comes: no more than a piece of it is in memory.
    ///
    /// # Errors
    /// [`ClientError`], when there is no answer, it is a problem, or it breaks off; and what `take`
    /// says against a piece.
    pub async fn download(
        &self,
        ask: Ask<'_>,
        take: &mut dyn FnMut(&[u8]) -> std::io::Result<()>,
    ) -> anyhow::Result<()> {
        let (asked, mut answer) = self.answered(Method::GET, ask, None).await?;
        loop {
            let piece = answer.chunk().await;
            let piece = piece.map_err(|source| ClientError::BrokeOff {
                url: asked.clone(),
                source: Cause::of(&source),
            })?;
            let Some(piece) = piece else { return Ok(()) };
            take(&piece)?;
        }
    }

    /// What the server answers when `body` is sent.
    ///
    /// # Errors
    /// [`ClientError`], when there is no answer or it is a problem.
    pub async fn post(
        &self,
        ask: Ask<'_>,
        kind: &'static str,
        body: String,
    ) -> Result<String, ClientError> {
        self.send(Method::POST, ask, Some((kind, body))).await
    }

    async fn send(
        &self,
        method: Method,
        ask: Ask<'_>,
        body: Option<(&'static str, String)>,
    ) -> Result<String, ClientError> {
        let bytes = self.send_for_bytes(method, ask, body).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    async fn send_for_bytes(
        &self,
        method: Method,
        ask: Ask<'_>,
        body: Option<(&'static str, String)>,
    ) -> Result<Vec<u8>, ClientError> {
        let (asked, answer) = self.answered(method, ask, body).await?;
        let bytes = answer.bytes().await;
        let bytes = bytes
            .map_err(|source| ClientError::BrokeOff { url: asked, source: Cause::of(&source) })?;
        Ok(bytes.into())
    }

    /// An answer that is no problem, before its body has come.
    async fn answered(
        &self,
        method: Method,
        ask: Ask<'_>,
        body: Option<(&'static str, String)>,
    ) -> Result<(String, reqwest::Response), ClientError> {
        let url = self.url(ask)?;
        let asked = url.to_string();
        let mut request = self.http.request(method, url);
        if let Some((kind, body)) = body {
            request = request.header(header::CONTENT_TYPE, kind).body(body);
        }
        let answer = request.send().await.map_err(|source| {
            let source = Cause::of(&source);
            ClientError::Unreachable { url: self.base.to_string(), source }
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok((asked, answer));
        }
        let bytes = answer.bytes().await.map_err(|source| ClientError::BrokeOff {
            url: asked.clone(),
            source: Cause::of(&source),
        })?;
        match serde_json::from_slice::<Problem>(&bytes) {
            Ok(_) if status == StatusCode::UNAUTHORIZED => {
                Err(ClientError::NotAllowed { url: self.base.to_string() })
            }
            Ok(problem) => Err(ClientError::Refused { url: asked, problem: Box::new(problem) }),
            Err(_) => Err(ClientError::Stranger { url: asked, status: status.as_u16() }),
        }
    }

    fn url(&self, ask: Ask<'_>) -> Result<Url, ClientError> {
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut path) => path.pop_if_empty().extend(ask.path),
            Err(()) => return Err(ClientError::Address(self.base.to_string())),
        };
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(ask.query);
        }
        Ok(url)
    }
}

fn address(text: &str) -> Result<Url, ClientError> {
    let unusable = || ClientError::Address(text.to_owned());
    let url: Url = text.parse().map_err(|_| unusable())?;
    let usable = matches!(url.scheme(), "http" | "https") && url.has_host();
    if usable { Ok(url) } else { Err(unusable()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(base: &str, path: &[&str], query: &[(&str, String)]) -> String {
        let client = Client::new(base, "t", None).unwrap();
        client.url(Ask { path, query }).unwrap().to_string()
    }

    #[test]
    fn any_text_may_stand_in_a_path_and_in_a_query() {
        let query = [("subject", "job/a b&c".to_owned())];
        let url = url("http://h:1/prefix/", &["v1", "subjects", "a/b?c"], &query);
        assert_eq!(url, "http://h:1/prefix/v1/subjects/a%2Fb%3Fc?subject=job%2Fa+b%26c");
    }

    #[test]
    fn what_is_no_address_of_a_server_is_named() {
        for text in ["", "localhost:7300", "ftp://h", "/tmp/socket"] {
            let error = Client::new(text, "t", None).unwrap_err();
            assert!(matches!(&error, ClientError::Address(named) if named == text), "{error}");
        }
    }

    #[test]
    fn a_problem_is_told_with_its_lines_and_the_token_never() {
        let problem = r#"{"code":"invalid_catalog","detail":"the catalog is wrong","status":422,
            "errors":[{"detail":"no such family","line":7}]}"#;
        let problem: Problem = serde_json::from_str(problem).unwrap();
        assert_eq!(problem.to_string(), "the catalog is wrong\n  line 7: no such family");
        let client = Client::new("http://h", "s3cret", None).unwrap();
        assert!(!format!("{client:?}").contains("s3cret"));
        let error = Client::new("http://h", "s3\ncret", None).unwrap_err();
        assert!(!error.to_string().contains("s3"));
    }
}
