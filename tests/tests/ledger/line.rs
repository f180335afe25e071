//! A line between a ledger and its database that can be slow, or be cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// Stands between a ledger and its database.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// What a request must hold for its answer to be lost; the line is cut then.
    cut_at: Arc<watch::Sender<Option<&'static str>>>,
    /// How many connections are turned away.
    closed_for: Arc<AtomicUsize>,
    /// Counts the cuts; every connection that was open before one ends.
    cuts: Arc<watch::Sender<u32>>,
    /// How long each answer is on its way.
    delay: Duration,
}

impl Line {
    /// A line to the database of `url`, and the URL of its near end.
    pub(crate) async fn to(url: &str, delay: Duration) -> (Line, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let line = Line {
            cut_at: Arc::new(watch::Sender::new(None)),
            closed_for: Arc::default(),
            cuts: Arc::new(watch::Sender::new(0)),
            delay,
        };
        let far: PgConnectOptions = url.parse().unwrap();
        let database = far.get_database().unwrap().to_owned();
        let user = url.split_once("://").unwrap().1.rsplit_once('@').map_or("postgres", |u| u.0);
        let near = format!("postgres://{user}@127.0.0.1:{port}/{database}?sslmode=disable");
        tokio::spawn(line.clone().accept(listener, far));
        (line, near)
    }

    async fn accept(self, listener: TcpListener, far: PgConnectOptions) {
        while let Ok((near, _)) = listener.accept().await {
            let turned_away = |left: usize| left.checked_sub(1);
            if self.closed_for.fetch_update(Ordering::SeqCst, Ordering::SeqCst, turned_away).is_ok()
            {
                continue;
            }
            let line = self.clone();
            match far.get_socket() {
                Some(directory) => {
                    let socket = directory.join(format!(".s.PGSQL.{}", far.get_port()));
                    let far = UnixStream::connect(socket).await.unwrap();
                    tokio::spawn(line.carry(near, far));
                }
                None => {
                    let far = TcpStream::connect((far.get_host(), far.get_port())).await.unwrap();
                    tokio::spawn(line.carry(near, far));
                }
            }
        }
    }

    async fn carry(self, mut near: TcpStream, mut far: impl AsyncRead + AsyncWrite + Unpin) {
        let mut cuts = self.cuts.subscribe();
        let (mut request, mut answer) = (vec![0; 65_536], vec![0; 65_536]);
        let mut cut = false;
        loop {
            tokio::select! {
                read = near.read(&mut request) => {
                    let Ok(length @ 1..) = read else { return };
                    let asked = &request[..length];
                    let marker = *self.cut_at.borrow();
                    cut |= marker.is_some_and(|marker| holds(asked, marker.as_bytes()));
                    if far.write_all(asked).await.is_err() { return }
                }
                read = far.read(&mut answer) => {
                    let Ok(length @ 1..) = read else { return };
                    if cut {
                        // The database has answered, so it has committed. Nobody hears of it.
                        self.cut_at.send_replace(None);
                        self.cuts.send_modify(|cuts| *cuts += 1);
                        return;
                    }
                    if !self.delay.is_zero() {
                        tokio::time::sleep(self.delay).await;
                    }
                    if near.write_all(&answer[..length]).await.is_err() { return }
                }
                _ = cuts.changed() => return,
            }
        }
    }

    /// The answer to the next request that holds `marker` is lost, and then the line is closed for
    /// the next `closed_for` connections.
    pub(crate) fn cut(&self, marker: &'static str, closed_for: usize) {
        self.closed_for.store(closed_for, Ordering::SeqCst);
        self.cut_at.send_replace(Some(marker));
    }

    /// How often it was cut.
    pub(crate) fn cuts(&self) -> u32 {
        *self.cuts.borrow()
    }
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
