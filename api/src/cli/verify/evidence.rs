//! What was signed of the logs in a database, by whatever has kept it.

use std::collections::BTreeSet;

use runledger_ledger::audit::{self, Flaw, Problem};
use runledger_ledger::checkpoints::Anchors;
use runledger_ledger::store::{SignedCheckpoint, Store};
use runledger_ledger::words::WorkspaceId;
use runledger_proof::checkpoint::Checkpoint;
use runledger_proof::note::Note;
use runledger_proof::policy::Policy;
use runledger_proof::witness::Seen;
use serde::Serialize;

use super::super::table::Cell;
use super::super::{Answer, output};
use super::database::OfDatabase;

/// Checkpoints of the database that are read in one go.
const PAGE: u32 = 1_000;

/// What there is to compare logs with.
pub(super) struct Evidence {
    policy: Option<Policy>,
    kept: Vec<(String, Seen)>,
    anchors: Anchors,
}

/// Who vouches for a log.
#[derive(Debug, Default, Serialize)]
pub(super) struct Trusted {
    /// How many checkpoints, and what was written down of some, it was compared with.
    checkpoints: u64,
    /// The size of the last one that the policy believes; none without a policy.
    believed: Option<u64>,
    /// How many of them the policy does not believe.
    not_believed: u64,
    /// Whether the last one in the database is among them: nobody who is trusted vouches for the end.
    last_not_believed: bool,
    /// Sizes at which it was signed, as the server's data directory or a checkpoint that was handed in
    /// tells, and of which the database has no checkpoint any more.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    missing: BTreeSet<u64>,
    /// Whether there is a policy.
    #[serde(skip)]
    asked: bool,
}

impl Evidence {
    pub(super) fn new(verify: &OfDatabase) -> anyhow::Result<Self> {
        let policy = verify.policy().map(|path| super::policy(path)).transpose()?;
        let kept = super::kept(verify.checkpoints(), policy.as_ref())?;
        let data_dir = verify.database().settings()?.data_dir;
        Ok(Evidence { policy, kept, anchors: Anchors::new(data_dir.join("signed")) })
    }

    /// Compares a log with all that was signed of it.
    pub(super) async fn compare(
        &self,
        store: &Store,
        workspace: WorkspaceId,
    ) -> anyhow::Result<(Vec<Flaw>, Trusted)> {
        let mut trusted = Trusted { asked: self.policy.is_some(), ..Trusted::default() };
        let of_log = format!("/ledger/{workspace}");
        let kept = self.kept.iter().filter(|(origin, _)| origin.ends_with(&of_log));
        let mut signed: Vec<Seen> = kept.map(|(_, seen)| *seen).collect();
        if self.policy.is_some() {
            // Those that were handed in are believed: else they would not have been taken.
            trusted.believed = signed.iter().map(|seen| seen.size).max();
        }
        // What was signed, and is known from elsewhere than the database.
        let mut missing: BTreeSet<u64> = signed.iter().map(|seen| seen.size).collect();
        let anchor = self.anchors.last(workspace).await?;
        missing.extend(anchor.map(|seen| seen.size));
        signed.extend(anchor);
        let (mut from, mut flaws) = (0, Vec::new());
        loop {
            let page = store.checkpoints(workspace, from, PAGE).await?;
            let Some(last) = page.last() else { break };
            from = last.size + 1;
            for one in &page {
                missing.remove(&one.size);
                if let Err(why) = is_whole(one) {
                    let problem = Problem::Checkpoint { size: one.size, why };
                    flaws.push(Flaw { position: None, problem });
                    continue;
                }
                match &self.policy {
                    None => signed.push(Seen { size: one.size, root: one.root }),
                    Some(policy) => match policy.believe(&one.note) {
                        Ok(believed) => {
                            let checkpoint = believed.checkpoint;
                            trusted.believed = trusted.believed.max(Some(checkpoint.size));
                            trusted.last_not_believed = false;
                            signed.push(Seen { size: checkpoint.size, root: checkpoint.root });
                        }
                        Err(_) => {
                            trusted.not_believed += 1;
                            trusted.last_not_believed = true;
                        }
                    },
                }
            }
        }
        trusted.missing = missing;
        trusted.checkpoints = signed.len() as u64;
        flaws.extend(audit::compare(store, workspace, &signed).await?);
        Ok((flaws, trusted))
    }

    /// Logs that are not in the database, though something of them was signed. Only what an embedded
    /// database has beside it is known to be of this one.
    pub(super) async fn lost(&self, store: &Store) -> anyhow::Result<Vec<String>> {
        if store.sqlite().is_none() {
            return Ok(Vec::new());
        }
        let there = store.workspaces().await?;
        let mut lost = Vec::new();
        for log in self.anchors.logs().await? {
            if there.iter().any(|(id, _)| *id == log) {
                continue;
            }
            if let Some(Seen { size, .. }) = self.anchors.last(log).await? {
                let file = self.anchors.file(log);
                lost.push(format!(
                    "the log {log} is not in it, and a checkpoint of {size} events of it was signed \
                     ({} says so): put a backup back that has it",
                    file.display()
                ));
            }
        }
        Ok(lost)
    }
}

/// Whether the note in a row is a checkpoint, of the size and the root that the row says.
fn is_whole(one: &SignedCheckpoint) -> Result<(), String> {
    let note = Note::parse(&one.note).map_err(|error| error.to_string())?;
    let checkpoint = Checkpoint::parse(&note.text).map_err(|error| error.to_string())?;
    if checkpoint.size != one.size {
        return Err(format!("its note is of {} events", checkpoint.size));
    }
    if checkpoint.root != one.root {
        return Err("its row and its note have different roots".to_owned());
    }
    Ok(())
}

impl Trusted {
    /// What the shell is told where nothing differs.
    pub(super) fn answer(&self) -> Answer {
        match (self.asked, self.believed) {
            _ if !self.missing.is_empty() && self.not_believed == 0 => Answer::Incomplete,
            (true, Some(_)) if self.last_not_believed => Answer::UnknownKey,
            (false, _) | (true, Some(_)) => Answer::Yes,
            (true, None) if self.not_believed > 0 => Answer::UnknownKey,
            (true, None) => Answer::Incomplete,
        }
    }

    pub(super) fn print(&self) {
        let Trusted { checkpoints, believed, not_believed, missing, asked, .. } = self;
        let line = match (asked, believed) {
            (false, _) if *checkpoints == 0 => "  no checkpoint of it was signed yet".to_owned(),
            (false, _) => format!(
                "  as it was signed at {checkpoints} sizes; whom to trust was not said (--policy)"
            ),
            (true, Some(size)) => {
                format!("  as it was signed at {checkpoints} sizes; the policy vouches for {size}")
            }
            (true, None) if *not_believed == 0 && missing.is_empty() => {
                "  no checkpoint of it was signed yet".to_owned()
            }
            (true, None) if *not_believed == 0 => {
                "  there is no checkpoint of it in the database that the policy could vouch for"
                    .to_owned()
            }
            (true, None) => "  nobody whom the policy trusts has signed it".to_owned(),
        };
        output::line(Cell::new(line).dim());
        for size in missing {
            output::line(format!(
                "  it was signed at {size} events, and that checkpoint is not in the database any more: \
                 somebody has removed it, a backup from before was put in place, or the server ended just \
                 as it signed"
            ));
        }
        if *not_believed > 0 {
            output::note(format!(
                "{not_believed} of its checkpoints are not believed by the policy{}",
                if self.last_not_believed { ", the last one among them" } else { "" }
            ));
        }
    }
}
