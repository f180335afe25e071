//! Events of what people decide in steps (erasures, archives): each step is the next event of a
//! stream of its own, and two who take the same one at the same moment do not both succeed.

use crate::event::{Actor, AnyEvent, Stream};
use crate::fact::Fact;
use crate::ledger::{Ledger, SubmitError};
use crate::submission::{Answer, Command, Decided, Refusal, Submission};
use crate::words::WorkspaceId;

/// Why a step was not recorded.
#[derive(Debug)]
pub(crate) enum NotNoted {
    /// Somebody else took one at the same moment.
    Moved,
    /// The ledger refused it.
    Refused(Box<Refusal>),
    /// The ledger could not take it.
    Submit(SubmitError),
}

/// Records the next event of `stream`, which has `events` of them.
pub(crate) async fn note<E>(
    ledger: &Ledger,
    workspace: WorkspaceId,
    (stream, events): (Stream, u64),
    event: E,
    actor: &Actor,
) -> Result<(), NotNoted>
where
    AnyEvent: From<E>,
{
    let now = ledger.now();
    let decided = Decided {
        stream,
        expected_sequence: events,
        facts: vec![Fact { occurred_at: now, recorded_at: now, event }.any()],
    };
    let submission = Submission::new(Command::Decided(Box::new(decided))).by(actor.clone());
    let answers = ledger.submit(workspace, vec![submission], false).await;
    match answers.map_err(NotNoted::Submit)?.into_iter().next() {
        Some(Answer::Recorded(_)) => Ok(()),
        Some(Answer::Refused(Refusal::Sequence { .. })) => Err(NotNoted::Moved),
        Some(Answer::Refused(refusal)) => Err(NotNoted::Refused(Box::new(refusal))),
        _ => Err(NotNoted::Submit(SubmitError::Closing)),
    }
}
