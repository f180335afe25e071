//! `runledger adapters`.

use anyhow::Context;
use runledger_adapters::registry::Row as Handled;
use runledger_adapters::seam::SeamError;
use runledger_ledger::catalog::Catalog;
use runledger_ledger::time::Moment;
use runledger_projections::rules::guidance::Severity;
use runledger_projections::texts::{Language, Phrase, Texts};
use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::reading::rfc3339;
use super::table::{Cell, Row, Table};
use super::times::relative;
use super::{Answer, Unusable, block_on, dry_run, output};
use crate::adapters::{AdapterError, Adapters};
use crate::server;
use crate::settings::{Flags, Settings};

/// What may be done with adapters.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    List(List),
    Check(Check),
    Health(Health),
}

/// Show which adapter judges runs of which operation type or looks at which subjects by itself, and
/// which are idle and why.
///
/// It reads the settings of a server on this machine, and asks nobody.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 shown; 1 the adapters do not fit each other or the catalog; 2 the command line, a
setting or a file cannot be used")]
pub(super) struct List {
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    flags: Flags,
}

/// Check the adapters, and connect to what they read.
///
/// The domain database must answer, and its role must not be able to write; every query of a probe
/// must be one that the database understands.
///
/// With --run, the adapters as they are configured here are asked about one run of the database
/// here, beside a running server or without one. Nothing is recorded.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  runledger adapters check
  runledger adapters check --run 9e41b7aa      what would be decided of it, and why

Exit codes: 0 nothing is wrong; 1 something is, or an adapter gives no answer about the run; 2 the
command line, a setting or a file cannot be used")]
pub(super) struct Check {
    /// Show what would be decided of this run: its id or the id's end, in the workspace that is
    /// named, or in any
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// With --run: what would be decided as JSON, for programs
    #[arg(long, requires = "run")]
    json: bool,
    #[command(flatten)]
    flags: Flags,
}

/// Show how the adapters of a running server answer, and how many runs wait for them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 every adapter answers or has nothing to do; 1 one does not; 2 the command line or a
setting cannot be used; 3 the server cannot be reached, or refused")]
pub(super) struct Health {
    /// The server's answer as it came
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// What handles an operation type, or looks at the subjects of a type.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observes: Option<&'a str>,
    adapter: Option<&'a str>,
    version: Option<u32>,
    reads: Option<&'a str>,
    idle: Option<&'a str>,
    remote: bool,
    in_catalog: bool,
}

pub(super) fn run(command: &Command) -> anyhow::Result<Answer> {
    let flags = match command {
        Command::List(List { flags, .. }) | Command::Check(Check { flags, .. }) => flags,
        Command::Health(health) => return block_on(shown(health)),
    };
    let settings = Settings::resolve(flags, &|name| std::env::var(name).ok())?;
    block_on(async {
        let catalog = server::catalog(&settings)?;
        let adapters = match Adapters::set_up(&settings.adapters, &catalog) {
            Ok(adapters) => adapters,
            Err(AdapterError::Registry(errors)) => {
                errors.errors().iter().for_each(output::line);
                return Ok(Answer::No);
            }
            Err(error) => return Err(anyhow::Error::new(Unusable(whole(&error)))),
        };
        match command {
            Command::List(list) => listed(&adapters, &catalog, list.json),
            Command::Check(check) => check.print(&settings, &adapters, &catalog).await,
            Command::Health(health) => shown(health).await,
        }
    })
}

fn listed(adapters: &Adapters, catalog: &Catalog, json: bool) -> anyhow::Result<Answer> {
    let rows = adapters.registry.rows(catalog);
    if json {
        let lines: Vec<Line<'_>> = rows.iter().map(line).chain(watching(adapters)).collect();
        let text = serde_json::to_string_pretty(&lines).context("the list has no JSON form")?;
        output::line(text);
        return Ok(Answer::Yes);
    }
    let mut table = Table::new(["OPERATION", "ADAPTER", "VERSION", "READS", "STATE"]);
    for line in rows.iter().map(line).chain(watching(adapters)) {
        let Line { operation, observes, adapter, version, reads, idle, remote, in_catalog } = line;
        let subjects = || observes.map(|kind| format!("subjects {kind}"));
        let what = operation.map(str::to_owned).or_else(subjects).unwrap_or_default();
        let mut state = match (adapter, idle, remote) {
            (None, ..) => "no adapter".to_owned(),
            (_, Some(_), _) => "idle".to_owned(),
            (_, None, true) => "remote".to_owned(),
            (_, None, false) => "works".to_owned(),
        };
        if !in_catalog {
            state.push_str("; not in the catalog");
        }
        table.row(Row::of([
            Cell::new(what).bold(),
            Cell::maybe(adapter.map(str::to_owned)),
            Cell::maybe(version.map(|version| version.to_string())),
            Cell::maybe(reads.map(str::to_owned)),
            Cell::new(state),
        ]));
    }
    table.lines().iter().for_each(output::line);
    for adapter in adapters.registry.adapters() {
        if let Some(why) = adapter.idle() {
            output::note(format!("{} is idle: {why}", adapter.manifest.name));
        }
    }
    Ok(Answer::Yes)
}

