//! The command line: what there is to ask for, and what the shell is told.
//!
//! Each command has its file in `cli/`. None has wording of its own for what is true of a run or a
//! queue: that comes from the server.

mod access;
mod adapters;
mod archive;
mod audit;
mod catalog;
mod connection;
mod database;
mod demo;
mod dry_run;
mod erase;
mod events;
mod follow_ups;
mod keys;
mod log;
mod maintenance;
pub mod output;
mod overview;
mod people;
mod progress;
mod queues;
mod reading;
mod replay;
mod runs;
mod said;
mod scenario;
mod serve;
mod table;
mod times;
mod timestamp;
mod verify;
mod witness;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::client::ClientError;
use crate::server::CannotUse;
use crate::settings::SettingsError;
use crate::token::TokenError;

/// What stands below the help of every command that has exit codes of its own.
const EXIT_CODES: &str = "\
Exit codes:
  0  it worked, and the answer is yes
  1  it worked, and the answer is no; or it failed, and standard error says why
  2  the command line, a setting or a file cannot be used
  3  the server cannot be reached, or refused";

/// A ledger of what background operations did, and of what still needs doing.
#[derive(Debug, Parser)]
#[command(name = "runledger", version, propagate_version = true, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Arguments),
    Demo(demo::Arguments),
    /// List runs, or show one with the why of its verdicts.
    #[command(subcommand)]
    Runs(runs::Command),
    FollowUps(Box<follow_ups::FollowUps>),
    Queues(queues::Queues),
    Overview(overview::OverviewOf),
    /// Read the log itself.
    #[command(subcommand)]
    Log(log::Command),
    /// Check a catalog of operations, or what has arrived that it does not name.
    #[command(subcommand)]
    Catalog(catalog::Command),
    /// Show or check what proves from elsewhere how runs ended.
    #[command(subcommand)]
    Adapters(adapters::Command),
    /// Test a catalog, or the rules themselves, by stories with a clock of their own.
    #[command(subcommand)]
    Scenario(scenario::Command),
    Verify(Box<verify::Verify>),
    /// Write evidence for auditors.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Show or replace the keys that sign checkpoints.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Have somebody else say when a checkpoint was there (RFC 3161).
    #[command(subcommand)]
    Timestamp(timestamp::Command),
    /// Make, replace and revoke the tokens of services and adapters.
    #[command(subcommand)]
    Tokens(access::Tokens),
    /// Show or change who has which role in a workspace.
    #[command(subcommand)]
    Roles(access::Roles),
    /// Make, disable and remove the people who sign in, and end their sessions.
    #[command(subcommand)]
    Users(people::Users),
    /// Have events forgotten, by two people, and keep every proof.
    #[command(subcommand)]
    Erase(Box<erase::Command>),
    /// Let bodies of a closed range leave the database for a directory, verified.
    #[command(subcommand)]
    Archive(Box<archive::Command>),
    Rebuild(maintenance::Rebuild),
    Replay(Box<replay::Replay>),
    /// Set a PostgreSQL database up, or see whether a database is safe for a ledger.
    #[command(subcommand)]
    Database(database::Command),
    /// See to it that the logs of others only grow.
    #[command(subcommand)]
    Witness(witness::Command),
}

/// What a command that could be carried out has to say to the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// All is as it should be.
    Yes,
    /// Something is not; standard output says what.
    No,
    /// A file that was named cannot be used; standard error says why.
    Unusable,
    /// It could not be told, because something is missing; standard output says what.
    Incomplete,
    /// Nobody who is trusted has signed it; standard output says who is missing.
    UnknownKey,
}

/// The command line or a file that it names cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unusable(String);

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Serve(arguments) => serve::run(&arguments).map(|()| Answer::Yes),
        Command::Scenario(command) => scenario::run(&command),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Catalog(command) => catalog::run(&command),
        Command::Adapters(command) => adapters::run(&command),
        Command::Runs(command) => runs::run(&command),
        Command::FollowUps(follow_ups) => follow_ups::run(&follow_ups),
        Command::Queues(queues) => queues::run(&queues),
        Command::Overview(overview) => overview::run(&overview),
        Command::Log(command) => log::run(&command),
        Command::Audit(command) => audit::run(&command),
        Command::Keys(command) => keys::run(&command),
        Command::Timestamp(command) => timestamp::run(&command),
        Command::Tokens(command) => access::tokens(&command),
        Command::Roles(command) => access::roles(&command),
        Command::Users(command) => people::users(&command),
        Command::Erase(command) => erase::run(&command),
        Command::Archive(command) => archive::run(&command),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Database(command) => database::run(&command),
        Command::Rebuild(arguments) => maintenance::rebuild(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Witness(command) => witness::run(&command),
    };
    match done {
        // What was found is worth more than how much of it arrived.
        Ok(Answer::Yes) if output::is_lost() => ExitCode::from(1),
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Ok(Answer::Unusable | Answer::Incomplete) => ExitCode::from(2),
        Ok(Answer::UnknownKey) => ExitCode::from(3),
        Err(error) => {
            output::error(&error);
            ExitCode::from(code(&error))
        }
    }
}

/// What the shell is told of an error.
fn code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::Address(_) | ClientError::Token) => 2,
        // The server did its work, and the answer is no.
        Some(ClientError::Refused { problem, .. }) if problem.code == "unknown_run" => 1,
        Some(_) => 3,
        None if error.is::<SettingsError>() || error.is::<Unusable>() => 2,
        None if error.is::<CannotUse>() => 2,
        None if matches!(
            error.downcast_ref::<TokenError>(),
            Some(TokenError::File(..) | TokenError::NoToken(_))
        ) =>
        {
            2
        }
        None => 1,
    }
}

/// Runs what waits for the network or a database.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_shell_can_tell_errors_apart() {
        let stranger = ClientError::Stranger { url: "http://h".to_owned(), status: 500 };
        for (error, expected) in [
            (anyhow::Error::new(SettingsError::NoDataDir), 2),
            (anyhow::Error::new(Unusable("no file".to_owned())), 2),
            (anyhow::Error::new(ClientError::Address("x".to_owned())), 2),
            (anyhow::Error::new(stranger), 3),
            (anyhow::anyhow!("the database failed"), 1),
        ] {
            assert_eq!(code(&error), expected, "{error}");
            assert_eq!(code(&error.context("while asking")), expected);
        }
    }
}
