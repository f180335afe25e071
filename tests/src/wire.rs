//! A wire between a browser and a server, which can be cut and mended.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A wire. Dropping it cuts it for good.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    is_cut: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Wire {
    /// A wire to a server, on a port of its own.
    ///
    /// # Errors
    /// When there is no port to be had.
    pub async fn to(server: SocketAddr) -> std::io::Result<Wire> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (is_cut, watched) = watch::channel(false);
        let task = tokio::spawn(carry(listener, server, watched));
        Ok(Wire { address, is_cut, task })
    }

    /// Where the server answers through it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends every connection, and every new one at once.
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.is_cut.send_replace(false);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.is_cut.send_replace(true);
        self.task.abort();
    }
}

async fn carry(listener: TcpListener, server: SocketAddr, watched: watch::Receiver<bool>) {
    while let Ok((mut browser, _)) = listener.accept().await {
        let mut watched = watched.clone();
        if *watched.borrow() {
            continue;
        }
        tokio::spawn(async move {
            let Ok(mut server) = TcpStream::connect(server).await else { return };
            tokio::select! {
                // Whoever hangs up first ends it.
                _ = tokio::io::copy_bidirectional(&mut browser, &mut server) => {}
                _ = watched.wait_for(|is_cut| *is_cut) => {}
            }
        });
    }
}
