//! What was signed of the logs in a database, by whatever has kept it.

use std::collections::BTreeSet;

use runledger_ledger::audit::{self, Flaw, Problem};
use runledger_ledger::checkpoints::{Anchors, Gap, Signer};
use runledger_ledger::clock::Clock;
use runledger_ledger::store::{SignedCheckpoint, Store};
use runledger_ledger::time::Moment;
use runledger_ledger::words::WorkspaceId;
use runledger_proof::checkpoint::Checkpoint;
use runledger_proof::note::Note;
use runledger_proof::policy::{Distrust, Policy};
use runledger_proof::witness::Seen;
use serde::Serialize;

use super::super::table::Cell;
use super::super::{Answer, output};
use super::database::OfDatabase;
use crate::recorded::{DIRECTORY, is_elsewhere};
use crate::settings::Settings;

/// Checkpoints of the database that are read in one go.
const PAGE: u32 = 1_000;

/// What there is to compare logs with.
pub(super) struct Evidence {
    policy: Option<Policy>,
    kept: Vec<(String, Seen)>,
    anchors: Anchors,
    /// Whether the data directory is that of a server, in which its record must be.
    is_of_server: bool,
}

/// The server's record of what it signed of a log, outside of the database.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "snake_case")]
enum Record {
    /// It is there, or nothing was signed.
    #[default]
    There,
    /// It is gone, and its server is or was here.
    Gone(String),
    /// It is elsewhere, with the data of the server.
    NotHere(String),
}

impl Record {
    const fn is_missing(&self) -> bool {
        !matches!(self, Record::There)
    }
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
    /// Whether what the server wrote down of it is there.
    record: Record,
    /// Whether there is a policy.
    #[serde(skip)]
    asked: bool,
}

impl Evidence {
    pub(super) fn new(verify: &OfDatabase) -> anyhow::Result<Self> {
        let policy = verify.policy().map(|path| super::policy(path)).transpose()?;
        let kept = super::kept(verify.checkpoints(), policy.as_ref())?;
        let data_dir = verify.database().settings()?.data_dir;
        let is_of_server = ["signing-key", "signed"].iter().any(|at| data_dir.join(at).exists());
        let anchors = Anchors::new(data_dir.join(DIRECTORY));
        Ok(Evidence { policy, kept, anchors, is_of_server })
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
        trusted.missing = signed.iter().map(|seen| seen.size).collect();
        let mut written = self.written(workspace, &mut trusted, &mut signed).await?;
        let (mut from, mut flaws, mut there) = (0, Vec::new(), false);
        loop {
            let page = store.checkpoints(workspace, from, PAGE).await?;
            let Some(last) = page.last() else { break };
            from = last.size + 1;
            there = true;
            for one in &page {
                trusted.missing.remove(&one.size);
                written.remove(&(one.size, one.signed_at));
                let judged = is_whole(workspace, one)
                    .and_then(|()| self.judge(one, &mut trusted, &mut signed));
                if let Err(why) = judged {
                    let problem = Problem::Checkpoint { size: one.size, why };
                    flaws.push(Flaw { position: None, problem });
                }
            }
        }
        if !there || !trusted.record.is_missing() {
            trusted.record = Record::There;
        }
        // A checkpoint that is there, and not at the time at which the server wrote it down.
        written.retain(|(size, _)| !trusted.missing.contains(size));
        flaws.extend(written.into_iter().map(|(size, at)| {
            let why =
                format!("the server wrote down that it signed it at {at}, and no row says so");
            Flaw { position: None, problem: Problem::Checkpoint { size, why } }
        }));
        trusted.checkpoints = signed.len() as u64;
        flaws.extend(audit::compare(store, workspace, &signed).await?);
        Ok((flaws, trusted))
    }

