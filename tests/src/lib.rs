//! runledger-tests
