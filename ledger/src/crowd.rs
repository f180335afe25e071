//! Whether more than one workspace has work at the moment (specs/0023).
//!
//! A workspace that is alone takes what it can get. As soon as another one reports as well, each
//! takes turns that are short: what one waits for is at most a turn of each of the others.

use std::sync::{Mutex, PoisonError};

use crate::time::{Moment, Span};
use crate::words::WorkspaceId;

/// For how long a workspace that has had work counts as one that has.
const LATELY: Span = Span::from_secs(2);

/// The two workspaces that had work last: enough to know of each whether it is alone.
#[derive(Debug, Default)]
pub(crate) struct Crowd(Mutex<Last>);

type Seen = Option<(WorkspaceId, Moment)>;

#[derive(Debug, Default)]
struct Last {
    latest: Seen,
    before: Seen,
}

impl Crowd {
    /// Notes that a workspace has work.
    pub(crate) fn note(&self, workspace: WorkspaceId, at: Moment) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match last.latest {
            Some((latest, _)) if latest != workspace => last.before = last.latest,
            _ => {}
        }
        last.latest = Some((workspace, at));
    }

    /// Whether another workspace has had work lately.
    pub(crate) fn is_beside(&self, workspace: WorkspaceId, now: Moment) -> bool {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let other = match last.latest {
            Some((latest, _)) if latest == workspace => last.before,
            latest => latest,
        };
        let lately = |at: Moment| (now.micros() - at.micros()).abs() < LATELY.micros();
        other.is_some_and(|(_, at)| lately(at))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_workspace_is_alone_until_another_one_has_work() {
        let [a, b] = [1, 2].map(|number| WorkspaceId(Uuid::from_u128(number)));
        let at = |seconds| Moment::from_micros(0).plus(Span::from_secs(seconds));
        let crowd = Crowd::default();
        assert!(!crowd.is_beside(a, at(0)));
        crowd.note(a, at(0));
        crowd.note(a, at(1));
        assert!(!crowd.is_beside(a, at(1)));
        assert!(crowd.is_beside(b, at(1)));
        crowd.note(b, at(1));
        crowd.note(a, at(2));
        assert!(crowd.is_beside(a, at(2)) && crowd.is_beside(b, at(2)));
        assert!(!crowd.is_beside(a, at(3)), "what was long ago does not count");
        assert!(crowd.is_beside(b, at(3)));
    }
}
