//! Which server a command asks, as whom, and about which workspace.

use std::path::PathBuf;

use anyhow::Context;
use serde::Deserialize;

use super::Unusable;
use crate::client::{Ask, Client};
use crate::server::reachable;
use crate::settings::{Flags, Settings};

/// Which server is asked.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Which server")]
pub(super) struct Connection {
    /// The address of the server [env: RUNLEDGER_URL] [default: the one that `runledger serve`
    /// would answer on here, http://127.0.0.1:7300]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The workspace [env: RUNLEDGER_WORKSPACE] [default: the only one, if there is only one]
    #[arg(long, short, value_name = "NAME")]
    workspace: Option<String>,
    /// The file of the token [default: the token in RUNLEDGER_TOKEN, else admin-token in the data
    /// directory]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The data directory of a server on this machine [env: RUNLEDGER_DATA_DIR]
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<String>,
    /// The settings file of a server on this machine [env: RUNLEDGER_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Why something is done, and on which server.
#[derive(Debug, clap::Args)]
pub(super) struct Because {
    /// Why, for the log
    #[arg(long)]
    pub(super) reason: String,
    #[command(flatten)]
    pub(super) connection: Connection,
}

/// A workspace of a server that answers.
#[derive(Debug)]
pub(super) struct Connected {
    /// The client.
    pub(super) client: Client,
    /// The name of the workspace.
    pub(super) workspace: String,
}

impl Connection {
    /// Whether a workspace is named on the command line.
    pub(super) const fn names_a_workspace(&self) -> bool {
        self.workspace.is_some()
    }

    /// The server that is meant, and the workspace: the one that is named, or the only one there
    /// is. Answers for people come in `language`.
    pub(super) async fn connect(&self, language: Option<&str>) -> anyhow::Result<Connected> {
        let client = self.client(language)?;
        let workspace = match self.workspace.clone().or_else(|| set("RUNLEDGER_WORKSPACE")) {
            Some(workspace) => workspace,
            None => only_workspace(&client).await?,
        };
        Ok(Connected { client, workspace })
    }

    /// The server that is meant, for what is of no workspace.
    pub(super) fn client(&self, language: Option<&str>) -> anyhow::Result<Client> {
        let flags = Flags {
            config: self.config.clone(),
            data_dir: self.data_dir.clone(),
            ..Flags::default()
        };
        let settings = Settings::resolve(&flags, &|name| std::env::var(name).ok())?;
        let url = self.url.clone().or_else(|| set("RUNLEDGER_URL"));
        let url = url.unwrap_or_else(|| format!("http://{}", reachable(settings.listen)));
        let token = match (&self.token_file, token_of_environment()?) {
            (None, Some(token)) => token,
            (Some(file), _) => read_token(file)?,
            (None, None) => read_token(&settings.token_file())?,
        };
        Ok(Client::new(&url, token.trim(), language)?)
    }
}

/// A variable of the environment that is set to something.
fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[derive(Deserialize)]
struct Workspaces {
    items: Vec<Workspace>,
}

#[derive(Deserialize)]
struct Workspace {
    name: String,
}

async fn only_workspace(client: &Client) -> anyhow::Result<String> {
    let answer = client.get(Ask { path: &["v1", "workspaces"], query: &[] }).await?;
    let Workspaces { items: mut workspaces } = serde_json::from_str(&answer)
        .context("the server's list of workspaces cannot be understood")?;
    if workspaces.len() > 1 {
        let names: Vec<&str> = workspaces.iter().map(|found| found.name.as_str()).collect();
        let what = format!(
            "the server has several workspaces: {}; name one with --workspace or \
             RUNLEDGER_WORKSPACE",
            names.join(", ")
        );
        return Err(anyhow::Error::new(Unusable(what)));
    }
    let only = workspaces.pop().context("the server has no workspace yet; make one first")?;
    Ok(only.name)
}

/// The token that a file or the environment holds; an empty one if there is none.
pub(super) fn token(file: Option<&std::path::Path>) -> anyhow::Result<String> {
    match file {
        Some(file) => read_token(file),
        None => Ok(token_of_environment()?.unwrap_or_default()),
    }
}

/// The token of the environment; none where the variable is not set. An empty one is a secret that is
/// missing, and nobody goes on with the administrator's instead.
fn token_of_environment() -> anyhow::Result<Option<String>> {
    match std::env::var("RUNLEDGER_TOKEN") {
        Ok(token) if token.trim().is_empty() => Err(anyhow::Error::new(Unusable(
            "RUNLEDGER_TOKEN is set and empty; set it to a token, or take it out of the environment"
                .to_owned(),
        ))),
        token => Ok(token.ok()),
    }
}

fn read_token(file: &std::path::Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).map_err(|error| {
        let what = Unusable(format!(
            "there is no token: {} cannot be read ({error}); name the file with --token-file, the \
             server's data directory with --data-dir, or set RUNLEDGER_TOKEN",
            file.display()
        ));
        anyhow::Error::new(what)
    })
}

impl Connected {
    /// What the server answers to a question about the workspace.
    pub(super) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> anyhow::Result<String> {
        let mut whole = vec!["v1", "workspaces", self.workspace.as_str()];
        whole.extend(path);
        Ok(self.client.get(Ask { path: &whole, query }).await?)
    }
}
