//! `runledger database`: what an administrator of the database does, and what he is told.

mod accept;

use anyhow::Context;
use runledger_ledger::store::protection::APP;
use runledger_ledger::store::{SetUp, SetUpError, StoreError, StoreUrl, set_up};
use serde::Serialize;

use super::maintenance::Database;
use super::table::Cell;
use super::{Answer, Unusable, block_on, output};
use crate::server::{self, CannotUse};

pub(super) use accept::note;

/// What there is to do with the database itself.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Setup(Setup),
    Check(Check),
    Accept(accept::Accept),
}

/// Set a PostgreSQL database up for a service that owns nothing in it.
///
/// Makes the roles that are missing, gives the tables to their owner, brings them up to date, and
/// puts rights and event triggers into force. Run it once, and again for each new version; what is
/// there already stays. A ledger that ran under one user is taken over.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  runledger database setup --admin-url postgres://postgres@db/ledger
  createuser -h db -U postgres -P -g runledger_app runledger
  runledger serve --database-url postgres://runledger:...@db/ledger

Exit codes: 0 set up; 1 failed; 2 the command line cannot be used, or this user may not")]
pub(super) struct Setup {
    /// The database, as somebody who may make roles and owns the schema (a superuser, for event
    /// triggers too), or a member of runledger_migrator for what comes after the first time
    #[arg(long, value_name = "URL", env = "RUNLEDGER_ADMIN_URL", hide_env_values = true)]
    admin_url: String,
}

/// See whether a database is safe for a ledger, as the service finds it.
///
/// Its settings, triggers, rights and role are looked at; on SQLite also who may write the file. A
/// server looks at the same before it starts.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 safe; 1 not safe, or failed; 2 a setting cannot be used")]
pub(super) struct Check {
    #[command(flatten)]
    database: Database,
    /// One JSON object, for programs
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Checked {
    safe: bool,
    faults: Vec<String>,
    notes: Vec<String>,
}

pub(super) fn run(command: &Command) -> anyhow::Result<Answer> {
    match command {
        Command::Setup(arguments) => setup(arguments),
        Command::Check(arguments) => check(arguments),
        Command::Accept(arguments) => accept::run(arguments),
    }
}

fn setup(arguments: &Setup) -> anyhow::Result<Answer> {
    let url = &arguments.admin_url;
    if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
        let what = "--admin-url must be postgres://USER:PASSWORD@HOST/DATABASE; SQLite needs no \
                    setting up";
        return Err(Unusable(what.to_owned()).into());
    }
    let place = StoreUrl::Postgres(url.clone());
    block_on(async {
        let done = set_up(url).await.map_err(|error| match error {
            SetUpError::Store(error @ StoreError::Unavailable(_)) => {
                anyhow::Error::new(error).context(format!("the database {place} cannot be used"))
            }
            error => CannotUse::new(format!("the database {place} was not set up"), error).into(),
        })?;
        tell(&done);
        Ok(Answer::Yes)
    })
}

fn tell(done: &SetUp) {
    let SetUp { database, made, guarded } = done;
    if !made.is_empty() {
        output::line(format!("Made the roles {}.", made.join(", ")));
    }
    output::line(format!("The database {database} is set up, and its tables are of this version."));
    if !guarded {
        output::line(
            "This user is no superuser, so no event triggers keep the owner from altering the log's \
             tables.",
        );
    }
    output::line(format!("The service signs in as a member of {APP}, and of nothing else:"));
    output::line(format!("  CREATE ROLE runledger LOGIN PASSWORD '...' IN ROLE {APP};"));
}

fn check(arguments: &Check) -> anyhow::Result<Answer> {
    block_on(async {
        let settings = arguments.database.settings()?;
        arguments.database.must_be_there(&settings)?;
        let store = server::open(&settings.database).await?;
        let trust = store.trust().await.context("the database could not be looked at")?;
        store.close().await;
        let faults: Vec<String> = trust.faults.into_iter().map(|fault| fault.sentence).collect();
        let safe = faults.is_empty();
        if arguments.json {
            let checked = Checked { safe, faults, notes: trust.notes };
            output::line(serde_json::to_string_pretty(&checked)?);
        } else {
            for fault in &faults {
                output::line(Cell::new(format!("not safe: {fault}")));
            }
            for note in &trust.notes {
                output::line(Cell::new(format!("note: {note}")).dim());
            }
            if safe {
                output::line(format!("The database {} is safe for a ledger.", settings.database));
            }
        }
        Ok(if safe { Answer::Yes } else { Answer::No })
    })
}
