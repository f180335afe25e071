//! `runledger users`: who signs in to the dashboard, over the server (specs/0022).

use std::io::{BufRead, IsTerminal, Read};

use anyhow::Context;
use serde::Deserialize;
use serde_json::{Value, json};

use super::connection::{Because, Connection};
use super::table::{Cell, Row, Table};
use super::{Answer, Unusable, block_on, output};
use crate::client::{Ask, Client};
use crate::people::{LONGEST, Password};

/// What may be done about people.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Users {
    List(Shown),
    /// Make somebody who signs in with a password, or with the provider of identities. They have no
    /// role yet.
    Add(Added),
    /// Give somebody another password, and sign them out.
    Password(Given),
    /// Let somebody sign in as somebody of the provider of identities ([oidc] of the server's settings).
    Link(Linked),
    /// Let somebody not sign in there any more, and sign them out.
    Unlink(Meant),
    /// Keep somebody from signing in, and sign them out at once.
    Disable(Meant),
    /// Let somebody sign in again.
    Enable(Meant),
    /// Remove somebody, with all their roles. Their name is free again.
    Remove(Meant),
    Sessions(SessionsOf),
    SignOut(SignOut),
}

/// Show who signs in.
#[derive(Debug, clap::Args)]
pub(super) struct Shown {
    /// The server's answer as it came
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// A new person. The password is asked for, or read from standard input, as of `password`; with
/// `--subject` there is none unless `--password` says so.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  runledger users add ada --reason \"joins the team\"
  runledger users add bob --subject 248289761001 --reason \"joins the team\"
  runledger roles grant ada operator --reason \"joins the team\"")]
pub(super) struct Added {
    /// What they are called here
    name: String,
    /// What the provider of identities calls them for good: the claim `sub`, or what the server's
    /// settings name
    #[arg(long)]
    subject: Option<String>,
    /// Give somebody of the provider a password as well; whoever is named without `--subject` gets one anyway
    #[arg(long, requires = "subject")]
    password: bool,
    #[command(flatten)]
    because: Because,
}

/// A person, and who they are at the provider of identities.
#[derive(Debug, clap::Args)]
pub(super) struct Linked {
    /// Who
    name: String,
    /// What the provider of identities calls them for good
    #[arg(long)]
    subject: String,
    #[command(flatten)]
    because: Because,
}

/// A person and a password, which is asked for, or read from standard input; it is no argument, which
/// every program on the machine could see.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pwgen -s 20 1 | runledger users password ada --reason \"forgot it\"")]
pub(super) struct Given {
    /// What they sign in with
    name: String,
    #[command(flatten)]
    because: Because,
}

/// Somebody who signs in.
#[derive(Debug, clap::Args)]
pub(super) struct Meant {
    /// Who
    name: String,
    #[command(flatten)]
    because: Because,
}

