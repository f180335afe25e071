//! The demo: a server that lives through a day of a small platform team in a few seconds, and goes
//! on from there.
//!
//! Everything is reported over the server's own HTTP API, as a job system would report it. Two
//! things cannot be: time, of which `clockwork` has a word to say, and what an adapter found.

mod clockwork;
mod day;
mod later;
mod player;
mod script;
mod shown;

use std::net::SocketAddr;

use anyhow::Context;
use runledger_ledger::clock::Entropy;
use runledger_ledger::time::Span;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::client::Client;
use crate::server::Server;
use crate::settings::Settings;

use clockwork::Clockwork;
use player::Player;

pub use day::{ENVIRONMENTS, UNCLASSIFIED};
pub use shown::{Kind, Shown, Verdict};

/// A demo whose day has been played.
#[derive(Debug)]
pub struct Demo {
    url: String,
    app: App,
    address: SocketAddr,
    player: Player,
    stop: oneshot::Sender<()>,
    server: JoinHandle<anyhow::Result<()>>,
}

impl Demo {
    /// Starts a server and plays the day against it. `played` is told how many steps of how many
    /// are done.
    ///
    /// # Errors
    /// When the server cannot be started, its ledger is not a new one, or it refuses a report.
    pub async fn play(
        settings: &Settings,
        played: &(dyn Fn(u64, u64) + Sync),
    ) -> anyhow::Result<Self> {
        // A minute more, for the start.
        let behind = Span::from_secs((1 - day::BEGINS) * 60);
        let clockwork = Clockwork::behind(behind);
        let began = clockwork.clock().now();
        let server = Server::start_on(settings, clockwork.clock()).await?;
        let (app, address) = (server.app().clone(), server.address());
        let url = format!("http://{}", crate::server::reachable(address));
        let ledger = server.ledger().clone();
        let workspace = ledger.store().workspace_by_name(settings.workspace.as_str()).await?;
        let workspace = workspace.context("the demo's workspace is not there")?;
        let first = ledger.store().recorded_at(workspace, 0).await?;
        if first.is_none_or(|first| first < began || first > ledger.now()) {
            anyhow::bail!(
                "the workspace {} was there before; the demo needs a ledger of its own: leave \
                 --data-dir and --database-url out, or name new ones",
                settings.workspace
            );
        }
        let token = std::fs::read_to_string(settings.token_file())
            .context("the demo's token cannot be read")?;
        let client = Client::new(&url, token.trim(), None)?;
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(server.run(async move {
            // A sender that is gone says the same.
            let _ = stopped.await;
        }));
        let name = settings.workspace.to_string();
        let mut player = Player::new(client, clockwork, ledger, workspace, name, Entropy::system());
        player.play(day::script().into_steps(), played).await?;
        player.arrive().await?;
        Ok(Demo { url, app, address, player, stop, server })
    }

    /// Where it answers.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A link that signs a browser in once, within an hour.
    pub fn sign_in_link(&self) -> anyhow::Result<String> {
        crate::server::sign_in_link(&self.app, self.address)
    }

    /// Which verdicts its server gives now, as its API tells.
    pub async fn shown(&self) -> anyhow::Result<Shown> {
        self.player.shown().await
    }

    /// Every operation type that its reports name.
    pub fn operations() -> std::collections::BTreeSet<String> {
        day::script().operations()
    }

    /// Goes on reporting what keeps the verdicts as they are, until `stop` is done; then ends.
    pub async fn go_on(mut self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let going_on = self.player.go_on();
        let ended = tokio::select! {
            () = stop => Ok(()),
            ended = going_on => ended,
        };
        self.end().await?;
        ended
    }

    /// Ends the server, as its module says.
    pub async fn end(self) -> anyhow::Result<()> {
        let Demo { stop, server, .. } = self;
        // It has ended by itself if nobody listens any more.
        let _ = stop.send(());
        server.await.context("the demo's server broke off")?
    }
}
