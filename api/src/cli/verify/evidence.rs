//! What was signed of the logs in a database, by whatever has kept it.

use std::collections::BTreeSet;

use runledger_ledger::audit::{self, Flaw};
use runledger_ledger::checkpoints::Anchors;
use runledger_ledger::store::Store;
use runledger_ledger::words::WorkspaceId;
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
        let mut from = 0;
        loop {
            let page = store.checkpoints(workspace, from, PAGE).await?;
            let Some(last) = page.last() else { break };
            from = last.size + 1;
            for one in &page {
                missing.remove(&one.size);
                match &self.policy {
                    None => signed.push(Seen { size: one.size, root: one.root }),
                    Some(policy) => match policy.believe(&one.note) {
                        Ok(believed) => {
                            let checkpoint = believed.checkpoint;
                            trusted.believed = trusted.believed.max(Some(checkpoint.size));
                            signed.push(Seen { size: checkpoint.size, root: checkpoint.root });
                        }
                        Err(_) => trusted.not_believed += 1,
                    },
                }
            }
        }
        trusted.missing = missing;
        trusted.checkpoints = signed.len() as u64;
        Ok((audit::compare(store, workspace, &signed).await?, trusted))
    }
}

impl Trusted {
    /// What the shell is told where nothing differs.
    pub(super) fn answer(&self) -> Answer {
        match (self.asked, self.believed) {
            _ if !self.missing.is_empty() && self.not_believed == 0 => Answer::Incomplete,
            (false, _) | (true, Some(_)) => Answer::Yes,
            (true, None) if self.not_believed > 0 => Answer::UnknownKey,
            (true, None) => Answer::Incomplete,
        }
    }

    pub(super) fn print(&self) {
        let Trusted { checkpoints, believed, not_believed, missing, asked } = self;
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
                "{not_believed} of its checkpoints are not believed by the policy"
            ));
        }
    }
}
