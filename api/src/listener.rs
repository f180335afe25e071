//! Who is listened to, for how long, and how many at a time.
//!
//! A client that is slow, or that never says what it wants, takes nothing from the others: its
//! connection ends. What is over the limit waits in the queue of the operating system, and those
//! who have had their turn make room for it. Nothing here knows what is asked or answered; the
//! boundary and the handlers do.
//!
//! It speaks HTTP/1.1 and no HTTP/2: a source has few requests to send at a time, and one protocol
//! has one set of limits.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tower::ServiceExt as _;

use crate::limits::Peer;

/// How long the listener rests when the operating system gives it no connection, as when there are
/// no file descriptors left.
const REST: Duration = Duration::from_secs(1);

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many there may be at a time.
    pub connections: usize,
    /// How long the head of a request may take, from the opening of the connection or the last
    /// answer on. So it is also how long a connection may be idle.
    pub head: Duration,
    /// How long an answer may wait for a client that takes nothing of it.
    pub stall: Duration,
    /// How long a connection may stay while others wait for one; it ends after the answer that it
    /// is at.
    pub turn: Duration,
}

impl Limits {
    /// The usual limits, with at most this many connections.
    pub const fn with_connections(connections: usize) -> Self {
        Limits {
            connections,
            head: Duration::from_secs(30),
            stall: Duration::from_secs(30),
            turn: Duration::from_secs(10),
        }
    }
}

/// Answers what comes in, until `stopped` is true; then no more is taken, and it ends when what is
/// in flight is answered.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    mut stopped: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
    let (crowd, crowded) = watch::channel(false);
    let mut open = JoinSet::new();
    loop {
        let (stream, peer) = tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => break,
            accepted = accept(&listener) => accepted,
        };
        let permit = tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => break,
            permit = make_room(&room, &crowd) => permit,
        };
        let (stopped, crowded) = (stopped.clone(), crowded.clone());
        let connection = connection(stream, peer, router.clone(), limits, stopped, crowded);
        open.spawn(async move {
            connection.await;
            drop(permit);
        });
        while open.try_join_next().is_some() {}
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}

/// The next connection.
async fn accept(listener: &TcpListener) -> (TcpStream, IpAddr) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer.ip()),
            // It was gone before it was looked at.
            Err(error)
                if matches!(
                    error.kind(),
                    ConnectionAborted | ConnectionRefused | ConnectionReset
                ) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be taken; trying again");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

/// Room for one connection; while there is none, those that are there know it.
async fn make_room(
    room: &Arc<Semaphore>,
    crowd: &watch::Sender<bool>,
) -> Option<OwnedSemaphorePermit> {
    if let Ok(permit) = room.clone().try_acquire_owned() {
        return Some(permit);
    }
    crowd.send_replace(true);
    // It is never closed, so there is always one to come.
    let permit = room.clone().acquire_owned().await.ok();
    crowd.send_replace(false);
    permit
}

/// Answers what comes in on one connection, until either side has enough.
async fn connection(
    stream: TcpStream,
    peer: IpAddr,
    router: Router,
    limits: Limits,
    mut stopped: watch::Receiver<bool>,
    mut crowded: watch::Receiver<bool>,
) {
    // Without it an answer may wait for more to send; with it, it is only slower to send.
    let _ = stream.set_nodelay(true);
    let stream = TokioIo::new(Patient { stream, patience: limits.stall, waiting: None });
    // Whoever answers is told whom.
    let service = router.map_request(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        request
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .serve_connection(stream, TowerToHyperService::new(service));
    let mut connection = std::pin::pin!(connection);
    let enough = async {
        let had_its_turn = async {
            tokio::time::sleep(limits.turn).await;
            let _ = crowded.wait_for(|crowded| *crowded).await;
        };
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => {}
            () = had_its_turn => {}
        }
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = enough => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::debug!(%error, cause, "a connection ended early");
    }
}

/// A connection that gives up when the other side takes nothing of what it is sent.
struct Patient {
    stream: TcpStream,
    patience: Duration,
    /// Runs while the other side takes nothing.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    /// `polled`, unless it has been pending for too long.
    fn in_time<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.waiting = None;
            return polled;
        }
        let patience = self.patience;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.in_time(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.in_time(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.in_time(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
