//! Which verdicts a server gives, counted from what its API answers.

use std::collections::{BTreeMap, BTreeSet};

use runledger_projections::rules::actionability::Actionability;
use runledger_projections::rules::freshness::Freshness;
use runledger_projections::rules::guidance::GuidanceKey;
use runledger_projections::rules::queue::QueueVerdict;
use runledger_projections::rules::standing::Standing;
use runledger_projections::{Page, QueueStanding};
use serde::Deserialize;

use super::player::Player;

/// What is asked about a run or a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Is it inside its window?
    Freshness,
    /// Does it need a person?
    Actionability,
    /// What is a person told?
    Guidance,
    /// Will anything pick up what waits?
    Queue,
}

/// Something that is true of runs or queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Of how many.
    pub count: usize,
    /// One of them: a run, or a queue's name.
    pub example: String,
}

/// All verdicts that are given, by kind and by their word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    verdicts: BTreeMap<(Kind, &'static str), Verdict>,
    /// Runs in all.
    pub runs: usize,
    /// The environments that they belong to.
    pub environments: BTreeSet<String>,
}

impl Shown {
    /// What is given under a word.
    pub fn verdict(&self, kind: Kind, word: &str) -> Option<&Verdict> {
        let found = self.verdicts.iter().find(|((of, name), _)| *of == kind && *name == word);
        found.map(|(_, verdict)| verdict)
    }

    /// Every word that the rules know and nothing here shows.
    pub fn missing(&self) -> Vec<(Kind, &'static str)> {
        let all = Freshness::ALL.iter().map(|word| (Kind::Freshness, word.as_str()));
        let all = all
            .chain(Actionability::ALL.iter().map(|word| (Kind::Actionability, word.as_str())))
            .chain(GuidanceKey::ALL.iter().map(|word| (Kind::Guidance, word.as_str())))
            .chain(QueueVerdict::ALL.iter().map(|word| (Kind::Queue, word.as_str())));
        all.filter(|key| !self.verdicts.contains_key(key)).collect()
    }

    fn run(&mut self, standing: &Standing) {
        let (id, now) = (standing.run_id, &standing.now);
        self.runs += 1;
        self.environments.extend(standing.recorded.environment.as_ref().map(ToString::to_string));
        self.count(Kind::Freshness, now.freshness.as_str(), || id.to_string());
        self.count(Kind::Actionability, now.actionability.status.as_str(), || id.to_string());
        self.count(Kind::Guidance, now.guidance.key.as_str(), || id.to_string());
    }

    fn count(&mut self, kind: Kind, word: &'static str, example: impl FnOnce() -> String) {
        let verdict = self.verdicts.entry((kind, word));
        verdict.or_insert_with(|| Verdict { count: 0, example: example() }).count += 1;
    }
}

#[derive(Deserialize)]
struct Queues {
    items: Vec<QueueStanding>,
}

impl Player {
    /// Asks the server for all runs and queues.
    pub(super) async fn shown(&self) -> anyhow::Result<Shown> {
        let mut shown = Shown::default();
        // Once everything that was reported counts.
        let last = self.last_position().await?.to_string();
        let mut query = vec![("limit", "500".to_owned()), ("after", last)];
        loop {
            let page: Page<Standing> = serde_json::from_str(&self.get(&["runs"], &query).await?)?;
            page.items.iter().for_each(|run| shown.run(run));
            let Some(next) = page.next else { break };
            query = vec![("limit", "500".to_owned()), ("cursor", next)];
        }
        let queues: Queues = serde_json::from_str(&self.get(&["queues"], &[]).await?)?;
        for queue in &queues.items {
            shown.count(Kind::Queue, queue.truth.verdict.as_str(), || queue.queue.clone());
        }
        Ok(shown)
    }
}
