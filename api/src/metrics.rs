//! What the server counts of itself, in the text form of OpenMetrics.
//!
//! Labels come from fixed sets (routes, methods, statuses, answers, adapters), never from what a client
//! sends, so the number of series has an end.

use std::fmt;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The media type of what [`Metrics::encode`] writes.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the latency buckets, in seconds.
const LATENCIES: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// A limit that requests can be over, by its setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Requests of the holder of a token.
    TokenRequests,
    /// Events that the holder of a token reports.
    TokenEvents,
    /// Pages of somebody who is signed in.
    PersonRequests,
    /// Requests from an address.
    AddressRequests,
}

impl Limit {
    /// The name of its setting.
    pub const fn as_str(self) -> &'static str {
        match self {
            Limit::TokenRequests => "token_requests",
            Limit::TokenEvents => "token_events",
            Limit::PersonRequests => "person_requests",
            Limit::AddressRequests => "address_requests",
        }
    }
}

/// All metrics of one server, and the registry that they are in.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    latency: Family<RouteLabels, Histogram, fn() -> Histogram>,
    events: Family<AnswerLabels, Counter>,
    lag: Gauge,
    parked: Gauge,
    stopped: Gauge,
    memory: Gauge,
    adapter_failures: Family<AdapterLabels, Gauge>,
    adapter_backlog: Family<AdapterLabels, Gauge>,
    limits: Family<LimitLabels, Gauge>,
    limited: Family<LimitLabels, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("runledger");
        let requests = Family::<RequestLabels, Counter>::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        let latency = Family::new_with_constructor((|| Histogram::new(LATENCIES)) as fn() -> _);
        let help = "Time from a request to its answer's head";
        registry.register_with_unit("http_latency", help, Unit::Seconds, latency.clone());
        let events = Family::<AnswerLabels, Counter>::default();
        registry.register("events", "Events sent, by what became of them", events.clone());
        let lag = Gauge::default();
        let help = "Events that the read models of the workspace furthest behind have not seen";
        registry.register("projection_lag_events", help, lag.clone());
        let parked = Gauge::default();
        let help = "Workspaces whose read models are stopped at an event that they cannot take";
        registry.register("parked_projections", help, parked.clone());
        let stopped = Gauge::default();
        let help = "Logs that take no events here, because they are not what was signed of them";
        registry.register("stopped_logs", help, stopped.clone());
        let memory = Gauge::default();
        let help = "Memory of the process that is in RAM";
        registry.register_with_unit("resident_memory", help, Unit::Bytes, memory.clone());
        let adapter_failures = Family::<AdapterLabels, Gauge>::default();
        let help = "Pages of runs in a row for which an adapter's source gave no answer";
        registry.register("adapter_failures", help, adapter_failures.clone());
        let adapter_backlog = Family::<AdapterLabels, Gauge>::default();
        let help = "Runs that are due for an adapter and not decided";
        registry.register("adapter_backlog", help, adapter_backlog.clone());
        let limits = Family::<LimitLabels, Gauge>::default();
        let help = "How much a second a limit lets through; zero is no limit";
        registry.register("limit_per_second", help, limits.clone());
        let limited = Family::<LimitLabels, Counter>::default();
        let help = "Requests that were not looked at because of a limit";
        registry.register("limited_requests", help, limited.clone());
        Metrics {
            registry,
            requests,
            latency,
            events,
            lag,
            parked,
            stopped,
            memory,
            adapter_failures,
            adapter_backlog,
            limits,
            limited,
        }
    }
}

impl Metrics {
    /// Counts an answered request. `route` is the route's pattern, not the request's path.
    pub fn answered(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let labels = RequestLabels {
            method: method_label(method),
            route: route.to_owned(),
            status: status.as_u16(),
        };
        self.requests.get_or_create(&labels).inc();
        let labels = RouteLabels { route: route.to_owned() };
        self.latency.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Counts `count` events that were answered with `status`.
    pub fn events(&self, status: &'static str, count: u64) {
        self.events.get_or_create(&AnswerLabels { status }).inc_by(count);
    }

    /// Notes how many events the read models furthest behind have not seen, and how many workspaces'
    /// are parked.
    pub fn lag(&self, events: u64, parked: usize) {
        self.lag.set(i64::try_from(events).unwrap_or(i64::MAX));
        self.parked.set(i64::try_from(parked).unwrap_or(i64::MAX));
    }

    /// Notes how many logs take no events here.
    pub fn stopped(&self, logs: usize) {
        self.stopped.set(i64::try_from(logs).unwrap_or(i64::MAX));
    }

    /// Notes how the source of an adapter of the server answers, in the workspace where it is worst,
    /// and how many runs wait for it.
    pub fn adapter(&self, adapter: &str, failures: u64, backlog: u64) {
        let labels = AdapterLabels { adapter: adapter.to_owned() };
        let count = |count| i64::try_from(count).unwrap_or(i64::MAX);
        self.adapter_failures.get_or_create(&labels).set(count(failures));
        self.adapter_backlog.get_or_create(&labels).set(count(backlog));
    }

    /// Notes how much a second a limit lets through; zero is no limit.
    pub fn limit(&self, limit: Limit, per_second: u32) {
        let labels = LimitLabels { limit: limit.as_str() };
        self.limits.get_or_create(&labels).set(per_second.into());
        // So that it is there, and zero, before the first one.
        drop(self.limited.get_or_create(&labels));
    }

    /// Counts a request that was not looked at because of a limit.
    pub fn limited(&self, limit: Limit) {
        self.limited.get_or_create(&LimitLabels { limit: limit.as_str() }).inc();
    }

    /// All metrics as text.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        if let Some(bytes) = resident_memory() {
            self.memory.set(bytes);
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Bytes of this process that are in RAM, where the system tells (Linux).
fn resident_memory() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// A method that some route has, or none of ours: a client may invent as many as it likes.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AdapterLabels {
    adapter: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabels {
    limit: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    status: &'static str,
}