/// Show where somebody is signed in.
#[derive(Debug, clap::Args)]
pub(super) struct SessionsOf {
    /// Who
    name: String,
    /// The server's answer as it came
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Sign somebody out, everywhere or in one browser.
#[derive(Debug, clap::Args)]
pub(super) struct SignOut {
    /// Who
    name: String,
    /// One session, as `runledger users sessions` shows it [default: all of them]
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    #[command(flatten)]
    because: Because,
}

#[derive(Deserialize)]
struct Items<T> {
    items: Vec<T>,
}

#[derive(Deserialize)]
struct Person {
    name: String,
    state: String,
    created_at: String,
    signed_in_at: Option<String>,
    has_password: bool,
    identity: Option<Identity>,
}

#[derive(Deserialize)]
struct Identity {
    issuer: String,
    subject: String,
}

impl Person {
    /// How they sign in.
    fn ways(&self) -> String {
        let password = self.has_password.then(|| "password".to_owned());
        let identity = self.identity.as_ref();
        let identity =
            identity.map(|Identity { issuer, subject }| format!("{subject} at {issuer}"));
        let ways: Vec<String> = password.into_iter().chain(identity).collect();
        ways.join(", ")
    }
}

#[derive(Deserialize)]
struct Session {
    id: String,
    device: String,
    began_at: String,
    seen_at: String,
}

pub(super) fn users(command: &Users) -> anyhow::Result<Answer> {
    block_on(async {
        match command {
            Users::List(shown) => list(shown).await,
            Users::Add(added) => add(added).await,
            Users::Link(linked) => {
                let body = json!({ "subject": linked.subject, "reason": linked.because.reason });
                let what = format!("{} signs in with the provider of identities now", linked.name);
                done(&linked.because.connection, &linked.name, &["identity"], &body, &what).await
            }
            Users::Unlink(meant) => {
                let what = "does not sign in with the provider of identities any more";
                change_at(meant, &["identity", "remove"], what).await
            }
            Users::Password(given) => {
                let body = json!({ "password": password()?, "reason": given.because.reason });
                let what = format!("{} has another password, and is signed out", given.name);
                done(&given.because.connection, &given.name, &["password"], &body, &what).await
            }
            Users::Disable(meant) => {
                change(meant, "disable", "cannot sign in any more, and is signed out").await
            }
            Users::Enable(meant) => change(meant, "enable", "can sign in again").await,
            Users::Remove(meant) => change(meant, "remove", "is gone, with all roles").await,
            Users::Sessions(of) => list_sessions(of).await,
            Users::SignOut(sign_out) => {
                let body = json!({ "reason": sign_out.because.reason });
                let path = match &sign_out.session {
                    Some(session) => vec!["sessions", session.as_str(), "end"],
                    None => vec!["sessions", "end"],
                };
                let what = format!("{} is signed out", sign_out.name);
                done(&sign_out.because.connection, &sign_out.name, &path, &body, &what).await
            }
        }
    })
}

async fn add(added: &Added) -> anyhow::Result<Answer> {
    let mut body = json!({ "name": added.name, "reason": added.because.reason });
    if let Some(subject) = &added.subject {
        body["subject"] = json!(subject);
    }
    if added.password || added.subject.is_none() {
        body["password"] = json!(password()?);
    }
    send(&added.because.connection, &["v1", "people"], &body).await?;
    output::line(format!("{} can sign in now", added.name));
    output::note(format!(
        "They have no role yet: runledger roles grant {} ROLE --workspace NAME --reason …",
        added.name
    ));
    Ok(Answer::Yes)
}

/// A password from whoever sits at the terminal, who does not see it; else the first line of standard
/// input.
fn password() -> anyhow::Result<String> {
    let text = if std::io::stdin().is_terminal() {
        let first = ask("Password: ")?;
        if ask("Once more: ")? != first {
            return Err(Unusable("the two are not the same; nothing was done".to_owned()).into());
        }
        first
    } else {
        let mut line = String::new();
        // More than any password has.
        let most = LONGEST as u64 * 4 + 2;
        std::io::stdin().lock().take(most).read_line(&mut line).context("there is no password")?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    Password::new(text.clone()).map_err(|unfit| Unusable(unfit.to_string()))?;
    Ok(text)
}

fn ask(prompt: &str) -> anyhow::Result<String> {
    let terminal = console::Term::stderr();
    terminal.write_str(prompt)?;
    terminal.read_secure_line().context("the terminal cannot be read")
}

async fn send(connection: &Connection, path: &[&str], body: &Value) -> anyhow::Result<()> {
    let ask = Ask { path, query: &[] };
    connection.client(None)?.post(ask, "application/json", body.to_string()).await?;
    Ok(())
}

async fn done(
    connection: &Connection,
    name: &str,
    path: &[&str],
    body: &Value,
    what: &str,
) -> anyhow::Result<Answer> {
    let whole = [&["v1", "people", name], path].concat();
    send(connection, &whole, body).await?;
    output::line(what);
    Ok(Answer::Yes)
}

async fn change(meant: &Meant, path: &str, what: &str) -> anyhow::Result<Answer> {
    change_at(meant, &[path], what).await
}

async fn change_at(meant: &Meant, path: &[&str], what: &str) -> anyhow::Result<Answer> {
    let body = json!({ "reason": meant.because.reason });
    let what = format!("{} {what}", meant.name);
    done(&meant.because.connection, &meant.name, path, &body, &what).await
}

async fn get(client: &Client, path: &[&str]) -> anyhow::Result<String> {
    Ok(client.get(Ask { path, query: &[] }).await?)
}

async fn list(shown: &Shown) -> anyhow::Result<Answer> {
    let answer = get(&shown.connection.client(None)?, &["v1", "people"]).await?;
    if shown.json {
        output::body(&answer);
        return Ok(Answer::Yes);
    }
    let Items { items } = serde_json::from_str::<Items<Person>>(&answer)?;
    let mut table = Table::new(["NAME", "STATE", "SINCE", "LAST SIGNED IN", "BY"]);
    for person in items {
        let ways = person.ways();
        table.row(Row::of([
            Cell::new(person.name),
            Cell::new(person.state),
            Cell::new(person.created_at),
            Cell::new(person.signed_in_at.unwrap_or_else(|| "not yet".to_owned())),
            Cell::new(ways),
        ]));
    }
    table.lines().iter().for_each(output::line);
    Ok(Answer::Yes)
}

async fn list_sessions(of: &SessionsOf) -> anyhow::Result<Answer> {
    let client = of.connection.client(None)?;
    let answer = get(&client, &["v1", "people", of.name.as_str(), "sessions"]).await?;
    if of.json {
        output::body(&answer);
        return Ok(Answer::Yes);
    }
    let Items { items } = serde_json::from_str::<Items<Session>>(&answer)?;
    let mut table = Table::new(["LAST SEEN", "BEGAN", "BROWSER", "ID"]);
    for session in items {
        table.row(Row::of([
            Cell::new(session.seen_at),
            Cell::new(session.began_at),
            Cell::new(session.device),
            Cell::new(session.id).dim(),
        ]));
    }
    table.lines().iter().for_each(output::line);
    Ok(Answer::Yes)
}
