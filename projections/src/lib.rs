//! runledger-projections
