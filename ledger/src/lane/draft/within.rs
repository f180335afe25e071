//! Who may report only in some environments is held to them here, where it is known which
//! environment a run is of: no check before could not be overtaken.

use std::collections::BTreeSet;

use super::Draft;
use super::correlated::run_command;
use crate::event::Stream;
use crate::run::{NOT_DISPATCHED, Named, Run, RunCommand, RunRefusal};
use crate::submission::{Command, Refusal, Submission};
use crate::words::{Name, RunId};

impl Draft<'_> {
    /// Why a submission is outside of the environments that its author is held to, if it is. A run
    /// outside of them is as unknown as one that is not there.
    pub(super) fn outside(
        &self,
        submission: &Submission,
        stream: Option<Stream>,
    ) -> Option<Refusal> {
        let within = submission.within.as_deref()?;
        match &submission.command {
            Command::Run(..) => {}
            Command::Correlated(correlated) => {
                let environment = correlated.correlation().environment.as_ref();
                if !is_inside(within, environment) {
                    return Some(Refusal::OutsideEnvironments);
                }
                // The id names several runs, all of them of that environment.
                stream?;
            }
            Command::Subject(key, _) => {
                let inside = is_inside(within, key.environment.as_ref());
                return (!inside).then_some(Refusal::OutsideEnvironments);
            }
            // A queue spans environments, and so does who works on it.
            Command::Worker(..) | Command::Workspace(_) | Command::Decided(_) => {
                return Some(Refusal::OutsideEnvironments);
            }
        }
        let id = stream.and_then(|stream| stream.run_id());
        let run = id.and_then(|id| self.known_run(id));
        if run.is_some_and(|run| is_inside(within, run.environment.as_ref())) {
            return None;
        }
        let (Some(id), Some(command)) = (id, run_command(&submission.command)) else {
            return Some(Refusal::OutsideEnvironments);
        };
        // What a command says of itself is looked at before it is known whether there is a run.
        let opened = opens(command);
        if opened.is_some_and(|opened| !is_inside(within, opened.environment.as_ref())) {
            return Some(Refusal::OutsideEnvironments);
        }
        run.map(|_| Refusal::Run(unknown(id, command, submission.strict)))
    }

    fn known_run(&self, id: RunId) -> Option<&Run> {
        self.runs.get(&id).filter(|run| run.exists())
    }
}

/// What is answered of a run that is not there, and so of one that is hidden.
fn unknown(id: RunId, command: &RunCommand, strict: bool) -> RunRefusal {
    match command {
        RunCommand::Signal(_) if strict => RunRefusal::StateConflict(NOT_DISPATCHED),
        _ => RunRefusal::UnknownRun(id),
    }
}

/// What belongs to the workspace itself is inside of no environment.
fn is_inside(within: &BTreeSet<Name>, environment: Option<&Name>) -> bool {
    environment.is_some_and(|environment| within.contains(environment))
}

/// What a command names of the run that it would open; none if it opens none.
fn opens(command: &RunCommand) -> Option<&Named> {
    match command {
        RunCommand::Dispatch(dispatch) => Some(&dispatch.named),
        RunCommand::Signal(signal) => Some(&signal.named).filter(|named| named.operation.is_some()),
        RunCommand::FollowUp(_) | RunCommand::Reconcile(_) => None,
    }
}
