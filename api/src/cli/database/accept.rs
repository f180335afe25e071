//! `runledger database accept`: a person says from which checkpoint on logs are signed, where what the
//! server has written down of it is gone, or tells otherwise (specs/0029).

use anyhow::Context;
use runledger_ledger::access::{AccessChange, CheckpointAccepted, SignedBefore};
use runledger_ledger::archive::Archives;
use runledger_ledger::checkpoints::{Anchors, Keys, Signer, Standing};
use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::event::Actor;
use runledger_ledger::ledger::Ledger;
use runledger_ledger::submission::{Answer as Recorded, Command, Submission};
use runledger_ledger::tree;
use runledger_ledger::words::{Note, WorkspaceId};
use runledger_ledger::workspace::WorkspaceCommand;
use runledger_proof::witness::Seen;
use uuid::Uuid;

use super::super::maintenance::{Database, Which};
use super::super::said::Said;
use super::super::{Answer, Unusable, block_on, output};
use crate::recorded::DIRECTORY;
use crate::server;
use crate::settings::Settings;
use crate::signing_key::KeySource;

/// Say that logs are signed on from their last checkpoint, where the server's record of it is gone.
///
/// A server keeps what it signed last outside of the database (`signed` in the data directory), and does
/// not begin where that record is missing, tells of more than the log holds, or is of a log that is not
/// there. Each log is checked against the last checkpoint that the server's keys have signed, its event
/// `checkpoint.accepted` says who accepted it and why, and the record begins anew. Verify the database
/// first (`runledger verify database --policy trust.policy --checkpoint kept.txt`), and stop the server.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  runledger database accept --by Ada --reason 'a second server'
  runledger database accept --restored --by Ada --reason 'restored from the backup of last night'
  runledger database accept --lost 0195f3c0-0000-7000-8000-000000000001 --by Ada --reason 'a test'

Exit codes: 0 accepted, or nothing had to be; 1 not accepted; 2 the command line or a setting cannot be used")]
pub(in crate::cli) struct Accept {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    database: Database,
    /// Also where more or something else was signed than the log holds: a backup was restored on
    /// purpose. For those who keep checkpoints it stays a fork
    #[arg(long)]
    restored: bool,
    /// A log that is not in the database and will not come back; may be given several times. It is told
    /// in the log of the server's workspace
    #[arg(long, value_name = "ID")]
    lost: Vec<Uuid>,
    #[command(flatten)]
    said: Said,
}

/// What accepting needs.
struct Accepting {
    ledger: Ledger,
    signer: Signer,
    keys: Keys,
    actor: Actor,
    reason: Note,
}

pub(super) fn run(accept: &Accept) -> anyhow::Result<Answer> {
    let (actor, reason) = accept.said.checked()?;
    let settings = accept.database.settings()?;
    let source = KeySource::find(&settings.data_dir, |name| std::env::var(name).ok());
    let keys = source.load().context("without the signing key nothing can be accepted")?;
    block_on(async {
        let accepting = Accepting::begin(accept, &settings, keys, actor, reason).await?;
        let mut answer = Answer::Yes;
        for (log, name) in accept.which.find(accepting.ledger.store()).await? {
            if !accepting.one(log, &name, accept.restored).await? {
                answer = Answer::No;
            }
        }
        for log in &accept.lost {
            accepting.lost(WorkspaceId(*log), &settings).await?;
        }
        accepting.ledger.store().close().await;
        Ok(answer)
    })
}

impl Accepting {
    async fn begin(
        accept: &Accept,
        settings: &Settings,
        keys: Keys,
        actor: Actor,
        reason: Note,
    ) -> anyhow::Result<Accepting> {
        // Where a log is lost, the whole file may be: then there is a new one.
        if accept.lost.is_empty() {
            accept.database.must_be_there(settings)?;
        }
        let store = server::open(&settings.database).await?;
        let store = store.with_archives(Archives::below(settings.archives.clone()));
        tree::fill_new(&store).await?;
        let anchors = Anchors::new(settings.data_dir.join(DIRECTORY));
        let signer = Signer::new(store.clone(), Clock::system(), anchors);
        let ledger = Ledger::new(store, Clock::system(), Entropy::system());
        Ok(Accepting { ledger, signer, keys, actor, reason })
    }

