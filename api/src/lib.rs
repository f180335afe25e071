//! runledger

pub mod ingest;