/// The adapters that look at subjects by themselves, a line for each type.
fn watching(adapters: &Adapters) -> impl Iterator<Item = Line<'_>> {
    adapters.registry.observers().flat_map(|(adapter, observes)| {
        observes.subjects.iter().map(|kind| Line {
            operation: None,
            observes: Some(kind),
            adapter: Some(&adapter.manifest.name),
            version: Some(adapter.manifest.version),
            reads: adapter.manifest.reads.as_deref(),
            idle: adapter.idle(),
            remote: adapter.is_remote(),
            in_catalog: true,
        })
    })
}

impl Check {
    async fn print(
        &self,
        settings: &Settings,
        adapters: &Adapters,
        catalog: &Catalog,
    ) -> anyhow::Result<Answer> {
        let (answer, said) = checked(adapters, catalog).await;
        if self.json {
            output::note(said);
        } else {
            output::line(said);
        }
        let Some(run) = &self.run else { return Ok(answer) };
        let set = std::env::var("RUNLEDGER_WORKSPACE").ok().filter(|name| !name.is_empty());
        let workspace = self.flags.workspace.clone().or(set);
        let asked = dry_run::run(settings, adapters, run, workspace.as_deref()).await;
        let (preview, workspace) = asked?;
        if self.json {
            output::line(serde_json::to_string_pretty(&preview)?);
            return Ok(answer);
        }
        let heard = dry_run::print(&preview, &workspace);
        Ok(if heard == Answer::Yes { answer } else { heard })
    }
}

async fn checked(adapters: &Adapters, catalog: &Catalog) -> (Answer, String) {
    match adapters.check().await {
        Ok(()) => {
            let rows = adapters.registry.rows(catalog);
            let idle = rows.iter().filter(|row| row.idle.is_some()).count();
            let said = match &adapters.domain {
                Some(_) => "the domain database answers, and its role cannot write".to_owned(),
                None => format!("no domain database is configured; {idle} operations are idle"),
            };
            (Answer::Yes, said)
        }
        Err(error) => (Answer::No, whole(&error)),
    }
}

#[derive(Deserialize)]
struct Found {
    #[serde(deserialize_with = "rfc3339")]
    at: Moment,
    items: Vec<Standing>,
}

#[derive(Deserialize)]
struct Standing {
    name: String,
    idle: Option<String>,
    #[serde(default)]
    remote: bool,
    last_success: Option<String>,
    last_error: Option<LastError>,
    consecutive_failures: u64,
    backlog: u64,
}

#[derive(Deserialize)]
struct LastError {
    class: String,
    at: String,
}

async fn shown(health: &Health) -> anyhow::Result<Answer> {
    let connected = health.connection.connect(None).await?;
    let answer = connected.get(&["adapters"], &[]).await?;
    let found: Found = serde_json::from_str(&answer)
        .context("the server's list of adapters cannot be understood")?;
    let works = found.items.iter().all(|adapter| adapter.consecutive_failures == 0);
    let answered = if works { Answer::Yes } else { Answer::No };
    if health.json {
        output::body(&answer);
        return Ok(answered);
    }
    let ago = |text: &str| text.parse().map_or(text.to_owned(), |then| relative(then, found.at));
    let mut table =
        Table::new(["ADAPTER", "STATE", "LAST ANSWER", "LAST ERROR", "FAILURES", "BACKLOG"]);
    for adapter in &found.items {
        let state = state(adapter);
        let error = adapter.last_error.as_ref();
        let error = error.map(|error| format!("{}, {}", error.class, ago(&error.at)));
        table.row(Row::of([
            Cell::new(adapter.name.clone()).bold(),
            state,
            Cell::maybe(adapter.last_success.as_deref().map(ago)),
            Cell::maybe(error),
            Cell::new(adapter.consecutive_failures.to_string()),
            Cell::new(adapter.backlog.to_string()),
        ]));
    }
    table.lines().iter().for_each(output::line);
    Ok(answered)
}

fn state(adapter: &Standing) -> Cell {
    let texts = Texts::of(Language::En);
    let refused = adapter.last_error.as_ref().is_some_and(|error| SeamError::is_code(&error.class));
    match (&adapter.idle, adapter.consecutive_failures, adapter.remote) {
        (Some(_), ..) => Cell::new("idle"),
        (None, 0, true) => Cell::new("remote"),
        (None, 0, false) => Cell::new("works"),
        (None, ..) if refused => {
            Cell::new(texts.phrase(Phrase::AdapterRefused)).loud(Severity::Warning)
        }
        (None, ..) => Cell::new(texts.phrase(Phrase::AdapterFailing)).loud(Severity::Warning),
    }
}

/// An error and what it comes from.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn line(row: &Handled) -> Line<'_> {
    Line {
        operation: Some(&row.operation),
        observes: None,
        adapter: row.adapter.as_ref().map(|(name, _)| name.as_str()),
        version: row.adapter.as_ref().map(|(_, version)| *version),
        reads: row.reads.as_deref(),
        idle: row.idle.as_deref(),
        remote: row.remote,
        in_catalog: row.in_catalog,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_decision_is_not_shown_as_a_source_that_fails() {
        for (class, remote, shown) in [
            ("evidence_suspicious", false, "its decisions are refused"),
            ("evidence_not_allowed", true, "its decisions are refused"),
            ("timeout", false, "its source fails"),
        ] {
            let standing = Standing {
                name: "book".to_owned(),
                idle: None,
                remote,
                last_success: None,
                last_error: Some(LastError { class: class.to_owned(), at: String::new() }),
                consecutive_failures: 1,
                backlog: 0,
            };
            assert!(state(&standing).to_string().contains(shown), "{class}");
        }
    }
}
