//! How an event names its run: by `run_id`, or by what another system calls it.

use runledger_ledger::correlation::{Correlated, Correlation};
use runledger_ledger::run::{ExternalId, RunCommand};
use runledger_ledger::submission::Command;
use runledger_ledger::words::Name;
use serde_json::{Value, json};

use super::EventRequest;
use crate::ingest::ItemError;

impl EventRequest<'_> {
    /// Only a dispatch may leave its run out, only events of runs have one, and it is named once.
    pub(super) fn check_names(&self) -> Result<(), ItemError> {
        let of_run = self.kind.starts_with("run.");
        let not_here = |code, pointer, of: &str| {
            Err(ItemError::at(
                code,
                pointer,
                format!("a {} is of no {of}; leave it out", self.kind),
            ))
        };
        if self.run_id.is_some() && !of_run {
            return not_here("run_id_not_allowed", "/run_id", "run");
        }
        if self.external_id.is_some() && !of_run {
            return not_here("external_id_not_allowed", "/external_id", "run");
        }
        if self.run_id.is_some() && self.external_id.is_some() {
            let problem = "`run_id` names the run already; name it once, and put what else it is \
                           called into the `external_ids` of `data`";
            return Err(ItemError::at("run_named_twice", "/external_id", problem));
        }
        if self.environment.is_some() && self.external_id.is_none() {
            let problem = "is the scope of an `external_id`, and there is none; put the run's own \
                           environment into `data`";
            return Err(ItemError::at("invalid_event", "/environment", problem));
        }
        let named = self.run_id.is_some() || self.external_id.is_some();
        if !named && of_run && self.kind != "run.dispatched" {
            let problem = format!(
                "is missing; a {} must name the run that it is of, by it or by `external_id`",
                self.kind
            );
            return Err(ItemError::at("run_id_missing", "/run_id", problem));
        }
        Ok(())
    }

    /// The command on the run that the event names.
    pub(super) fn named(&self, command: Command) -> Result<Command, ItemError> {
        let (Some(id), Command::Run(new_run, command)) = (&self.external_id, &command) else {
            return Ok(command);
        };
        let environment = match (&self.environment, environment_of(command)) {
            (Some(scope), Some(own)) if scope != own => {
                let problem = format!("is {scope}, and that of `data` is {own}; name one of them");
                return Err(ItemError::at("scope_mismatch", "/environment", problem));
            }
            (scope, own) => scope.as_ref().or(own).cloned(),
        };
        let correlation = Correlation { environment, id: id.clone() };
        let correlated = Correlated::new(correlation, *new_run, command.clone());
        Ok(Command::Correlated(Box::new(correlated)))
    }
}

/// What an external id is to the content of an event.
pub(super) fn content(ExternalId { id, kind, source }: &ExternalId) -> Value {
    json!({ "id": id.as_str(), "kind": kind.as_str(), "source": source.as_str() })
}

fn environment_of(command: &RunCommand) -> Option<&Name> {
    match command {
        RunCommand::Dispatch(dispatch) => dispatch.named.environment.as_ref(),
        RunCommand::Signal(signal) => signal.named.environment.as_ref(),
        _ => None,
    }
}
