//! `runledger tokens` and `runledger roles`: who may do what in a workspace, over the server.

use serde::Deserialize;
use serde_json::{Value, json};

use super::connection::{Because, Connected, Connection};
use super::table::{Cell, Row, Table};
use super::{Answer, block_on, output};
use crate::client::Ask;

/// What may be done with tokens.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Tokens {
    List(Shown),
    New(New),
    Rotate(Rotate),
    Revoke(Revoke),
}

/// What may be done with roles.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Roles {
    /// Show who has which role in a workspace.
    List(Shown),
    Grant(Grant),
    Remove(Remove),
}

/// Show the tokens of a workspace, without the tokens themselves.
#[derive(Debug, clap::Args)]
pub(super) struct Shown {
    /// The server's answer as it came
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Make a token for a service or a remote adapter. It is printed once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  runledger tokens new ci --role reporter --environment production --reason \"deploys\"
  runledger tokens new report.files --role adapter --reason \"the report server\"")]
pub(super) struct New {
    /// The service that holds it; of an adapter, its name
    name: String,
    /// reporter, adapter, viewer, auditor, operator, admin or owner
    #[arg(long)]
    role: String,
    /// An environment that it is held to; may be given several times [default: the whole workspace]
    #[arg(long = "environment", value_name = "NAME")]
    environments: Vec<String>,
    /// After how many days it ends; 0 is never
    #[arg(long, default_value_t = 90)]
    days: u16,
    #[command(flatten)]
    because: Because,
}

/// Make a token that takes the place of another one. Both are taken for a while.
#[derive(Debug, clap::Args)]
pub(super) struct Rotate {
    /// The id of the old one, as `runledger tokens list` shows it
    token: String,
    /// For how many hours the old one is taken as well
    #[arg(long, default_value_t = 24)]
    overlap_hours: u16,
    /// After how many days the new one ends; 0 is never
    #[arg(long, default_value_t = 90)]
    days: u16,
    #[command(flatten)]
    because: Because,
}

/// Take a token out of use, for good and at once.
#[derive(Debug, clap::Args)]
pub(super) struct Revoke {
    /// Its id, as `runledger tokens list` shows it
    token: String,
    #[command(flatten)]
    because: Because,
}

/// Give somebody a role in a workspace, instead of the one that they have.
#[derive(Debug, clap::Args)]
pub(super) struct Grant {
    /// Who
    name: String,
    /// owner, admin, operator, reporter, auditor or viewer
    role: String,
    #[command(flatten)]
    which: Which,
    /// An environment that they are held to; may be given several times [default: the whole workspace]
    #[arg(long = "environment", value_name = "NAME")]
    environments: Vec<String>,
    #[command(flatten)]
    because: Because,
}

/// Take somebody's role in a workspace away, and their tokens with it.
#[derive(Debug, clap::Args)]
pub(super) struct Remove {
    /// Who
    name: String,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    because: Because,
}

/// Which of those who have the same name.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// person, service or adapter; needed where a person and a program have the same name
    #[arg(long)]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Items<T> {
    items: Vec<T>,
}

#[derive(Deserialize)]
struct Token {
    id: String,
    name: String,
    state: String,
    role: Option<String>,
    environments: Option<Vec<String>>,
    expires_at: Option<String>,
    last_used_at: Option<String>,
}

