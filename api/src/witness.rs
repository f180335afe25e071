//! A witness (C2SP tlog-witness): it sees to it that logs only grow, and signs what it has seen.
//!
//! It belongs on another machine, under another administrator, than the logs. It knows the keys of
//! its logs from a policy file, remembers of each log the last size and root that it signed, and
//! signs a larger one only with the proof that it continues that one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use runledger_ledger::checkpoints::{AnchorError, Anchors};
use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::words::WorkspaceId;
use runledger_proof::note::{Kind, SignerKey, VerifierKey};
use runledger_proof::policy::Policy;
use runledger_proof::witness::{AddCheckpoint, MOST_BYTES, Refused, Seen};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use uuid::Uuid;

/// A witness. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Witness {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    key: SignerKey,
    logs: Vec<VerifierKey>,
    clock: Clock,
    /// What was signed last of each log. One request at a time: between a look and the next line
    /// nobody else may come.
    seen: Mutex<Anchors>,
}

/// Why a witness has no key.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// Its file cannot be read or written.
    #[error("the witness's key in {} cannot be read or written", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// What is there is no key of a witness of this name.
    #[error("{} holds no key of a witness called {}", .0.display(), .1)]
    NoKey(PathBuf, String),
}

impl Witness {
    /// A witness of the logs that `policy` trusts, which remembers in `directory` what it signed.
    pub fn new(key: SignerKey, policy: &Policy, clock: Clock, directory: &Path) -> Self {
        let seen = Mutex::new(Anchors::new(directory.join("witnessed")));
        let inner = Inner { key, logs: policy.logs().to_vec(), clock, seen };
        Witness { inner: Arc::new(inner) }
    }

    /// What others need to check its signatures.
    pub fn verifier(&self) -> VerifierKey {
        self.inner.key.verifier()
    }

    /// What it answers to.
    pub fn router(self) -> Router {
        Router::new()
            .route("/add-checkpoint", post(add_checkpoint))
            .layer(DefaultBodyLimit::max(MOST_BYTES))
            .with_state(self)
    }

    /// The signature line of a checkpoint that continues what was seen.
    async fn sign(&self, body: &[u8]) -> Result<Result<String, Refused>, AnchorError> {
        let ask = match AddCheckpoint::parse(body) {
            Ok(ask) => ask,
            Err(refused) => return Ok(Err(refused)),
        };
        let Inner { key, logs, clock, seen } = &*self.inner;
        let origin = ask.note.text.split('\n').next().unwrap_or_default();
        let (log, seen) = (place(origin), seen.lock().await);
        let last = seen.last(log).await?.unwrap_or_else(Seen::nothing);
        let checkpoint = match ask.judge(logs, last) {
            Ok(checkpoint) => checkpoint,
            Err(refused) => return Ok(Err(refused)),
        };
        let now = clock.now();
        let next = Seen { size: checkpoint.size, root: checkpoint.root };
        if next != last {
            seen.add(log, next, now).await?;
        }
        let seconds = u64::try_from(now.micros() / 1_000_000).unwrap_or_default();
        Ok(Ok(format!("{}\n", key.sign(&ask.note.text, seconds))))
    }
}

/// Where what was seen of the log with this origin is remembered.
fn place(origin: &str) -> WorkspaceId {
    let hash: [u8; 32] = Sha256::digest(origin).into();
    let (first, _) = hash.split_at(16);
    WorkspaceId(Uuid::from_slice(first).unwrap_or_default())
}

