//! What stands in the place of a body that is in an archive: which stream and type it was of, and
//! which archive holds it. It is written in one way only, so that the database can compare it, and
//! it has no member `aggregate_type`, which every event has: so none is taken for the other.

use uuid::Uuid;

const BEGIN: &[u8] = b"{\"aggregate_id\":\"";
const ARCHIVED: &[u8] = b"\",\"archived\":\"";
/// Bytes of an id as text.
const ID: usize = 36;

/// The marker of an event of the stream `aggregate` and of this type, which `archive` holds.
pub fn marker(aggregate: Uuid, archive: Uuid, event_type: &str) -> Vec<u8> {
    format!(
        "{{\"aggregate_id\":\"{aggregate}\",\"archived\":\"{archive}\",\"schema\":1,\
         \"type\":\"{event_type}\"}}"
    )
    .into_bytes()
}

/// The archive that holds what stood here; none if the bytes are no marker.
pub fn archive_of(body: &[u8]) -> Option<Uuid> {
    let rest = body.strip_prefix(BEGIN)?.get(ID..)?.strip_prefix(ARCHIVED)?;
    std::str::from_utf8(rest.get(..ID)?).ok()?.parse().ok()
}

/// The stream of what stood here; none if the bytes are no marker.
pub(crate) fn stream_of_marker(body: &[u8]) -> Option<Uuid> {
    archive_of(body)?;
    std::str::from_utf8(body.get(BEGIN.len()..BEGIN.len() + ID)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_names_its_archive_and_no_event_is_one() {
        let (stream, archive) = (Uuid::from_u128(7), Uuid::from_u128(9));
        let body = marker(stream, archive, "run.started");
        assert_eq!(archive_of(&body), Some(archive));
        assert_eq!(stream_of_marker(&body), Some(stream));
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(crate::canonical::to_bytes(&json).unwrap(), body, "it has the canonical form");
        let event =
            br#"{"aggregate_id":"00000000-0000-0000-0000-000000000007","aggregate_type":"run"}"#;
        for other in [&event[..], b"", b"{", &body[..60]] {
            assert_eq!(archive_of(other), None);
        }
    }
}
