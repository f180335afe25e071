//! `runledger audit request`: a pack that a running server makes.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use runledger_ledger::time::Moment;
use runledger_ledger::words::RunId;
use serde_json::json;

use super::super::connection::{Connected, Connection};
use super::super::{Answer, Unusable, block_on, output};
use crate::client::Ask;
use crate::exports::{Export, State};

/// How often it is asked whether the pack is ready.
const PACE: Duration = Duration::from_secs(1);

/// Have a running server make an audit pack, wait for it, and download it.
///
/// The server makes it in the background, as a run in the workspace's own log, and keeps it for a
/// day: who ends this command early finds it at `GET …/audit-packs`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  runledger audit request --url https://ledger.example --workspace main --reason 'yearly audit' \\
    --output main.zip
  runledger audit request --operation restore.execute --reason 'case 4711' --output restores.zip

Exit codes: 0 the pack is there; 1 the server did not make it; 2 the command line or a file cannot be
used; 3 the server cannot be reached, or refused")]
pub(in super::super) struct Request {
    #[command(flatten)]
    connection: Connection,
    /// The file to write; it must not be there yet
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Why it is read. The log says who has read it, and why
    #[arg(long, value_name = "TEXT", value_parser = super::said)]
    reason: String,
    /// Who asks for it [default: whose token it is]
    #[arg(long, value_name = "NAME")]
    requester: Option<String>,
    /// The log as it was with so many events, of which a checkpoint was signed [default: the last
    /// checkpoint]
    #[arg(long, value_name = "EVENTS")]
    size: Option<u64>,
    /// Only the events of this run
    #[arg(long, value_name = "ID")]
    run: Option<RunId>,
    /// Only the events of runs of this operation; an alias in the catalog is resolved
    #[arg(long, value_name = "OPERATION")]
    operation: Option<String>,
    /// Only the events of runs of this environment, and of subjects in it
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Only what was recorded then or later
    #[arg(long, value_name = "TIME")]
    from: Option<Moment>,
    /// Only what was recorded before
    #[arg(long, value_name = "TIME")]
    to: Option<Moment>,
}

pub(in super::super) fn run(request: &Request) -> anyhow::Result<Answer> {
    let path = request.output.display();
    if request.output.exists() {
        return Err(Unusable(format!("{path} is there already")).into());
    }
    block_on(async {
        let connected = request.connection.connect(None).await?;
        let mut export = ask(&connected, request).await?;
        let id = export.id.to_string();
        while matches!(export.state, State::Waiting | State::Running) {
            tokio::time::sleep(PACE).await;
            export = read(&connected.get(&["audit-packs", &id], &[]).await?)?;
        }
        if export.state != State::Ready {
            let why = export.problem.unwrap_or_else(|| "the server does not say why".to_owned());
            output::line(format!("the pack {id} was not made: {why}"));
            return Ok(Answer::No);
        }
        let name = connected.workspace.as_str();
        let file = ["v1", "workspaces", name, "audit-packs", &id, "file"];
        let out = std::fs::OpenOptions::new().write(true).create_new(true).open(&request.output);
        let mut out = out.map_err(|error| Unusable(format!("{path} cannot be made: {error}")))?;
        let ask = Ask { path: &file, query: &[("reason", request.reason.clone())] };
        let written = connected.client.download(ask, &mut |piece| out.write_all(piece)).await;
        if let Err(error) = written {
            // Half a pack is none.
            drop(out);
            let _ = std::fs::remove_file(&request.output);
            return Err(error);
        }
        let events = export.events.unwrap_or_default();
        output::line(format!("{path}: {events} events of a log of {}", export.size));
        output::line(format!("  manifest {}", export.manifest.unwrap_or_default()));
        Ok(Answer::Yes)
    })
}

async fn ask(connected: &Connected, request: &Request) -> anyhow::Result<Export> {
    let Request { requester, size, run, operation, environment, from, to, .. } = request;
    let time = |time: &Option<Moment>| time.map(|time| time.to_string());
    let asked = json!({
        "requester": requester, "size": size, "run": run, "operation": operation,
        "environment": environment,
        "from": time(from), "to": time(to),
    });
    let path = ["v1", "workspaces", connected.workspace.as_str(), "audit-packs"];
    let ask = Ask { path: &path, query: &[] };
    read(&connected.client.post(ask, "application/json", asked.to_string()).await?)
}

fn read(answer: &str) -> anyhow::Result<Export> {
    serde_json::from_str(answer).context("the server's answer cannot be understood")
}
