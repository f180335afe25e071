//! runledger-ledger
