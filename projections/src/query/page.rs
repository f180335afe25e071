//! Pages: a list in a stable order, piece by piece.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use runledger_ledger::time::Moment;
use runledger_ledger::words::WorkspaceId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::rules::rfc3339;

/// One piece of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// What is on it, in the order of the list.
    pub items: Vec<T>,
    /// Where the list goes on; none at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// If the page is not full, and yet the list goes on: how far was looked. Whatever is older
    /// than this has not been looked at, and `next` looks there.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc3339::option")]
    pub scanned_to: Option<Moment>,
}

/// Which piece of a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Most things on it: 1 to [`PageRequest::MOST`].
    pub limit: u16,
    /// The `next` of the page before it; none for the first.
    pub cursor: Option<String>,
}

impl PageRequest {
    /// Most things on a page.
    pub const MOST: u16 = 500;

    /// The first page, of at most `limit` things.
    pub const fn first(limit: u16) -> Self {
        PageRequest { limit, cursor: None }
    }

    /// The page that begins at `next`, of at most as many things.
    #[must_use]
    pub fn at(&self, next: impl Into<String>) -> Self {
        PageRequest { limit: self.limit, cursor: Some(next.into()) }
    }

    /// Its limit, if it may have it.
    pub(crate) fn checked_limit(&self) -> Result<usize, PageError> {
        match self.limit {
            1..=Self::MOST => Ok(self.limit.into()),
            asked => Err(PageError::Limit { asked }),
        }
    }

    /// Where it begins in the list that `list` describes.
    pub(crate) fn place(&self, list: &ListHash) -> Result<Option<Place>, PageError> {
        let Some(text) = &self.cursor else { return Ok(None) };
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| PageError::Cursor)?;
        let (hash, rest) = bytes.split_first_chunk::<8>().ok_or(PageError::Cursor)?;
        let (time, id) = rest.split_first_chunk::<8>().ok_or(PageError::Cursor)?;
        let id = id.try_into().map_err(|_| PageError::Cursor)?;
        if *hash != list.0 {
            return Err(PageError::OtherList);
        }
        Ok(Some(Place { time: i64::from_be_bytes(*time), id }))
    }
}

impl Default for PageRequest {
    fn default() -> Self {
        PageRequest::first(50)
    }
}

/// Why a page cannot be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// It would be empty or too long.
    #[error("a page of {asked} cannot be given; ask for 1 to {most}", most = PageRequest::MOST)]
    Limit {
        /// What was asked for.
        asked: u16,
    },
    /// The cursor is none.
    #[error("the cursor is not one that a page has answered with; begin again without one")]
    Cursor,
    /// The cursor belongs to another list, or to the same one with another filter.
    #[error(
        "the cursor belongs to another list, or to one with another filter; begin again without it"
    )]
    OtherList,
}

/// A place in a list that is ordered by time and id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) time: i64,
    pub(crate) id: [u8; 16],
}

/// Which list a cursor belongs to: a hash of its kind and its filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListHash([u8; 8]);

impl ListHash {
    /// The list of this kind with this filter, of this workspace.
    pub(crate) fn new(workspace: WorkspaceId, kind: &'static str, filter: &impl Serialize) -> Self {
        // What is hashed is fields of fixed names, so it can be written; if it could not, cursors
        // would only tell fewer lists apart.
        let filter = serde_json::to_vec(filter).unwrap_or_default();
        let digest = Sha256::new()
            .chain_update(workspace.0)
            .chain_update(kind)
            .chain_update(filter)
            .finalize();
        let mut hash = [0; 8];
        hash.copy_from_slice(&digest[..8]);
        ListHash(hash)
    }

    /// The cursor of a place in it.
    pub(crate) fn cursor(&self, place: &Place) -> String {
        let mut bytes = self.0.to_vec();
        bytes.extend(place.time.to_be_bytes());
        bytes.extend(place.id);
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: WorkspaceId = WorkspaceId(uuid::Uuid::from_u128(1));

    #[test]
    fn a_cursor_leads_back_to_its_place_and_to_no_other_list() {
        let list = ListHash::new(HERE, "runs", &Some("a"));
        let place = Place { time: -7, id: [9; 16] };
        let request = PageRequest::first(1).at(list.cursor(&place));
        assert_eq!(request.place(&list), Ok(Some(place)));
        let other = ListHash::new(HERE, "runs", &Some("b"));
        assert_eq!(request.place(&other), Err(PageError::OtherList));
        let kind = ListHash::new(HERE, "items", &Some("a"));
        assert_eq!(request.place(&kind), Err(PageError::OtherList));
        let elsewhere = WorkspaceId(uuid::Uuid::from_u128(2));
        let elsewhere = ListHash::new(elsewhere, "runs", &Some("a"));
        assert_eq!(request.place(&elsewhere), Err(PageError::OtherList));
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let list = ListHash::new(HERE, "runs", &());
        let whole = list.cursor(&Place { time: 1, id: [0; 16] });
        for text in ["", "!", "AAAA", &whole[1..], &whole[..40]] {
            let request = PageRequest::first(1).at(text);
            assert_eq!(request.place(&list), Err(PageError::Cursor), "{text}");
        }
    }

    #[test]
    fn a_page_holds_one_thing_at_least_and_five_hundred_at_most() {
        assert!(PageRequest::first(1).checked_limit().is_ok());
        assert!(PageRequest::first(500).checked_limit().is_ok());
        assert_eq!(PageRequest::first(0).checked_limit(), Err(PageError::Limit { asked: 0 }));
        assert_eq!(PageRequest::first(501).checked_limit(), Err(PageError::Limit { asked: 501 }));
    }
}