    /// What the server has written down of a log: what it has signed itself, and when.
    async fn written(
        &self,
        workspace: WorkspaceId,
        trusted: &mut Trusted,
        signed: &mut Vec<Seen>,
    ) -> anyhow::Result<BTreeSet<(u64, Moment)>> {
        if self.anchors.last(workspace).await?.is_none() {
            let of_server = self.is_of_server || self.anchors.removed().await?.contains(&workspace);
            let file = self.anchors.file(workspace).display().to_string();
            trusted.record = if of_server { Record::Gone(file) } else { Record::NotHere(file) };
        }
        let lines = self.anchors.all(workspace).await?;
        trusted.missing.extend(lines.iter().map(|line| line.seen.size));
        signed.extend(lines.iter().map(|line| line.seen));
        let own = lines.into_iter().filter(|line| line.own);
        Ok(own.map(|line| (line.seen.size, line.at)).collect())
    }

    /// Whether the policy believes a checkpoint of the database. That a key which it does not name has
    /// signed one is no difference; that one of its own keys has not, though it says so, is.
    fn judge(
        &self,
        one: &SignedCheckpoint,
        trusted: &mut Trusted,
        signed: &mut Vec<Seen>,
    ) -> Result<(), String> {
        let Some(policy) = &self.policy else {
            signed.push(Seen { size: one.size, root: one.root });
            return Ok(());
        };
        trusted.last_not_believed = true;
        match policy.believe(&one.note) {
            Ok(believed) => {
                let Checkpoint { size, root, .. } = believed.checkpoint;
                trusted.believed = trusted.believed.max(Some(size));
                trusted.last_not_believed = false;
                signed.push(Seen { size, root });
                Ok(())
            }
            Err(Distrust::UnknownKey { .. } | Distrust::NoQuorum) => {
                trusted.not_believed += 1;
                Ok(())
            }
            Err(altered) => Err(altered.to_string()),
        }
    }

    /// Logs that are not in the database, though something of them was signed, as the data directory
    /// of its server says.
    pub(super) async fn lost(
        &self,
        store: &Store,
        settings: &Settings,
    ) -> anyhow::Result<Vec<String>> {
        let signer = Signer::new(store.clone(), Clock::system(), self.anchors.clone());
        let gaps = signer.gaps().await?.into_iter().filter(|gap| !is_elsewhere(gap, settings));
        let lost = gaps.filter_map(|gap| {
            let Gap::Gone { log, signed } = gap else { return None };
            let signed = signed.map_or_else(
                || "it was signed".to_owned(),
                |signed| format!("a checkpoint of {signed} events of it was signed"),
            );
            let file = self.anchors.file(log);
            Some(format!(
                "the log {log} is not in it, and {signed} ({} says so): put a backup back that has it",
                file.display()
            ))
        });
        Ok(lost.collect())
    }
}

/// Whether the note in a row is a checkpoint of this log, of the size and the root that the row says.
fn is_whole(workspace: WorkspaceId, one: &SignedCheckpoint) -> Result<(), String> {
    let note = Note::parse(&one.note).map_err(|error| error.to_string())?;
    let checkpoint = Checkpoint::parse(&note.text).map_err(|error| error.to_string())?;
    if !checkpoint.origin.ends_with(&format!("/ledger/{workspace}")) {
        return Err(format!("its note is of the log {}", checkpoint.origin));
    }
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
        let nobody = self.believed.is_none() && self.not_believed > 0;
        let gone = !self.missing.is_empty() || matches!(self.record, Record::Gone(_));
        match (self.asked, self.believed) {
            _ if self.last_not_believed || nobody => Answer::UnknownKey,
            _ if gone => Answer::Incomplete,
            (false, _) | (true, Some(_)) => Answer::Yes,
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
        match &self.record {
            Record::There => {}
            Record::Gone(file) => output::line(format!(
                "  what the server signed of it is written down in {file}, and that file is gone: \
                 whether the database still has all that was signed cannot be told"
            )),
            Record::NotHere(file) => output::line(format!(
                "  what its server wrote down of it is not here ({file}; name its data directory with \
                 --data-dir), so a checkpoint that was removed is not missed"
            )),
        }
        if *not_believed > 0 {
            output::note(format!(
                "{not_believed} of its checkpoints are not believed by the policy{}; where its keys were \
                 replaced, the policy needs the lines of the old and of the new ones (`runledger keys list \
                 --policy`, handed over by a way that is trusted)",
                if self.last_not_believed { ", the last one among them" } else { "" }
            ));
        }
    }
}
