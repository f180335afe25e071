//! The witnesses of a deployment: each new checkpoint is sent to them (C2SP tlog-witness), and what they sign is
//! merged into the checkpoint that is published.
//!
//! Which witnesses there are, and how many must have signed, stands in a policy file of the
//! operator (C2SP tlog-policy). A witness that refuses is told of loudly: it is the one that has
//! seen another history. It stops nothing: who could, could stop a ledger from elsewhere.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::redirect;
use runledger_ledger::ledger::Ledger;
use runledger_ledger::store::{SignedCheckpoint, Store};
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::tree;
use runledger_ledger::words::WorkspaceId;
use runledger_proof::note::{Note, VerifierKey};
use runledger_proof::policy::{Policy, Witness};
use runledger_proof::witness::AddCheckpoint;
use tokio::sync::watch;
use uuid::Uuid;

/// How often it is looked whether there is a new checkpoint.
const PACE: Duration = Duration::from_secs(2);
/// How long a witness may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes of an answer: some signatures.
const MOST_BYTES: usize = 64 * 1024;
/// How long a server that is gone keeps others from asking.
const LEASE: Span = Span::from_secs(60);

/// The witnesses, and what they said last. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cosigners {
    policy: Arc<Policy>,
    said: Arc<Mutex<BTreeMap<(WorkspaceId, String), Said>>>,
}

/// What a witness said last of a log.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// The size up to which it has signed the log, as far as this server knows.
    pub size: u64,
    /// Why it did not sign when it was asked last.
    pub refusal: Option<Refusal>,
}

/// Why a witness did not sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// When it was asked.
    pub at: Moment,
    /// What it means.
    pub problem: String,
    /// Whether it has seen another history than this one.
    pub fork: bool,
}

/// How far a log's last checkpoint is witnessed.
#[derive(Clone, Debug)]
pub struct Witnessed {
    /// The witnesses of the policy that have signed it, and when, in seconds since 1970.
    pub signed: Vec<(VerifierKey, u64)>,
    /// Whether they are enough for the policy; true where it asks for none.
    pub quorum: bool,
}

impl Cosigners {
    /// The witnesses of a policy.
    pub fn new(policy: Policy) -> Self {
        Cosigners { policy: Arc::new(policy), said: Arc::default() }
    }

    /// The policy that names them.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The witnesses, in the order of the file.
    pub fn witnesses(&self) -> &[Witness] {
        self.policy.witnesses()
    }

    /// Whether the policy asks for any of them.
    pub fn asks_for_quorum(&self) -> bool {
        self.policy.asks_for_quorum()
    }

    /// Who has signed a checkpoint.
    pub fn witnessed(&self, note: &Note) -> Witnessed {
        // What does not hold was not gathered here; readers refuse it by their own policy.
        let (signed, quorum) = self.policy.witnessed(note).unwrap_or_default();
        Witnessed { signed, quorum }
    }

    /// What a witness said last of a log.
    pub fn said(&self, workspace: WorkspaceId, witness: &str) -> Said {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.get(&(workspace, witness.to_owned())).cloned().unwrap_or_default()
    }

    /// Notes it, and says whether it is a new refusal.
    fn note(&self, workspace: WorkspaceId, witness: &str, said: Said) -> bool {
        let mut all = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let problem = |said: &Said| said.refusal.as_ref().map(|refusal| refusal.problem.clone());
        let now = problem(&said);
        let before = all.insert((workspace, witness.to_owned()), said);
        now.is_some() && before.as_ref().and_then(problem) != now
    }
}

/// Asks the witnesses.
#[derive(Debug)]
pub struct Cosigning {
    ledger: Ledger,
    cosigners: Cosigners,
    holder: Uuid,
    http: reqwest::Client,
}

/// What one witness answered.
enum Answer {
    /// Its signatures.
    Signed(Note),
    /// It has seen the log at this size, and not as it was asked.
    Seen(u64),
    /// It did not sign.
    Refused { problem: String, fork: bool },
}

impl Cosigning {
    /// Asks `cosigners` about the logs of `ledger`.
    ///
    /// # Errors
    /// If this machine cannot ask anybody.
    pub fn new(ledger: Ledger, cosigners: Cosigners) -> anyhow::Result<Self> {
        // Another part of the process may have chosen already; any choice will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(redirect::Policy::none())
            .build()
            .context("no witness can be asked")?;
        let holder = ledger.process_id()?;
        Ok(Cosigning { ledger, cosigners, holder, http })
    }

    /// Asks until `stopped`.
    pub async fn run(self, mut stopped: watch::Receiver<bool>) {
        loop {
            // An error means that the server has gone.
            let wait = stopped.wait_for(|stopped| *stopped);
            if tokio::time::timeout(PACE, wait).await.is_ok() {
                return;
            }
            self.round().await;
        }
    }

    /// Asks every witness that has not signed the last checkpoint of a log.
    pub async fn round(&self) {
        let store = self.ledger.writing_store();
        let logs = match store.workspaces().await {
            Ok(logs) => logs,
            Err(error) => return tracing::warn!(%error, "the logs to witness cannot be listed"),
        };
        for (workspace, name) in logs {
            if let Err(error) = self.look(workspace, &name).await {
                tracing::warn!(%workspace, name, error = format!("{error:#}"), "no witness was asked");
            }
        }
    }

