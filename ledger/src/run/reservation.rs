//! One active run per key (DESIGN section 3, `unique`).

use sha2::{Digest, Sha256};

use super::{Dispatch, Run};
use crate::words::{Name, Subject, UniqueMode};

/// The key that an active run may hold alone in its workspace: environment, canonical operation,
/// mode and value, hashed, so that its length does not depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationKey(pub [u8; 32]);

impl ReservationKey {
    /// The key that `dispatch` asks for; none if it asks for none or gives no value for it.
    /// `canonical` is the canonical name of its operation.
    pub fn asked(dispatch: &Dispatch, canonical: &str) -> Option<Self> {
        let named = &dispatch.named;
        Self::of(
            dispatch.unique?,
            canonical,
            named.environment.as_ref(),
            named.subject.as_ref(),
            named.fingerprint.as_ref(),
        )
    }

    /// The key that a run holds while it is active; none if it was dispatched without one.
    pub fn of_run(run: &Run) -> Option<Self> {
        Self::of(
            run.unique?,
            run.operation.as_ref()?.as_str(),
            run.environment.as_ref(),
            run.subject.as_ref(),
            run.fingerprint.as_ref(),
        )
    }

    fn of(
        mode: UniqueMode,
        operation: &str,
        environment: Option<&Name>,
        subject: Option<&Subject>,
        fingerprint: Option<&Name>,
    ) -> Option<Self> {
        let value = match mode {
            UniqueMode::Subject => subject?.to_string(),
            UniqueMode::Fingerprint => fingerprint?.to_string(),
        };
        let environment = environment.map_or("", Name::as_str);
        let mut hash = Sha256::new();
        for part in [mode.as_str(), operation, environment, &value] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Some(ReservationKey(hash.finalize().into()))
    }
}
