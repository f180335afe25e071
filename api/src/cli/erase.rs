//! `runledger erase`: forget what is said in events, with two people, and keep every proof.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context;
use runledger_ledger::erasure;
use runledger_ledger::store::{Store, StoreUrl};
use runledger_ledger::words::RunId;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::connection::{Connected, Connection};
use super::table::{Cell, Row, Table};
use super::{Answer, Unusable, block_on, output};
use crate::client::Ask;
use crate::routes::erasures::ErasureView;

/// How often it is asked whether it is done.
const PACE: Duration = Duration::from_millis(500);
/// Most positions of a range.
const MOST: u64 = 500;

/// What may be done about an erasure.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Request(Request),
    Approve(Approve),
    Run(Run),
    List(Shown),
}

/// Ask for an erasure. Somebody else has to approve it within seven days.
///
/// Bodies give way to tombstones, which keep what verdicts hang on (states, times, operation, queue)
/// and nothing that somebody said in their own words. Leaf hashes stay, and with them every proof.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("what").required(true).args(["run", "positions", "subject"]),
    after_help = "\
Examples:
  runledger erase request --subject user/4711 --reason \"asked for it\" --legal-basis \"GDPR Art. 17(1)(b)\"
  runledger erase request --positions 17,20-25 --reason \"a secret\" --legal-basis \"GDPR Art. 32\""
)]
pub(super) struct Request {
    /// Everything that is said of this run
    #[arg(long, value_name = "ID")]
    run: Option<RunId>,
    /// Single events, as in 17,20-25
    #[arg(long, value_name = "POSITIONS")]
    positions: Option<String>,
    /// Everything that is said of this subject and of its runs, and its own id
    #[arg(long, value_name = "TYPE/ID")]
    subject: Option<String>,
    /// Why. It stays in the log for ever: name nobody
    #[arg(long)]
    reason: String,
    /// By what right or duty, such as an article of a law
    #[arg(long)]
    legal_basis: String,
    #[command(flatten)]
    connection: Connection,
}

/// Approve an erasure that somebody else has asked for.
#[derive(Debug, clap::Args)]
pub(super) struct Approve {
    /// Its id, as `runledger erase list` shows it
    erasure: Uuid,
    /// Why. It stays in the log for ever: name nobody
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    connection: Connection,
}

/// Carry an approved erasure out, or go on with it, and wait until it is done.
///
/// On PostgreSQL the service may not erase: name a role that is a member of runledger_eraser.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 erased; 1 not erased, and standard output says why; 2 the command line cannot be used; 3 \
the server cannot be reached, or refused")]
pub(super) struct Run {
    /// Its id, as `runledger erase list` shows it
    erasure: Uuid,
    /// The ledger's PostgreSQL database, as a role that is a member of runledger_eraser
    #[arg(long, value_name = "URL", env = "RUNLEDGER_ERASER_URL", hide_env_values = true)]
    eraser_url: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Show the erasures of a workspace, the latest first.
#[derive(Debug, clap::Args)]
pub(super) struct Shown {
    /// The server's answer as it came
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Deserialize)]
struct Items {
    items: Vec<ErasureView>,
}

pub(super) fn run(command: &Command) -> anyhow::Result<Answer> {
    block_on(async {
        match command {
            Command::Request(request) => ask(request).await,
            Command::Approve(approve) => {
                let connected = approve.connection.connect(None).await?;
                let body = json!({ "reason": approve.reason });
                let id = approve.erasure.to_string();
                let approved = send(&connected, &["erasures", &id, "approve"], &body).await?;
                output::line(format!(
                    "{id} is approved: {} events; `runledger erase run {id}` carries it out",
                    approved.events
                ));
                Ok(Answer::Yes)
            }
            Command::Run(run) => carry_out(run).await,
            Command::List(shown) => list(shown).await,
        }
    })
}

async fn ask(request: &Request) -> anyhow::Result<Answer> {
    let positions = request.positions.as_deref().map(positions).transpose()?;
    let mut body = json!({ "reason": request.reason, "legal_basis": request.legal_basis });
    match (&positions, &request.run, &request.subject) {
        (Some(positions), ..) => body["positions"] = json!(positions),
        (_, Some(run), _) => body["run"] = json!(run),
        (.., subject) => body["subject"] = json!(subject),
    }
    let connected = request.connection.connect(None).await?;
    let asked = send(&connected, &["erasures"], &body).await?;
    output::line(asked.id);
    output::note(format!(
        "It is about {} events. Somebody else has to approve it until {}: `runledger erase approve {}`",
        asked.events, asked.expires_at, asked.id
    ));
    Ok(Answer::Yes)
}

