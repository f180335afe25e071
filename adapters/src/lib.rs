//! Reconciliation adapters (DESIGN section 9): each proves from domain truth what happened to a
//! run. An adapter decides and writes nothing; what it decides goes through the ledger like every
//! other command.

pub mod evidence;
pub mod lifecycle;
