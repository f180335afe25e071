//! A wire between a browser and a server, which can be cut, can swallow what is sent, and be mended.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A wire. Dropping it cuts it for good.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    state: watch::Sender<State>,
    task: JoinHandle<()>,
}

/// How a wire is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Whole,
    /// Whoever is connected hears nothing, and nobody hangs up.
    Swallows,
    Cut,
}

impl Wire {
    /// A wire to a server, on a port of its own.
    ///
    /// # Errors
    /// When there is no port to be had.
    pub async fn to(server: SocketAddr) -> std::io::Result<Wire> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (state, watched) = watch::channel(State::Whole);
        let task = tokio::spawn(carry(listener, server, watched));
        Ok(Wire { address, state, task })
    }

    /// Where the server answers through it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends every connection, and every new one at once.
    pub fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// Keeps every connection, and carries nothing on any of them.
    pub fn swallow(&self) {
        self.state.send_replace(State::Swallows);
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.state.send_replace(State::Whole);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.state.send_replace(State::Cut);
        self.task.abort();
    }
}

async fn carry(listener: TcpListener, server: SocketAddr, watched: watch::Receiver<State>) {
    while let Ok((browser, _)) = listener.accept().await {
        if *watched.borrow() != State::Cut {
            tokio::spawn(connect(browser, server, watched.clone()));
        }
    }
}

/// Carries what one connection says, whenever the wire is whole. Whoever hangs up first ends it.
async fn connect(
    mut browser: TcpStream,
    server: SocketAddr,
    mut watched: watch::Receiver<State>,
) -> Option<()> {
    let mut server = TcpStream::connect(server).await.ok()?;
    let mut said = std::pin::pin!(tokio::io::copy_bidirectional(&mut browser, &mut server));
    loop {
        match *watched.wait_for(|state| *state != State::Swallows).await.ok()? {
            State::Cut => return None,
            State::Whole | State::Swallows => {}
        }
        tokio::select! {
            _ = &mut said => return None,
            changed = watched.changed() => changed.ok()?,
        }
    }
}
