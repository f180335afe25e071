//! `runledger witness`: see to it that logs of others only grow.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use runledger_ledger::clock::{Clock, Entropy};
use runledger_proof::policy::Policy;
use tokio::net::TcpListener;

use super::serve::signals;
use super::{Answer, Unusable, block_on, output};
use crate::witness::{self, Witness};

/// What a witness does.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Serve(Serve),
}

/// Sign the checkpoints of logs that only grow (C2SP tlog-witness).
///
/// Run it on another machine, under another administrator, than the logs. `POST /add-checkpoint`
/// takes what `GET …/log/consistency?from=SIZE` of a log gives, and answers with a signature.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  runledger witness serve --name witness.example/w1 --policy logs.policy --dir /srv/witness")]
pub(super) struct Serve {
    /// The name of the witness, which never changes
    #[arg(long)]
    name: String,
    /// The logs that it witnesses: the `log` lines of a policy file
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The directory of its key and of what it has signed
    #[arg(long, value_name = "DIRECTORY")]
    dir: PathBuf,
    /// The address to answer on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7301")]
    listen: SocketAddr,
}

pub(super) fn run(command: &Command) -> anyhow::Result<Answer> {
    let Command::Serve(serve) = command;
    let name = serve.policy.display();
    let policy = std::fs::read(&serve.policy)
        .map_err(|error| Unusable(format!("{name} cannot be read: {error}")))?;
    let policy = Policy::parse(&policy)
        .map_err(|error| Unusable(format!("{name} is no trust policy: {error}")))?;
    let key =
        witness::load_or_make(&serve.dir.join("witness-key"), &serve.name, &Entropy::system())?;
    let witness = Witness::new(key, &policy, Clock::system(), &serve.dir);
    block_on(async {
        let listener = TcpListener::bind(serve.listen).await;
        let listener =
            listener.with_context(|| format!("{} cannot be listened on", serve.listen))?;
        output::line(format!("the witness listens on http://{}", listener.local_addr()?));
        output::line(format!("  witness {} {}", serve.name, witness.verifier()));
        let stop = signals().context("signals cannot be listened for")?;
        axum::serve(listener, witness.router()).with_graceful_shutdown(stop).await?;
        Ok(Answer::Yes)
    })
}
