//! The service over HTTP, in process, on both databases. The modules are those of
//! `api/src/routes/`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod adapters;
mod archives;
mod bodies;
mod bridges;
mod claims;
mod correlations;
mod description;
mod erasures;
mod events;
mod evidence;
mod follow_ups;
mod life;
mod limits;
mod lineage;
mod listening;
mod log;
mod overview;
mod packs;
mod past;
mod policy;
mod question;
mod runs;
mod secret_scanning;
mod service;
mod simulations;
mod sql_views;
mod subjects;
mod system;
mod unless_proven;
mod web;
mod witnesses;
mod workspaces;
