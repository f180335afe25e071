//! Our events over HTTP, from a client that costs little beside the server that is measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use runledger_ledger::ledger::Ledger;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::append::Load;
use super::traffic;
use crate::process::ServerProcess;

/// One connection that is kept open.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
    head: String,
    events: String,
}

/// A status and a body.
pub type Answer = (u16, Vec<u8>);

impl Connection {
    /// Connects to a server.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn open(server: &ServerProcess) -> anyhow::Result<Self> {
        Connection::open_as(&server.url, &server.token, "main").await
    }

    /// Connects with a token of a workspace.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn open_as(url: &str, token: &str, workspace: &str) -> anyhow::Result<Self> {
        let address = url.strip_prefix("http://").context("an address")?;
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let head = format!("Host: {address}\r\nAuthorization: Bearer {token}\r\n");
        let events = format!("/v1/workspaces/{workspace}/events");
        Ok(Connection { stream: BufReader::with_capacity(64 * 1024, stream), head, events })
    }

    /// Posts `body` to the events of the workspace.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn post_events(&mut self, kind: &str, body: &[u8]) -> anyhow::Result<Answer> {
        let path = self.events.clone();
        self.post(&path, kind, body).await
    }

    /// Posts `body` to `path`.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn post(&mut self, path: &str, kind: &str, body: &[u8]) -> anyhow::Result<Answer> {
        let head = format!(
            "POST {path} HTTP/1.1\r\n{}Content-Type: {kind}\r\n\
             Content-Length: {}\r\n\r\n",
            self.head,
            body.len()
        );
        let mut request = Vec::with_capacity(head.len() + body.len());
        request.extend_from_slice(head.as_bytes());
        request.extend_from_slice(body);
        self.stream.get_mut().write_all(&request).await?;
        self.answer().await
    }

    /// Gets what is at `path` of the workspace `main`.
    ///
    /// # Errors
    /// When the connection breaks, or the answer is not 200.
    pub async fn get(&mut self, path: &str) -> anyhow::Result<Vec<u8>> {
        let (status, body) = self.ask(&format!("/v1/workspaces/main/{path}")).await?;
        ensure!(status == 200, "{path}: {status}: {}", String::from_utf8_lossy(&body));
        Ok(body)
    }

    /// What is answered at a path, whatever it is.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn ask(&mut self, path: &str) -> anyhow::Result<Answer> {
        let request = format!("GET {path} HTTP/1.1\r\n{}\r\n", self.head);
        self.stream.get_mut().write_all(request.as_bytes()).await?;
        self.answer().await
    }

    async fn answer(&mut self) -> anyhow::Result<Answer> {
        let (mut line, mut status, mut length) = (String::new(), 0, None);
        loop {
            line.clear();
            ensure!(self.stream.read_line(&mut line).await? > 0, "the server hung up");
            let text = line.trim_end();
            if status == 0 {
                status = text.split(' ').nth(1).context("a status")?.parse()?;
            } else if text.is_empty() {
                break;
            } else if let Some((name, value)) = text.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = Some(value.trim().parse()?);
            }
        }
        let mut body = vec![0; length.context("an answer without a length")?];
        self.stream.read_exact(&mut body).await?;
        Ok((status, body))
    }
}

/// `events` events in requests of `size` lines, from `connections` at once.
///
/// # Errors
/// When an event is not recorded.
pub async fn batches(
    server: &ServerProcess,
    ledger: &Ledger,
    connections: usize,
    events: usize,
    size: usize,
) -> anyhow::Result<Load> {
    let mut shares: Vec<Vec<String>> = vec![Vec::new(); connections.max(1)];
    let mut number = 0;
    for request in 0..events / size {
        let mut lines = Vec::with_capacity(size + traffic::SIGNALS);
        while lines.len() < size {
            lines.extend(traffic::lines(ledger.new_run_id()?, number));
            number += 1;
        }
        lines.truncate(size);
        shares[request % connections.max(1)].push(lines.join("\n"));
    }
    let recorded = format!("\"recorded\":{size},");
    let mut open = Vec::new();
    for share in shares {
        open.push((Connection::open(server).await?, share));
    }
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for (mut connection, share) in open {
        let recorded = recorded.clone();
        tasks.spawn(async move {
            let mut latencies = Vec::with_capacity(share.len());
            for body in share {
                let asked = Instant::now();
                let kind = "application/x-ndjson";
                let (status, answer) = connection.post_events(kind, body.as_bytes()).await?;
                latencies.push(asked.elapsed());
                // The summary stands at the end.
                let end = answer.len().saturating_sub(200);
                let end = String::from_utf8_lossy(&answer[end..]);
                ensure!(status == 200 && end.contains(&recorded), "{status}: {end}");
            }
            anyhow::Ok(latencies)
        });
    }
    let latencies = joined(tasks).await?;
    Ok(Load::new(events / size * size, started.elapsed(), latencies))
}

/// One event a request, from `connections` at once, for `time`.
///
/// # Errors
/// When an event is not recorded.
pub async fn singles(
    server: &ServerProcess,
    ledger: &Ledger,
    connections: usize,
    time: Duration,
) -> anyhow::Result<Load> {
    let numbers = Arc::new(AtomicU64::new(0));
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(server).await?);
    }
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for mut connection in open {
        let (ledger, numbers) = (ledger.clone(), Arc::clone(&numbers));
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            while started.elapsed() < time {
                let number = numbers.fetch_add(1, Ordering::Relaxed);
                for line in traffic::lines(ledger.new_run_id()?, number) {
                    let asked = Instant::now();
                    let answer =
                        connection.post_events("application/json", line.as_bytes()).await?;
                    latencies.push(asked.elapsed());
                    if answer.0 != 201 {
                        bail!("{}: {}", answer.0, String::from_utf8_lossy(&answer.1));
                    }
                }
            }
            anyhow::Ok(latencies)
        });
    }
    let latencies = joined(tasks).await?;
    Ok(Load::new(latencies.len(), started.elapsed(), latencies))
}

async fn joined(
    mut tasks: JoinSet<anyhow::Result<Vec<Duration>>>,
) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    while let Some(task) = tasks.join_next().await {
        latencies.extend(task??);
    }
    Ok(latencies)
}
