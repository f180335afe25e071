//! The baseline: `execute` of an unmodified `postgres-es` on the same server, in a program of the
//! workspace that can link it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use tokio::process::Command;

use super::stand::Site;
use crate::cargo::{POSTGRES_ES, cargo, postgres_es_target};

/// Callers, and the connections that they share.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// Tasks that execute one command after another.
    pub callers: u32,
    /// Their connections.
    pub connections: u32,
}

/// What is measured, to find it at its best: a connection for each caller, and the ten that its own
/// pool has.
pub const CROWDS: [Crowd; 4] = [
    Crowd { callers: 1, connections: 1 },
    Crowd { callers: 8, connections: 8 },
    Crowd { callers: 64, connections: 10 },
    Crowd { callers: 64, connections: 64 },
];

/// The built program.
#[derive(Debug)]
pub struct Baseline {
    program: PathBuf,
}

/// What it measured.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Measured {
    /// Events a second.
    pub events_per_second: f64,
    /// Microseconds that 99 of 100 commands did not exceed.
    pub p99_us: u64,
}

impl Baseline {
    /// Builds it, optimised as this program is.
    ///
    /// # Errors
    /// When it does not build.
    pub async fn build() -> anyhow::Result<Self> {
        let target = postgres_es_target()?;
        let arguments = ["build", "--release", "--manifest-path", POSTGRES_ES];
        let mut build = Command::from(cargo(&arguments));
        let built = build.arg("--target-dir").arg(&target).status().await;
        let built = built.context("could not run cargo")?;
        ensure!(built.success(), "the baseline did not build ({POSTGRES_ES})");
        Ok(Baseline { program: target.join("release/postgres-es-baseline") })
    }

    /// Measures it for `time` in the empty database at `url`, with payloads of `bytes`.
    ///
    /// # Errors
    /// When a command fails.
    pub async fn measure(
        &self,
        url: &str,
        crowd: Crowd,
        bytes: usize,
        time: Duration,
    ) -> anyhow::Result<Measured> {
        let numbers = [
            ("--callers", crowd.callers.to_string()),
            ("--connections", crowd.connections.to_string()),
            ("--bytes", bytes.to_string()),
            ("--seconds", time.as_secs_f64().to_string()),
        ];
        let mut command = Command::new(&self.program);
        command.args(["--url", url]);
        for (name, number) in numbers {
            command.arg(name).arg(number);
        }
        let output = command.output().await.context("could not run the baseline")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the baseline failed: {}", said.trim_end());
        serde_json::from_slice(&output.stdout).context("the baseline did not say what it measured")
    }
}

/// Bytes of an event at `site`, on average over its first thousand.
///
/// # Errors
/// When there is none, or they cannot be read.
pub async fn event_bytes(site: &Site) -> anyhow::Result<usize> {
    let events = site.ledger.store().log(site.workspace, 0, 1_000, 1_000).await?;
    let bytes: usize = events.iter().map(|event| event.body.len()).sum();
    bytes.checked_div(events.len()).context("the log is empty")
}
