//! Holds a private PostgreSQL for a developer: prints its URL, and keeps it until standard input
//! ends or Ctrl-C. Tests started with `RUNLEDGER_TEST_PG` set to that URL share it, and need not
//! start one each.

use std::io::{Write, copy, sink, stdin, stdout};

use runledger_tests::{Cluster, Durability};

fn main() -> anyhow::Result<()> {
    let cluster = Cluster::start(Durability::Off)?;
    writeln!(stdout(), "{}", cluster.url("postgres"))?;
    // A signal may end the process here: the cluster's guard cleans up either way.
    copy(&mut stdin(), &mut sink())?;
    Ok(())
}