async fn carry_out(run: &Run) -> anyhow::Result<Answer> {
    let connected = run.connection.connect(None).await?;
    let mut view = until_it_stops(&connected, run.erasure).await?;
    if view.problem.as_deref() == Some("erased_elsewhere")
        && let Some(url) = &run.eraser_url
    {
        empty(&connected, run.erasure, url).await?;
        view = until_it_stops(&connected, run.erasure).await?;
    }
    if view.state == "completed" {
        output::line(format!(
            "{}: {} bodies are erased; every proof still holds",
            view.id, view.bodies
        ));
        return Ok(Answer::Yes);
    }
    let why = view.detail.unwrap_or_else(|| "the server does not say why".to_owned());
    output::line(format!("{}: not erased: {why}", view.id));
    Ok(Answer::No)
}

/// Has the server go on, and waits until it is done or stops.
async fn until_it_stops(connected: &Connected, id: Uuid) -> anyhow::Result<ErasureView> {
    let id = id.to_string();
    let mut view = send(connected, &["erasures", &id, "run"], &Value::Null).await?;
    while view.state != "completed" {
        tokio::time::sleep(PACE).await;
        view = read(&connected.get(&["erasures", &id], &[]).await?)?;
        if !view.running {
            break;
        }
    }
    Ok(view)
}

/// Puts the tombstones into the database, as somebody who may.
async fn empty(connected: &Connected, id: Uuid, url: &str) -> anyhow::Result<()> {
    let store = Store::open(&StoreUrl::Postgres(url.to_owned())).await;
    let store = store.context("the database of --eraser-url cannot be opened")?;
    let workspace = store.workspace_by_name(&connected.workspace).await?;
    let workspace = workspace.context("the database of --eraser-url has no such workspace")?;
    let ordered = erasure::load(&store, workspace, id).await?;
    let emptied = erasure::empty(&store, workspace, &ordered).await;
    store.close().await;
    Ok(emptied?)
}

async fn list(shown: &Shown) -> anyhow::Result<Answer> {
    let connected = shown.connection.connect(None).await?;
    let answer = connected.get(&["erasures"], &[]).await?;
    if shown.json {
        output::body(&answer);
        return Ok(Answer::Yes);
    }
    let Items { items } = serde_json::from_str(&answer)?;
    let mut table =
        Table::new(["STATE", "EVENTS", "ASKED BY", "APPROVED BY", "LEGAL BASIS", "REASON", "ID"]);
    for erasure in items {
        table.row(Row::of([
            Cell::new(erasure.state),
            Cell::new(erasure.events.max(erasure.bodies).to_string()),
            Cell::new(erasure.requested_by),
            Cell::new(erasure.approved_by.unwrap_or_default()),
            Cell::new(erasure.legal_basis),
            Cell::new(erasure.reason),
            Cell::new(erasure.id.to_string()),
        ]));
    }
    table.lines().iter().for_each(output::line);
    Ok(Answer::Yes)
}

async fn send(connected: &Connected, path: &[&str], body: &Value) -> anyhow::Result<ErasureView> {
    let mut whole = vec!["v1", "workspaces", connected.workspace.as_str()];
    whole.extend(path);
    let ask = Ask { path: &whole, query: &[] };
    read(&connected.client.post(ask, "application/json", body.to_string()).await?)
}

fn read(answer: &str) -> anyhow::Result<ErasureView> {
    serde_json::from_str(answer).context("the server's answer cannot be understood")
}

/// Positions and ranges of them, as in `17,20-25`.
fn positions(text: &str) -> anyhow::Result<BTreeSet<u64>> {
    let wrong = || Unusable(format!("`{text}` are no positions; write them as in 17,20-25"));
    let mut all = BTreeSet::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (Ok(from), Ok(to)) = (from.trim().parse::<u64>(), to.trim().parse::<u64>()) else {
            return Err(wrong().into());
        };
        if to < from {
            return Err(wrong().into());
        }
        if to - from >= MOST {
            return Err(Unusable(format!("one erasure names {MOST} positions at most")).into());
        }
        all.extend(from..=to);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_single_ones_and_ranges() {
        let read = |text: &str| positions(text).ok().map(|all| all.into_iter().collect::<Vec<_>>());
        assert_eq!(read("17, 20-22,4"), Some(vec![4, 17, 20, 21, 22]));
        for wrong in ["", "a", "3-", "5-3", "1,,2", "0-5000", "-1"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
