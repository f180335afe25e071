//! The speed of the ledger, measured (`cargo bench-ledger`): what each measurement does, and how
//! all of them become one table. `specs/0008-performance.md` explains the method.

pub mod alike;
pub mod append;
pub mod baseline;
pub mod copy;
pub mod evidence;
pub mod fairness;
pub mod http;
pub mod lag;
pub mod pages;
pub mod project;
pub mod reads;
pub mod reconcile;
pub mod report;
pub mod server;
pub mod sizes;
pub mod stand;
pub mod traffic;
