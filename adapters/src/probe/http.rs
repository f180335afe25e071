//! The HTTP probe: a GET of a service, and what a value in its JSON means.
//!
//! It speaks to one host, which the configuration names and no run can change. The name is resolved
//! and filtered in one step, so that nothing can be another address by the time it is connected
//! to; addresses of this machine and of private networks are refused unless the host is allowed by
//! name. No redirect is followed, no proxy used, and neither time nor size has no end. Of the answer,
//! only what the configuration names is kept.

mod dns;
mod url;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use reqwest::{Client, StatusCode, redirect};
use runledger_ledger::run::{Run, RunEvent};
use runledger_ledger::words::WordError;
use serde::Deserialize;
use serde_json::Value;

use super::{Common, Found, HTTP_READS, Place, ProbeEvidence, ProbeFault};
use crate::adapter::{
    Adapter, Case, Decision, Manifest, Observation, SourceError, Wake, Watched, wake_on_problems,
};
use crate::conformance::{Set, Specimens};
use crate::source::SourceClass;
use dns::Filtered;
pub use dns::is_public;
use url::Template;

/// Requests that one probe makes at a time.
const AT_A_TIME: usize = 8;
/// Longest time for one request.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Most bytes of an answer.
const MOST_BYTES: usize = 64 * 1024;

/// One HTTP probe of a file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct HttpConfig {
    /// Its name, its operation types, and what the values mean. `value`, `verified_at` and
    /// `related.from` are JSON pointers.
    #[serde(flatten)]
    pub common: Common,
    /// Where to look, with `{workspace}`, `{environment}` and what tells the run (`{run_id}`,
    /// `{fingerprint}`, `{subject_type}`, `{subject_id}`, `{external_id}`) in path or query.
    pub url: String,
    /// The JSON pointer of each key of evidence.
    #[serde(default)]
    pub pointers: BTreeMap<String, String>,
    /// Whether the host may have private addresses, and be spoken to without TLS.
    #[serde(default)]
    pub allow_private: bool,
}

/// The adapter. See the module's documentation.
#[derive(Clone, Debug)]
pub struct HttpProbe {
    client: Client,
    config: HttpConfig,
    manifest: Manifest,
    template: Template,
}

