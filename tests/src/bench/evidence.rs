//! The tree over a log: what it costs an append, how fast it proves, and how fast others verify.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use runledger::pack::{self, Order, Scope};
use runledger_ledger::audit;
use runledger_ledger::checkpoints::{Anchors, Keys, Signer};
use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::tree;
use runledger_proof::merkle::{Frontier, leaf_hash};
use runledger_proof::policy::Policy;
use runledger_proof::tile;
use tokio::time::Instant;

use super::append::per_second;
use super::stand::{Site, Stand};

/// Bytes of an event as most are.
const EVENT_BYTES: usize = 600;

/// Leaf hashes, frontier and hashes of tiles, derived in memory: events a second, on one core. It
/// is all that the tree adds to an append, but for one row in 255.
pub fn tree_alone(events: usize) -> f64 {
    let mut body = vec![b'x'; EVENT_BYTES];
    let (mut frontier, mut completed) = (Frontier::default(), Vec::new());
    let started = Instant::now();
    for number in 0..events {
        body[..8].copy_from_slice(&(number as u64).to_be_bytes());
        tile::push(&mut frontier, leaf_hash(&body), &mut completed);
    }
    black_box((frontier.root(), completed.len()));
    per_second(events, started.elapsed())
}

/// What remains of a rate of appends if the tree cost nothing.
pub fn without_tree(with: f64, alone: f64) -> f64 {
    let each = 1.0 / with - 1.0 / alone;
    if each > 0.0 { 1.0 / each } else { f64::INFINITY }
}

/// How long inclusion proofs and consistency proofs take, of `count` places spread over the log;
/// each list sorted.
///
/// # Errors
/// When the database fails.
pub async fn proofs(site: &Site, count: u64) -> anyhow::Result<[Vec<Duration>; 2]> {
    let (store, workspace) = (site.ledger.store(), site.workspace);
    let size = store.head(workspace).await?.context("there is no log")?.size();
    let mut taken = [Vec::new(), Vec::new()];
    for number in 0..count {
        // A large prime spreads the places without a pattern of powers of two.
        let place = number.wrapping_mul(1_000_003) % size;
        let begun = Instant::now();
        let proof = tree::inclusion(store, workspace, place, size).await?;
        taken[0].push(begun.elapsed());
        ensure!(!proof.is_empty() || size == 1, "no proof");
        let begun = Instant::now();
        tree::consistency(store, workspace, place + 1, size).await?;
        taken[1].push(begun.elapsed());
    }
    taken.iter_mut().for_each(|taken| taken.sort_unstable());
    Ok(taken)
}

/// Events a second of checking a log where it lies: every event, every hash, the head.
///
/// # Errors
/// When the database fails, or the log is damaged.
pub async fn verify_database(site: &Site) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let audit = audit::audit(site.ledger.store(), site.workspace, &|_, _| {}).await?;
    let elapsed = begun.elapsed();
    let audit = audit.context("there is no log")?;
    ensure!(audit.flaws.is_empty(), "the log is damaged");
    Ok(per_second(usize::try_from(audit.size)?, elapsed))
}

/// A pack of a whole log, and whom to trust about it.
#[derive(Debug)]
pub struct Packed {
    bytes: Vec<u8>,
    policy: Policy,
    /// How long the export took.
    pub exported: Duration,
}

/// Signs the log at `site` and exports it.
///
/// # Errors
/// When it cannot be signed or exported.
pub async fn packed(stand: &Stand, site: &Site) -> anyhow::Result<Packed> {
    let (store, workspace) = (site.ledger.store(), site.workspace);
    let keys = Keys::make("bench.example", &Entropy::system())?;
    let anchors = Anchors::new(stand.directory()?.keep());
    Signer::new(store.clone(), Clock::system(), anchors).sign(workspace, &keys).await?;
    let order = Order {
        workspace,
        name: "main".to_owned(),
        requester: String::new(),
        size: None,
        scope: Scope::default(),
        witnesses: None,
    };
    let (begun, mut bytes) = (Instant::now(), Vec::new());
    pack::export(store, &keys, &order, &mut bytes).await?;
    let policy = Policy::of_keys(keys.verifiers(workspace));
    Ok(Packed { bytes, policy, exported: begun.elapsed() })
}

impl Packed {
    /// Events a second of verifying it: every file, entry, hash and checkpoint.
    ///
    /// # Errors
    /// When it is not intact.
    pub fn verify(&self) -> anyhow::Result<f64> {
        let begun = Instant::now();
        let verified = runledger_proof::pack::verify(&self.bytes, &self.policy)?;
        let elapsed = begun.elapsed();
        ensure!(verified.differences.is_empty(), "the pack is damaged");
        Ok(per_second(usize::try_from(verified.events)?, elapsed))
    }

    /// Bytes of the file.
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing in it.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}
