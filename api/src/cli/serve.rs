//! `runledger serve`.

use std::io::IsTerminal;
use std::net::SocketAddr;

use anyhow::Context;
use runledger_ledger::store::StoreUrl;
use tracing_subscriber::EnvFilter;

use super::output;
use crate::server::{Server, reachable};
use crate::settings::{Flags, LogFormat, Settings};

/// Start the server.
///
/// Each setting is a flag, an environment variable or a line of the settings file; a flag counts
/// before the environment, and the environment before the file.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    flags: Flags,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let settings = Settings::resolve(&arguments.flags, &|name| std::env::var(name).ok())?;
    log_as(&settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(&settings))
}

async fn serve(settings: &Settings) -> anyhow::Result<()> {
    let stop = signals().context("signals cannot be listened for")?;
    let server = Server::start(settings).await?;
    let link = server.sign_in_link()?;
    for line in start_up_lines(settings, server.address(), &link) {
        output::line(line);
    }
    server.run(stop).await
}

/// Where things are, and what to try first.
fn start_up_lines(settings: &Settings, address: SocketAddr, link: &str) -> [String; 7] {
    let url = format!("http://{}", reachable(address));
    let token = settings.token_file();
    let token = token.display();
    let database = match &settings.database {
        StoreUrl::Postgres(_) => format!("PostgreSQL, {}", settings.database),
        _ => format!("SQLite, {}", settings.database),
    };
    let workspace = &settings.workspace;
    [
        format!("Runledger {} listens on {url}", env!("CARGO_PKG_VERSION")),
        format!("  data   {database}"),
        format!("  token  {token}"),
        "Open the dashboard (the link works once, within an hour):".to_owned(),
        format!("  {link}"),
        "Record a first event:".to_owned(),
        format!(
            "  curl -H \"Authorization: Bearer $(cat {token})\" \
             -d '{{\"type\":\"run.dispatched\",\"data\":{{\"operation\":\"backup.create\"}}}}' \
             {url}/v1/workspaces/{workspace}/events"
        ),
    ]
}

/// Done when the process is told to end.
#[cfg(unix)]
pub(super) fn signals() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Done when the process is told to end.
#[cfg(not(unix))]
pub(super) fn signals() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    Ok(async {
        // Without a way to be told, the server runs until it is killed, which loses nothing.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// Logs to standard error from now on.
pub(super) fn log_as(settings: &Settings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&settings.log)?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let set = match settings.log_format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    set.map_err(|error| anyhow::anyhow!(error)).context("logging cannot be set up")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_shown_without_its_secrets() {
        for (url, shown) in [
            ("postgres://ada:hunter2@db.local:5432/ledger?sslmode=require", "db.local:5432/ledger"),
            ("postgres://ada:p@ss@db/ledger", "db/ledger"),
            ("postgres://db/ledger?password=hunter2", "db/ledger"),
        ] {
            assert_eq!(StoreUrl::Postgres(url.to_owned()).to_string(), shown);
        }
    }
}