    async fn look(&self, workspace: WorkspaceId, name: &str) -> anyhow::Result<()> {
        let store = self.ledger.writing_store();
        let Some(last) = store.last_checkpoint(workspace).await? else { return Ok(()) };
        let note = Note::parse(&last.note).context("a stored checkpoint cannot be read")?;
        let signed = self.cosigners.witnessed(&note).signed;
        let missing: Vec<&Witness> = self
            .cosigners
            .witnesses()
            .iter()
            .filter(|witness| !signed.iter().any(|(key, _)| *key == witness.key))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let lease = format!("cosigner/{workspace}");
        if !store.take_lease(&lease, self.holder, self.ledger.now(), LEASE).await? {
            return Ok(());
        }
        let mut merged = note.clone();
        for witness in missing {
            if let Some(new) = self.ask(workspace, name, witness, &last, &note).await? {
                merged.signatures.extend(new.signatures);
            }
        }
        if merged.signatures.len() > note.signatures.len() {
            publish(store, workspace, &last, &merged, self.ledger.now()).await?;
        }
        Ok(())
    }

    /// Asks one witness, a second time if it has seen the log at another size than was thought.
    async fn ask(
        &self,
        workspace: WorkspaceId,
        log: &str,
        witness: &Witness,
        last: &SignedCheckpoint,
        note: &Note,
    ) -> anyhow::Result<Option<Note>> {
        let Some(url) = &witness.url else { return Ok(None) };
        let known = self.cosigners.said(workspace, &witness.name).size.min(last.size);
        let mut answer = self.post(workspace, url, known, last.size, note, &witness.key).await?;
        if let Answer::Seen(size) = answer
            && size <= last.size
            && size != known
        {
            answer = self.post(workspace, url, size, last.size, note, &witness.key).await?;
        }
        let (said, new) = match answer {
            Answer::Signed(new) => (Said { size: last.size, refusal: None }, Some(new)),
            Answer::Seen(size) => {
                // It signed another log of this size, or one that was longer.
                let problem = format!(
                    "it has signed this log with {size} events, and that is not how the first \
                     {} look now: an old backup was put in place, or history was changed",
                    last.size
                );
                (self.refused(size, problem, true), None)
            }
            Answer::Refused { problem, fork } => (self.refused(known, problem, fork), None),
        };
        let refusal = said.refusal.clone();
        let new_refusal = self.cosigners.note(workspace, &witness.name, said);
        if let Some(Refusal { problem, fork, .. }) = refusal.filter(|_| new_refusal) {
            let witness = &witness.name;
            if fork {
                tracing::error!(%workspace, log, witness, problem, "a witness has seen another history");
            } else {
                tracing::warn!(%workspace, log, witness, problem, "a witness did not sign");
            }
        }
        Ok(new)
    }

    fn refused(&self, size: u64, problem: String, fork: bool) -> Said {
        Said { size, refusal: Some(Refusal { at: self.ledger.now(), problem, fork }) }
    }

    async fn post(
        &self,
        workspace: WorkspaceId,
        url: &str,
        old: u64,
        size: u64,
        note: &Note,
        key: &VerifierKey,
    ) -> anyhow::Result<Answer> {
        let proof = tree::consistency(self.ledger.store(), workspace, old, size).await?;
        let body = AddCheckpoint { old, proof, note: note.clone() }.to_string();
        let url = format!("{}/add-checkpoint", url.trim_end_matches('/'));
        let refused = |problem: String| Ok(Answer::Refused { problem, fork: false });
        let answer = match self.http.post(url).body(body).send().await {
            Ok(answer) => answer,
            Err(error) => return refused(format!("it cannot be reached: {}", error.without_url())),
        };
        let status = answer.status().as_u16();
        let text = match limited(answer).await {
            Ok(text) => text,
            Err(error) => return refused(format!("its answer cannot be read: {error}")),
        };
        Ok(match status {
            200 => match signatures(note, &text, key) {
                Some(new) => Answer::Signed(new),
                None => return refused("what it signed with is not its key".to_owned()),
            },
            409 => match text.trim_end().parse() {
                Ok(size) => Answer::Seen(size),
                Err(_) => return refused("its answer names no size".to_owned()),
            },
            422 => Answer::Refused {
                problem: format!(
                    "it refused (422): the log with {size} events does not continue the {old} events \
                     that it has signed"
                ),
                fork: true,
            },
            403 => return refused("it refused (403): it knows another key of this log".to_owned()),
            404 => return refused("it refused (404): it does not know this log".to_owned()),
            other => return refused(format!("it answered {other}")),
        })
    }
}

/// Reads an answer that has an end.
async fn limited(mut answer: reqwest::Response) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
        if bytes.len() + chunk.len() > MOST_BYTES {
            bail!("it is too long");
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8(bytes)?)
}

/// The signatures of an answer that `key` made, over the text of `note`.
fn signatures(note: &Note, answer: &str, key: &VerifierKey) -> Option<Note> {
    let mut new = Note::parse(format!("{}\n{answer}", note.text).as_bytes()).ok()?;
    new.signatures.retain(|signature| key.made(signature));
    let held = new.verify([key]).ok()?;
    (!held.is_empty()).then_some(new)
}

/// Keeps a checkpoint with the signatures that were gathered: the same size and root, and later.
async fn publish(
    store: &Store,
    workspace: WorkspaceId,
    last: &SignedCheckpoint,
    note: &Note,
    now: Moment,
) -> anyhow::Result<()> {
    let after = Moment::from_micros(last.signed_at.micros() + 1);
    let signed_at = now.max(after);
    let note = note.to_string().into_bytes();
    let checkpoint = SignedCheckpoint { signed_at, note, ..last.clone() };
    Ok(store.add_checkpoint(workspace, &checkpoint).await?)
}
