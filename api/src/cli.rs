//! The command line. Exit codes: 0 it worked; 1 it did not, and standard error says why; 2 the
//! command line or a setting is wrong.

pub mod output;
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
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Serve(arguments) => serve::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::from(if error.is::<SettingsError>() { 2 } else { 1 })
        }
    }
}
