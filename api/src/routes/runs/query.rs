//! Which runs a list is asked for.

use std::fmt::Display;
use std::str::FromStr;

use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, Outcome, Status, Subject};
use runledger_projections::rules::actionability::Actionability;
use runledger_projections::rules::freshness::Freshness;
use runledger_projections::{PageRequest, RunFilter};
use serde::{Deserialize, Deserializer};
use utoipa::IntoParams;

use crate::problem::{ApiResult, Parameter};
use crate::question::{self, NameOrNone, PageLimit};
use crate::schema;

/// Which runs: those for which everything that is given is true.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RunQuery {
    /// Where the run stands in its life.
    #[param(schema_with = status)]
    status: Option<Status>,
    /// How it ended.
    #[param(schema_with = outcome)]
    outcome: Option<Outcome>,
    /// Inside its window or past it, at the moment asked about.
    #[param(schema_with = freshness)]
    freshness: Option<Freshness>,
    /// Whether it has not ended and is past its deadline (`true`), or inside it (`false`).
    overdue: Option<bool>,
    /// Whether it needs a person, and if not, why not.
    #[param(schema_with = actionability)]
    actionability: Option<Actionability>,
    /// Whether it is a current follow-up.
    follow_up: Option<bool>,
    /// Operation type, or an alias of one in the catalog in force.
    #[param(value_type = Option<String>)]
    operation: Option<Name>,
    /// Family, by the catalog in force.
    #[param(value_type = Option<String>)]
    family: Option<Name>,
    /// Environment; the empty text is the workspace's own runs.
    #[param(value_type = Option<String>)]
    environment: Option<NameOrNone>,
    /// What it acts on, as `type/id`.
    #[param(value_type = Option<String>)]
    #[serde(deserialize_with = "parsed")]
    subject: Option<Subject>,
    /// The queue that it names.
    #[param(value_type = Option<String>)]
    queue: Option<Name>,
    /// That queue's connection; the empty text is none.
    #[param(value_type = Option<String>)]
    connection: Option<NameOrNone>,
    /// A part of its id, operation, subject, environment, fingerprint, queue, connection, job
    /// class, initiator, worker, reason code or of an external id, in upper or lower case. The
    /// whole id of a known run finds that run and nothing else, and so does its end of twelve digits or
    /// more, as pages show it.
    #[param(value_type = Option<String>)]
    text: Option<Name>,
    /// Dispatched at this moment or later, in RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    #[serde(deserialize_with = "moment")]
    since: Option<Moment>,
    /// Dispatched before this moment, in RFC 3339; later than `since`.
    #[param(value_type = Option<String>, format = DateTime)]
    #[serde(deserialize_with = "moment")]
    until: Option<Moment>,
    /// Left the list of what needs a person at this moment or later, in RFC 3339. The list then begins
    /// with the one that left last.
    #[param(value_type = Option<String>, format = DateTime)]
    #[serde(deserialize_with = "moment")]
    left_since: Option<Moment>,
    /// At most so many.
    #[param(value_type = Option<u16>, default = 50, minimum = 1, maximum = 500)]
    limit: Option<PageLimit>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

impl RunQuery {
    /// The filter and the page that are asked for.
    ///
    /// # Errors
    ///
    /// If nothing can fit, because `until` is not later than `since`.
    pub fn into_parts(self) -> ApiResult<(RunFilter, PageRequest)> {
        Parameter::in_order(self.since, self.until)?;
        let filter = RunFilter {
            status: self.status,
            outcome: self.outcome,
            freshness: self.freshness,
            overdue: self.overdue,
            actionability: self.actionability,
            follow_up: self.follow_up,
            operation: self.operation.map(|name| name.to_string()),
            family: self.family.map(|name| name.to_string()),
            environment: self.environment.map(|name| name.0),
            subject: self.subject,
            queue: self.queue.map(|name| name.to_string()),
            connection: self.connection.map(|name| name.0),
            text: self.text.map(|text| text.to_string()),
            since: self.since,
            until: self.until,
            left_since: self.left_since,
        };
        Ok((filter, question::page(self.limit, self.cursor)))
    }
}

/// A value that is written as one text.
fn parsed<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

/// A time. In a query a `+` that is not escaped is read as a space.
fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Moment>, D::Error> {
    let text = String::deserialize(deserializer)?.replace(' ', "+");
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

type Schema = utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>;

fn status() -> Schema {
    schema::word!(Status)
}

fn outcome() -> Schema {
    schema::word!(Outcome)
}

fn freshness() -> Schema {
    schema::word!(Freshness)
}

/// One of the verdicts.
pub(in crate::routes) fn actionability() -> Schema {
    schema::word!(Actionability)
}
