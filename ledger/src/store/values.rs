//! Values as they go into the databases, and as they come out of them.

use uuid::Uuid;

use super::StoreError;
use crate::event::{AggregateType, Stream};
use crate::merkle::Hash;

/// A count as the databases keep it. Logs do not reach 2^63 events.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count as it comes out of a database.
pub(crate) fn unsigned(count: i64) -> Result<u64, StoreError> {
    u64::try_from(count).map_err(|_| StoreError::Corrupt(format!("{count} is no count")))
}

/// A stream and its length as they come out of a database.
pub(super) fn counted(
    (kind, id, count): (i16, Uuid, Option<i64>),
) -> Result<(Stream, u64), StoreError> {
    let kind = AggregateType::from_number(kind)
        .ok_or_else(|| StoreError::Corrupt(format!("{kind} is no kind of stream")))?;
    Ok((Stream { kind, id }, unsigned(count.unwrap_or_default())?))
}

/// A hash as it comes out of a database.
pub(super) fn hash(bytes: &[u8]) -> Result<Hash, StoreError> {
    bytes
        .try_into()
        .map_err(|_| StoreError::Corrupt(format!("a hash of {} bytes was stored", bytes.len())))
}
