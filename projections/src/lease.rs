//! Work that one server at a time does, under a lease that it renews while it works.

use std::time::Duration;

use runledger_ledger::store::StoreError;
use runledger_ledger::time::Span;
use uuid::Uuid;

use crate::projections::Inner;

/// How often a lease is renewed: every lease is several times as long.
const RENEW: Duration = Duration::from_secs(1);

/// What became of work under a lease.
pub(crate) enum Held<T> {
    /// Somebody else has the lease; nothing was done.
    ByAnother,
    /// The lease could not be kept; the work was broken off.
    Lost,
    /// The work is done.
    Done(T),
}

/// Does `work` while `holder` has the lease `name`, which is over `length` after its holder died. It
/// is renewed however long a step of the work takes, and given back at the end.
pub(crate) async fn hold<T>(
    inner: &Inner,
    (name, length): (&str, Span),
    holder: Uuid,
    work: impl Future<Output = T>,
) -> Result<Held<T>, StoreError> {
    let store = inner.ledger.store();
    let take = async || store.take_lease(name, holder, inner.ledger.now(), length).await;
    if !take().await? {
        return Ok(Held::ByAnother);
    }
    let lost = async {
        loop {
            tokio::time::sleep(RENEW).await;
            if !matches!(take().await, Ok(true)) {
                return;
            }
        }
    };
    let held = tokio::select! {
        done = work => Held::Done(done),
        () = lost => Held::Lost,
    };
    if let Err(error) = store.drop_lease(name, holder).await {
        tracing::debug!(name, %error, "a lease ends by itself");
    }
    Ok(held)
}
