//! What the facets of an event say of where its run comes from.
//!
//! Only what helps a person is kept, as labels. Nothing of it is needed: a facet that is missing,
//! of another version or of another shape is passed over.

use std::collections::BTreeMap;

use runledger_ledger::run::{ExternalId, Origin};
use runledger_ledger::words::{Name, Note};
use serde_json::Value;

use super::{name, note, run_id, text};
use crate::ingest::native::{EXTERNAL_IDS, LABELS};

/// Most bytes of a label.
const LABEL_BYTES: usize = 255;

/// Label, and where its text stands; the first of several places that has one.
const PLACES: &[(&str, &[&str])] = &[
    ("integration", &["/job/facets/jobType/integration"]),
    ("job_type", &["/job/facets/jobType/jobType"]),
    ("root_run", &["/run/facets/parent/root/run/runId"]),
    ("root_job", &["/run/facets/parent/root/job/name"]),
    ("parent_job", &["/run/facets/parent/job/name"]),
    ("airflow_dag", &["/run/facets/airflow/dag/dag_id", "/run/facets/airflowDagRun/dag/dag_id"]),
    (
        "airflow_run",
        &["/run/facets/airflow/dagRun/run_id", "/run/facets/airflowDagRun/dagRun/run_id"],
    ),
    ("airflow_task", &["/run/facets/airflow/task/task_id"]),
    ("dbt_invocation", &["/run/facets/dbt_run/invocation_id"]),
    ("nominal_time", &["/run/facets/nominalTime/nominalStartTime"]),
    ("producer", &["/producer"]),
];

/// Where the run of `event` comes from. `assumption` is what had to be assumed of its time.
pub(super) fn origin(event: &Value, assumption: Option<&str>) -> Origin {
    let processing = text(event, "/job/facets/jobType/processingType");
    Origin {
        attempt: attempt(event),
        initiator: None,
        labels: labels(event, assumption),
        parent_run_id: text(event, "/run/facets/parent/run/runId").map(run_id),
        retry_of: None,
        endless: processing.is_some_and(|word| word.eq_ignore_ascii_case("STREAMING")),
    }
}

/// The id that `source` knows the run by.
pub(super) fn external_id(source: &str, kind: &str, id: &str) -> Option<ExternalId> {
    let of = |text: &str| name(text).ok().filter(|_| !text.is_empty());
    Some(ExternalId { id: of(id)?, kind: of(kind)?, source: of(source)? })
}

/// Which try it is. Airflow counts from 1, and has used 0 for what has not been tried.
fn attempt(event: &Value) -> Option<u32> {
    let tries = event.pointer("/run/facets/airflow/taskInstance/try_number")?.as_u64()?;
    u32::try_from(tries).ok().filter(|tries| *tries > 0)
}

/// What other systems call the run of `event`.
pub(super) fn external_ids(event: &Value) -> Vec<ExternalId> {
    let query = text(event, "/run/facets/externalQuery/externalQueryId").and_then(|id| {
        let source = text(event, "/run/facets/externalQuery/source").unwrap_or("unknown");
        external_id(source, "query", id)
    });
    let found = [query, airflow_task_instance(event), airflow_dag_run(event)];
    // One place is left for a run id that is no UUID.
    found.into_iter().flatten().take(EXTERNAL_IDS - 1).collect()
}

/// `dag/run/task/try`, with `task[index]` for a mapped task: names one run and no other.
fn airflow_task_instance(event: &Value) -> Option<ExternalId> {
    let airflow = event.pointer("/run/facets/airflow")?;
    let dag = text(airflow, "/dag/dag_id")?;
    let run = text(airflow, "/dagRun/run_id")?;
    let task = text(airflow, "/task/task_id")?;
    let index = match airflow.pointer("/taskInstance/map_index").and_then(Value::as_i64) {
        Some(index) if index >= 0 => format!("[{index}]"),
        _ => String::new(),
    };
    let tries = attempt(event)?;
    external_id("airflow", "task_instance", &format!("{dag}/{run}/{task}{index}/{tries}"))
}

fn airflow_dag_run(event: &Value) -> Option<ExternalId> {
    let dag = text(event, "/run/facets/airflowDagRun/dag/dag_id")?;
    let run = text(event, "/run/facets/airflowDagRun/dagRun/run_id")?;
    external_id("airflow", "dag_run", &format!("{dag}/{run}"))
}

/// The most useful ones first, because only so many are kept; the source's own tags last.
fn labels(event: &Value, assumption: Option<&str>) -> BTreeMap<Name, Note> {
    let mut labels = BTreeMap::new();
    let mut add = |key: &str, value: &str| {
        if labels.len() < LABELS
            && let (Ok(key), Some(value)) = (name(key), note(value, LABEL_BYTES))
        {
            labels.entry(key).or_insert(value);
        }
    };
    if let Some(assumption) = assumption {
        add("event_time", assumption);
    }
    for (key, places) in PLACES {
        if let Some(value) = places.iter().find_map(|place| text(event, place)) {
            add(key, value);
        }
    }
    if let Some(engine) = engine(event) {
        add("engine", &engine);
    }
    if let Some(owners) = owners(event) {
        add("owner", &owners);
    }
    for place in ["/run/facets/tags/tags", "/job/facets/tags/tags"] {
        for tag in event.pointer(place).and_then(Value::as_array).into_iter().flatten() {
            if let (Some(key), Some(value)) = (text(tag, "/key"), tag.get("value")) {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                add(&format!("tag.{key}"), &value);
            }
        }
    }
    labels
}

fn engine(event: &Value) -> Option<String> {
    let name = text(event, "/run/facets/processing_engine/name");
    let version = text(event, "/run/facets/processing_engine/version");
    match (name, version) {
        (Some(name), Some(version)) => Some(format!("{name} {version}")),
        (one, other) => one.or(other).map(str::to_owned),
    }
}

fn owners(event: &Value) -> Option<String> {
    let owners = event.pointer("/job/facets/ownership/owners")?.as_array()?;
    let names: Vec<_> = owners.iter().filter_map(|owner| text(owner, "/name")).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
