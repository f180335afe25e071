//! What the tests of Runledger share: private PostgreSQL clusters, and fresh databases on them.

pub mod bench;
pub mod book;
pub mod browser;
pub mod cargo;
pub mod cluster;
pub mod database;
pub mod domain;
pub mod glewlwyd;
pub mod process;
pub mod wire;
pub mod world;

pub use cluster::{Cluster, Durability};
pub use database::{ledger_database, superuser_of, test_database};