async fn add_checkpoint(State(witness): State<Witness>, body: Bytes) -> Response {
    match witness.sign(&body).await {
        Ok(Ok(line)) => {
            ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], line).into_response()
        }
        Ok(Err(refused @ (Refused::Stale(size) | Refused::Fork(size)))) => {
            tracing::warn!(%refused, "a checkpoint was not signed");
            let kind = [(header::CONTENT_TYPE, "text/x.tlog.size")];
            (StatusCode::CONFLICT, kind, format!("{size}\n")).into_response()
        }
        Ok(Err(refused)) => {
            tracing::warn!(%refused, "a checkpoint was not signed");
            let status = StatusCode::from_u16(refused.status());
            (status.unwrap_or(StatusCode::BAD_REQUEST), format!("{refused}\n")).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "what was seen cannot be read or written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The key of the witness called `name`, from a file that only its owner can read; made if there is
/// none.
///
/// # Errors
/// If it cannot be read or made.
pub fn load_or_make(path: &Path, name: &str, entropy: &Entropy) -> Result<SignerKey, WitnessError> {
    let failed = |error| WitnessError::File(path.to_owned(), error);
    let no_key = || WitnessError::NoKey(path.to_owned(), name.to_owned());
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let key = SignerKey::parse(text.trim()).map_err(|_| no_key())?;
            let fits = key.name() == name && key.verifier().kind() == Kind::Cosignature;
            if fits { Ok(key) } else { Err(no_key()) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut secret = [0; 32];
            entropy.fill(&mut secret).map_err(|error| failed(io::Error::other(error)))?;
            let key = SignerKey::new(name, Kind::Cosignature, &secret).ok_or_else(no_key)?;
            if let Some(directory) = path.parent() {
                std::fs::create_dir_all(directory).map_err(failed)?;
            }
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(path).map_err(failed)?;
            io::Write::write_all(&mut file, format!("{}\n", key.to_secret_text()).as_bytes())
                .and_then(|()| file.sync_all())
                .map_err(failed)?;
            Ok(key)
        }
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use runledger_proof::checkpoint::Checkpoint;
    use runledger_proof::merkle::{self, Frontier, Node, leaf_hash};
    use runledger_proof::note::Note;
    use runledger_proof::tile::subtree_root;
    use tower::ServiceExt as _;

    use super::*;

    fn leaves(count: u64) -> Vec<[u8; 32]> {
        (0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect()
    }

    fn ask(key: &SignerKey, old: u64, size: u64) -> AddCheckpoint {
        let all = leaves(size);
        let mut frontier = Frontier::default();
        all.iter().for_each(|leaf| frontier.push(*leaf));
        let node = |node: Node| {
            let start = usize::try_from(node.index << node.level).ok()?;
            Some(subtree_root(all.get(start..start + (1 << node.level))?))
        };
        let proof = merkle::plan_consistency(old, size).unwrap().proof(node).unwrap();
        let text = Checkpoint::new(key.name(), size, frontier.root()).to_string();
        AddCheckpoint { old, proof, note: Note::sign(&text, &[key], 0) }
    }

    async fn answer(witness: &Witness, ask: &AddCheckpoint) -> (u16, String) {
        let request = Request::post("/add-checkpoint").body(Body::from(ask.to_string())).unwrap();
        let answer = witness.clone().router().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_witness_signs_a_log_that_grows_and_remembers_it_over_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("witness-key");
        let entropy = Entropy::system();
        let log = SignerKey::new("log.example", Kind::Ed25519, &[1; 32]).unwrap();
        let policy = Policy::of_keys(vec![log.verifier()]);
        let start = || {
            let key = load_or_make(&path, "witness.example", &entropy).unwrap();
            Witness::new(key, &policy, Clock::system(), directory.path())
        };
        let witness = start();
        let first = ask(&log, 0, 5);
        let (status, line) = answer(&witness, &first).await;
        assert_eq!(status, 200, "{line}");
        let cosigned = Note::parse(format!("{}{line}", first.note).as_bytes()).unwrap();
        let verifier = witness.verifier();
        assert!(cosigned.verify([&verifier]).unwrap()[0].time.is_some());
        assert_eq!(answer(&witness, &ask(&log, 5, 9)).await.0, 200);
        let again = start();
        assert_eq!(answer(&again, &ask(&log, 5, 12)).await, (409, "9\n".to_owned()));
        assert_eq!(answer(&again, &ask(&log, 0, 5)).await, (409, "9\n".to_owned()));
        assert_eq!(answer(&again, &ask(&log, 9, 9)).await.0, 200);
        let mut bad = ask(&log, 9, 20);
        bad.proof.swap(0, 1);
        assert_eq!(answer(&again, &bad).await.0, 422);
        let stranger = SignerKey::new("log.example", Kind::Ed25519, &[2; 32]).unwrap();
        assert_eq!(answer(&again, &ask(&stranger, 9, 20)).await.0, 403);
        let other = SignerKey::new("other.example", Kind::Ed25519, &[1; 32]).unwrap();
        assert_eq!(answer(&again, &ask(&other, 0, 20)).await.0, 404);
        assert!(load_or_make(&path, "another.example", &entropy).is_err());
    }
}
