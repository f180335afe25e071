//! The service: HTTP in front of the ledger and its read models, and the command line.
//!
//! It owns transport, settings and the life of the process. What is recorded is decided in
//! `runledger_ledger`, what is true is derived in `runledger_projections`; nothing here knows
//! better.

pub mod access;
pub mod adapters;
mod administrator;
pub mod answer;
pub mod app;
pub mod archived;
mod boundary;
pub mod cli;
pub mod client;
pub mod cosigners;
pub mod demo;
pub mod erasing;
pub mod exports;
pub mod extract;
mod following_up;
pub mod ingest;
pub mod language;
mod lengths;
pub mod limits;
pub mod listener;
pub mod listening;
pub mod metrics;
pub mod oidc;
pub mod pack;
pub mod past;
pub mod people;
pub mod policy;
mod private;
pub mod problem;
pub mod question;
mod reason;
pub mod reconciler;
mod recorded;
pub mod router;
pub mod routes;
pub mod scanners;
pub mod scenario;
pub mod schema;
pub mod server;
pub mod settings;
mod shares;
pub mod signer;
pub mod signing_key;
pub mod simulations;
pub mod token;
pub mod unless_proven;
mod unseen;
pub mod web;
pub mod when;
pub mod witness;
pub mod workspaces;
