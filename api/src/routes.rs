//! The handlers, one family of routes each. Which path leads to which is in `router.rs`.

pub mod access;
pub mod adapters;
pub mod claims;
pub mod correlations;
pub mod diff;
pub mod erasures;
pub mod events;
pub mod evidence;
pub mod follow_ups;
pub mod lineage;
pub mod log;
pub mod overview;
pub mod packs;
pub mod people;
pub mod runs;
pub mod secret_scanning;
pub mod simulations;
pub mod subjects;
pub mod system;
pub mod timeline;
pub mod workspaces;