    /// One log that is there. False if it was not accepted.
    async fn one(&self, log: WorkspaceId, name: &str, restored: bool) -> anyhow::Result<bool> {
        let standing = match self.signer.standing(log, &self.keys).await {
            Ok(standing) => standing,
            Err(error) => {
                output::line(format!("{name}: not accepted: {error}"));
                return Ok(false);
            }
        };
        let Standing { published, written, otherwise } = standing;
        let instead_of = match (written, otherwise) {
            (Some(_), None) => {
                output::line(format!("{name}: it is what was signed; nothing is to be accepted"));
                return Ok(true);
            }
            (None, _) if published.size == 0 => {
                output::line(format!("{name}: nothing of it was signed yet"));
                return Ok(true);
            }
            (Some(_), Some(why)) if !restored => {
                output::line(format!(
                    "{name}: not accepted: {why}. If a backup was restored on purpose, say so with \
                     --restored"
                ));
                return Ok(false);
            }
            (written, _) => written.map(|seen| before(log, seen)),
        };
        self.record(log, published, instead_of).await?;
        self.signer.go_on_from(log, published).await?;
        output::line(format!(
            "{name}: accepted as it was signed with {} events; it is signed on from there",
            published.size
        ));
        Ok(true)
    }

    /// A log that is gone for good.
    async fn lost(&self, log: WorkspaceId, settings: &Settings) -> anyhow::Result<()> {
        let store = self.ledger.store();
        let there = store.workspaces().await?.iter().any(|(id, _)| *id == log);
        let (anchors, unusable) = (self.signer.anchors(), |what| Err(Unusable(what).into()));
        let known = anchors.logs().await?.contains(&log) || anchors.removed().await?.contains(&log);
        if there {
            return unusable(format!("the log {log} is in the database; it is not lost"));
        }
        if !known {
            return unusable(format!("nothing is written down of the log {log}"));
        }
        let catalog = server::catalog(settings)?;
        server::ensure_workspace(&self.ledger, &settings.workspace, &catalog).await?;
        let name = settings.workspace.as_str();
        let workspace =
            store.workspace_by_name(name).await?.context("the workspace is not there")?;
        let own = self.signer.standing(workspace, &self.keys).await?.published;
        let signed = anchors.last(log).await?.unwrap_or_else(Seen::nothing);
        self.record(workspace, own, Some(before(log, signed))).await?;
        let aside = anchors.set_aside(log, self.ledger.now()).await?;
        output::line(format!(
            "{name}: says that the log {log} of {} events is lost; what was signed of it is in {}",
            signed.size,
            aside.display()
        ));
        Ok(())
    }

    async fn record(
        &self,
        log: WorkspaceId,
        seen: Seen,
        instead_of: Option<SignedBefore>,
    ) -> anyhow::Result<()> {
        let Seen { size, root } = seen;
        let (reason, root) = (self.reason.clone(), hex::encode(root));
        let accepted = CheckpointAccepted { instead_of, reason, root, size };
        note(&self.ledger, log, AccessChange::CheckpointAccepted(accepted), &self.actor).await
    }
}

fn before(log: WorkspaceId, Seen { size, root }: Seen) -> SignedBefore {
    SignedBefore { log: log.0, root: hex::encode(root), size }
}

/// Has a log say what was changed, and by whom.
pub(in crate::cli) async fn note(
    ledger: &Ledger,
    log: WorkspaceId,
    change: AccessChange,
    actor: &Actor,
) -> anyhow::Result<()> {
    let command = Command::Workspace(WorkspaceCommand::NoteAccess(change));
    let submission = Submission::new(command).by(actor.clone());
    match ledger.submit(log, vec![submission], true).await?.as_slice() {
        [Recorded::Recorded(_)] => Ok(()),
        other => anyhow::bail!("the log did not take it: {other:?}"),
    }
}
