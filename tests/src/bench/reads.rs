//! Questions to the server, over a small and over a large history.

use std::time::Duration;

use tokio::time::Instant;

use super::http::Connection;
use crate::process::ServerProcess;

/// What is asked: its name in the table, and where the answer is.
pub const QUESTIONS: [(&str, &str); 7] = [
    ("overview", "overview"),
    ("newest runs", "runs?limit=50"),
    // An index serves the filter.
    ("failed runs", "runs?limit=50&outcome=failed"),
    // An index serves half of the filter.
    (
        "runs of an operation in an environment",
        "runs?limit=50&operation=inventory.sync&environment=production",
    ),
    // No index serves the filter.
    ("completed runs in an environment", "runs?limit=50&status=completed&environment=staging"),
    ("runs found by text", "runs?limit=50&text=connection/42"),
    ("follow-ups", "follow-ups?limit=50"),
];

/// Asks for `path` `times` times; how long each answer took, sorted.
///
/// # Errors
/// When it is not answered.
pub async fn ask(
    server: &ServerProcess,
    path: &str,
    times: usize,
) -> anyhow::Result<Vec<Duration>> {
    let mut connection = Connection::open(server).await?;
    let mut taken = Vec::with_capacity(times);
    // The first ones prepare statements and fill caches.
    for number in 0..times + times / 10 {
        let asked = Instant::now();
        connection.get(path).await?;
        if number >= times / 10 {
            taken.push(asked.elapsed());
        }
    }
    taken.sort_unstable();
    Ok(taken)
}
