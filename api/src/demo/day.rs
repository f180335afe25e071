//! A day of a small platform team, so far.
//!
//! Northwind's platform team runs syncs, backups, reports and pipelines for three environments. In
//! a bit more than a day everything that the ledger can say of a run or a queue has come true
//! somewhere, and is true at the end.

pub(super) mod routine;
mod trouble;
pub(super) mod under_way;

use super::script::Script;

/// How many minutes before the present it begins. Longer than the day that the ledger waits before
/// it gives a silent run up, and shorter than two.
pub(super) const BEGINS: i64 = -27 * 60;

/// The three environments.
pub const ENVIRONMENTS: [&str; 3] = ["prod", "staging", "dev"];

/// The operation types that nobody has put into the catalog, on purpose.
pub const UNCLASSIFIED: [&str; 2] = ["acme.cache.warm", "acme.invoice.export"];

/// All of it.
pub(super) fn script() -> Script {
    let mut script = Script::default();
    routine::workers(&mut script);
    routine::good_runs(&mut script);
    trouble::made_good(&mut script);
    trouble::settled_by_people(&mut script);
    trouble::open(&mut script);
    trouble::given_up(&mut script);
    under_way::queues(&mut script);
    under_way::running(&mut script);
    script
}
