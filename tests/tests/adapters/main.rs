//! The adapters over a real domain database, and what no event may hold.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod conformance;
mod domain;
mod evidence;
mod http_probe;
mod restore;
mod review;
mod sql_probe;
mod stand;
mod walkthrough;