#[derive(Deserialize)]
struct Member {
    name: String,
    kind: String,
    role: String,
    environments: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Made {
    id: String,
    token: String,
    expires_at: Option<String>,
}

pub(super) fn tokens(command: &Tokens) -> anyhow::Result<Answer> {
    block_on(async {
        match command {
            Tokens::List(shown) => list_tokens(shown).await,
            Tokens::New(new) => {
                let mut body = json!({
                    "name": new.name, "role": new.role, "days": new.days,
                    "reason": new.because.reason,
                });
                hold(&mut body, &new.environments);
                made(&new.because.connection, &["tokens"], &body).await
            }
            Tokens::Rotate(rotate) => {
                let body = json!({
                    "overlap_hours": rotate.overlap_hours, "days": rotate.days,
                    "reason": rotate.because.reason,
                });
                made(&rotate.because.connection, &["tokens", &rotate.token, "rotate"], &body).await
            }
            Tokens::Revoke(revoke) => {
                let body = json!({ "reason": revoke.because.reason });
                let path = ["tokens", revoke.token.as_str(), "revoke"];
                done(&revoke.because.connection, &path, &body, "the token is not taken any more")
                    .await
            }
        }
    })
}

pub(super) fn roles(command: &Roles) -> anyhow::Result<Answer> {
    block_on(async {
        match command {
            Roles::List(shown) => list_members(shown).await,
            Roles::Grant(grant) => {
                let mut body = json!({
                    "name": grant.name, "role": grant.role, "reason": grant.because.reason,
                });
                hold(&mut body, &grant.environments);
                grant.which.say(&mut body);
                let connected = grant.because.connection.connect(None).await?;
                let answer = send(&connected, &["members"], &body).await?;
                let Granted { name, kind } = serde_json::from_str(&answer)?;
                output::line(format!("the {kind} {name} has the role {} now", grant.role));
                Ok(Answer::Yes)
            }
            Roles::Remove(remove) => {
                let mut body = json!({ "reason": remove.because.reason });
                remove.which.say(&mut body);
                let path = ["members", remove.name.as_str(), "remove"];
                let what = format!("{} has no role here any more", remove.name);
                done(&remove.because.connection, &path, &body, &what).await
            }
        }
    })
}

impl Which {
    fn say(&self, body: &mut Value) {
        if let Some(kind) = &self.kind {
            body["kind"] = json!(kind);
        }
    }
}

/// Who was given a role.
#[derive(Deserialize)]
struct Granted {
    name: String,
    kind: String,
}

fn hold(body: &mut Value, environments: &[String]) {
    if !environments.is_empty() {
        body["environments"] = json!(environments);
    }
}

async fn send(connected: &Connected, path: &[&str], body: &Value) -> anyhow::Result<String> {
    let mut whole = vec!["v1", "workspaces", connected.workspace.as_str()];
    whole.extend(path);
    let ask = Ask { path: &whole, query: &[] };
    Ok(connected.client.post(ask, "application/json", body.to_string()).await?)
}

async fn made(connection: &Connection, path: &[&str], body: &Value) -> anyhow::Result<Answer> {
    let connected = connection.connect(None).await?;
    let made: Made = serde_json::from_str(&send(&connected, path, body).await?)?;
    output::line(&made.token);
    output::note(format!(
        "This is shown once. It is called {}, and ends {}.",
        made.id,
        made.expires_at.as_deref().unwrap_or("never")
    ));
    Ok(Answer::Yes)
}

async fn done(
    connection: &Connection,
    path: &[&str],
    body: &Value,
    what: &str,
) -> anyhow::Result<Answer> {
    let connected = connection.connect(None).await?;
    send(&connected, path, body).await?;
    output::line(what);
    Ok(Answer::Yes)
}

async fn list_tokens(shown: &Shown) -> anyhow::Result<Answer> {
    let connected = shown.connection.connect(None).await?;
    let answer = connected.get(&["tokens"], &[]).await?;
    if shown.json {
        output::body(&answer);
        return Ok(Answer::Yes);
    }
    let Items { items } = serde_json::from_str::<Items<Token>>(&answer)?;
    let mut table = Table::new(["NAME", "ROLE", "WHERE", "STATE", "ENDS", "LAST USED", "ID"]);
    for token in items {
        table.row(Row::of([
            Cell::new(token.name),
            Cell::new(token.role.unwrap_or_default()),
            Cell::new(place(token.environments)),
            Cell::new(token.state),
            Cell::new(token.expires_at.unwrap_or_else(|| "never".to_owned())),
            Cell::new(token.last_used_at.unwrap_or_else(|| "not yet".to_owned())),
            Cell::new(token.id).dim(),
        ]));
    }
    table.lines().iter().for_each(output::line);
    Ok(Answer::Yes)
}

async fn list_members(shown: &Shown) -> anyhow::Result<Answer> {
    let connected = shown.connection.connect(None).await?;
    let answer = connected.get(&["members"], &[]).await?;
    if shown.json {
        output::body(&answer);
        return Ok(Answer::Yes);
    }
    let Items { items } = serde_json::from_str::<Items<Member>>(&answer)?;
    let mut table = Table::new(["NAME", "KIND", "ROLE", "WHERE"]);
    for member in items {
        table.row(Row::of([
            Cell::new(member.name),
            Cell::new(member.kind),
            Cell::new(member.role),
            Cell::new(place(member.environments)),
        ]));
    }
    table.lines().iter().for_each(output::line);
    Ok(Answer::Yes)
}

fn place(environments: Option<Vec<String>>) -> String {
    environments.map_or_else(|| "everywhere".to_owned(), |all| all.join(", "))
}
