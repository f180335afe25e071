//! What a probe is asked about: what a query or an address is filled in with.

use runledger_ledger::words::{Name, Subject};
use uuid::Uuid;

use crate::adapter::{Case, Watched};

/// What a run or a subject gives to a query or an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) workspace: &'a str,
    /// Empty for the workspace itself.
    pub(super) environment: &'a str,
    pub(super) run_id: Option<Uuid>,
    pub(super) fingerprint: Option<&'a str>,
    pub(super) subject: Option<&'a Subject>,
    pub(super) external_id: Option<&'a str>,
}

impl<'a> From<&'a Case> for Place<'a> {
    fn from(case: &'a Case) -> Self {
        Place {
            workspace: case.workspace_name.as_str(),
            environment: case.environment(),
            run_id: Some(case.run_id.0),
            fingerprint: case.run.fingerprint.as_ref().map(Name::as_str),
            subject: case.run.subject.as_ref(),
            // If it has exactly one: never a likely one.
            external_id: match case.run.external_ids.as_slice() {
                [only] => Some(only.id.as_str()),
                _ => None,
            },
        }
    }
}

impl<'a> From<&'a Watched> for Place<'a> {
    fn from(watched: &'a Watched) -> Self {
        Place {
            workspace: watched.workspace_name.as_str(),
            environment: watched.environment(),
            run_id: None,
            fingerprint: None,
            subject: Some(&watched.subject),
            external_id: None,
        }
    }
}

impl<'a> Place<'a> {
    pub(super) fn subject_type(&self) -> Option<&'a str> {
        self.subject.map(|subject| subject.kind.as_str())
    }

    pub(super) fn subject_id(&self) -> Option<&'a str> {
        self.subject.map(|subject| subject.id.as_str())
    }
}
