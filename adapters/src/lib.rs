//! runledger-adapters