impl HttpProbe {
    /// The probe.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn new(config: &HttpConfig) -> Result<Self, ProbeFault> {
        let template = HttpProbe::plan(config)?;
        // Another part of the process may have chosen already; any choice will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .dns_resolver(Filtered { allow_private: config.allow_private })
            .https_only(!config.allow_private)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .timeout(TIME_LIMIT)
            .user_agent("runledger")
            .build()
            .map_err(|_| config.common.fault("this machine cannot make HTTP requests"))?;
        let manifest = config.common.manifest(HTTP_READS);
        Ok(HttpProbe { client, config: config.clone(), manifest, template })
    }

    pub(super) fn plan(config: &HttpConfig) -> Result<Template, ProbeFault> {
        let common = &config.common;
        common.check()?;
        let related = common.related.as_ref().map(|related| &related.from);
        let named = related.into_iter().chain(&common.verified_at).chain([&common.value]);
        for pointer in config.pointers.values().chain(named) {
            if !pointer.starts_with('/') {
                return Err(
                    common.fault(format!("{pointer:?} is no JSON pointer; begin it with /"))
                );
            }
        }
        if let Some(key) = common.evidence.keys().find(|key| !config.pointers.contains_key(*key)) {
            return Err(common.fault(format!("`pointers` does not say where {key} is")));
        }
        let template = Template::new(&config.url, config.allow_private);
        let template = template.map_err(|why| common.fault(why))?;
        common.check_asked(|place| template.holds(place))?;
        Ok(template)
    }

    async fn ask(&self, place: Place<'_>) -> Result<ProbeEvidence, SourceError> {
        let Some(url) = self.template.of(place) else {
            // It does not have what the address is made of.
            return Ok(ProbeEvidence::default());
        };
        let response = self.client.get(url).send().await.map_err(|error| reduced(&error))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(ProbeEvidence::default()),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                return Err(error(SourceClass::Unavailable));
            }
            _ => return Err(error(SourceClass::Refused)),
        }
        let mut body = Vec::new();
        let mut stream = response.bytes_stream();
        while let Some(chunk) = stream.next().await {
            body.extend_from_slice(&chunk.map_err(|error| reduced(&error))?);
            if body.len() > MOST_BYTES {
                return Err(error(SourceClass::Malformed));
            }
        }
        let answer = serde_json::from_slice(&body).map_err(|_| error(SourceClass::Malformed))?;
        Ok(ProbeEvidence { found: vec![self.found(place, &answer)], unanswered: None })
    }

    /// One request for each, a few at a time: a service has no pages. If none is answered the source
    /// is broken; otherwise those that are not are open.
    async fn ask_all(&self, places: Vec<Place<'_>>) -> Result<Vec<ProbeEvidence>, SourceError> {
        let mut asked = Vec::with_capacity(places.len());
        for place in places {
            asked.push(self.ask(place));
        }
        let found: Vec<_> = futures::stream::iter(asked).buffered(AT_A_TIME).collect().await;
        if let Some(Err(first)) = found.first().filter(|_| found.iter().all(Result::is_err)) {
            return Err(*first);
        }
        let open =
            |error: SourceError| ProbeEvidence { found: Vec::new(), unanswered: Some(error.class) };
        Ok(found.into_iter().map(|one| one.unwrap_or_else(open)).collect())
    }

    fn found(&self, place: Place<'_>, answer: &Value) -> Found {
        let common = &self.config.common;
        let at = |pointer: &String| answer.pointer(pointer).and_then(text);
        let kept = common.evidence.keys().filter_map(|key| {
            let text = self.config.pointers.get(key).and_then(at)?;
            Some((key.clone(), text))
        });
        Found {
            // The address is made of the scope, so the answer is of it.
            workspace: place.workspace.to_owned(),
            environment: place.environment.to_owned(),
            value: at(&common.value),
            verified_at: common.verified_at.as_ref().and_then(at),
            related: common.related.as_ref().and_then(|related| at(&related.from)),
            kept: kept.collect(),
        }
    }
}

#[async_trait]
impl Adapter for HttpProbe {
    type Evidence = ProbeEvidence;

    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn handle(&self, event: &RunEvent, run: &Run) -> Wake {
        wake_on_problems(event, run)
    }

    async fn gather(&self, cases: &[Case]) -> Result<Vec<ProbeEvidence>, SourceError> {
        self.ask_all(cases.iter().map(Place::from).collect()).await
    }

    fn decide(&self, case: &Case, evidence: &ProbeEvidence) -> Decision {
        self.config.common.decide(case, evidence)
    }

    async fn survey(&self, watched: &[Watched]) -> Result<Vec<ProbeEvidence>, SourceError> {
        self.ask_all(watched.iter().map(Place::from).collect()).await
    }

    fn observe(&self, watched: &Watched, evidence: &ProbeEvidence) -> Option<Observation> {
        self.config.common.observe(watched, evidence)
    }
}

impl Specimens for HttpProbe {
    fn specimens(&self) -> Result<Set<ProbeEvidence>, WordError> {
        self.config.common.specimens()
    }
}

/// A value as text: what a meaning is compared with.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn reduced(failure: &reqwest::Error) -> SourceError {
    if failure.is_timeout() {
        error(SourceClass::Timeout)
    } else if failure.is_decode() {
        error(SourceClass::Malformed)
    } else if failure.is_builder() || dns::is_refusal(failure) {
        error(SourceClass::Refused)
    } else {
        error(SourceClass::Unavailable)
    }
}

const fn error(class: SourceClass) -> SourceError {
    SourceError::new(class, "asking a service over HTTP")
}
