//! runledger
