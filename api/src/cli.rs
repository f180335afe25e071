//! The command line. Exit codes: 0 it worked, and the answer is yes; 1 the answer is no, or it
//! failed, and standard error says why; 2 the command line, a setting or a file cannot be used.

pub mod output;
mod scenario;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::settings::SettingsError;

/// A ledger of what background operations did, and of what still needs doing.
#[derive(Debug, Parser)]
#[command(name = "runledger", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server.
    Serve(serve::Arguments),
    /// Test a catalog, or the rules themselves, by stories with a clock of their own.
    #[command(subcommand)]
    Scenario(scenario::Command),
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
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Serve(arguments) => serve::run(&arguments).map(|()| Answer::Yes),
        Command::Scenario(command) => scenario::run(&command),
    };
    match done {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Ok(Answer::Unusable) => ExitCode::from(2),
        Err(error) => {
            output::error(&error);
            ExitCode::from(if error.is::<SettingsError>() { 2 } else { 1 })
        }
    }
}
