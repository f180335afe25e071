//! A server in a process of its own, for tests that stop it, kill it, or start several.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How long a server may take until it says where it listens.
const START: Duration = Duration::from_secs(60);

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    /// Where it answers, such as `http://127.0.0.1:40001`.
    pub url: String,
    /// The administrator's token.
    pub token: String,
}

/// A server that did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The program could not be run, or its token not be read.
    #[error("the server could not be started")]
    Io(#[from] std::io::Error),
    /// It ended, or said nothing, instead of listening.
    #[error("the server does not say where it listens: {0:?}")]
    Silent(String),
}

impl ServerProcess {
    /// Starts `program` (see `env!("CARGO_BIN_EXE_runledger-under-test")`) with its data in
    /// `data_dir`, on a free port; on PostgreSQL if a URL is given.
    pub async fn start(
        program: &str,
        data_dir: &Path,
        database_url: Option<&str>,
    ) -> Result<Self, StartError> {
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data_dir);
        command.env_remove("RUNLEDGER_DATABASE_URL");
        // What it can do is asked, and one token and one address ask it.
        for limit in ["TOKEN_REQUESTS", "TOKEN_EVENTS", "PERSON_REQUESTS", "ADDRESS_REQUESTS"] {
            command.env(format!("RUNLEDGER_{limit}"), "off");
        }
        if let Some(url) = database_url {
            command.args(["--database-url", url]);
            // Tests' clusters do not flush.
            command.args(["--allow-unsafe", "durability"]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.kill_on_drop(true).spawn()?;
        let out = child.stdout.take().ok_or_else(|| StartError::Silent(String::new()))?;
        let mut out = BufReader::new(out).lines();
        let first = tokio::time::timeout(START, out.next_line()).await;
        let first = first.map_err(|_| StartError::Silent("nothing in time".to_owned()))??;
        // Whatever else it prints is taken, so that it never waits for a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = out.next_line().await {} });
        let first = first.unwrap_or_default();
        let url = first.split_whitespace().find(|word| word.starts_with("http://"));
        let url = url.ok_or_else(|| StartError::Silent(first.clone()))?.to_owned();
        let token = std::fs::read_to_string(data_dir.join("admin-token"))?.trim().to_owned();
        Ok(ServerProcess { child, url, token })
    }

    /// Kills it as `kill -9` does, and waits until it is gone.
    pub async fn kill(mut self) -> std::io::Result<()> {
        self.child.start_kill()?;
        self.child.wait().await.map(drop)
    }

    /// The process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until it ends by itself, and gives its exit code.
    pub async fn ended(mut self) -> std::io::Result<Option<i32>> {
        self.child.wait().await.map(|status| status.code())
    }
}

/// A client for the servers of the tests.
pub fn client() -> reqwest::Client {
    // Already installed is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}
