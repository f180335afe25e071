//! Asking adapters about a page of runs. Whatever an adapter does, the caller gets an answer for
//! each run within the time limit, and no fault of an adapter is a decision.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use runledger_ledger::run::AdapterDecision;
use runledger_ledger::subject::{Observe, SubjectKey};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::erased::{self, Erased};
use super::{Judge, Registered, Registry};
use crate::adapter::{Case, Decision, Observation, Watched};
use crate::seam::{self, Commands, SeamError};
use crate::source::{SourceClass, SourceError};

/// What was seen of a subject, once checked.
pub type Seen = (SubjectKey, Observe);

/// What adapters said of one run.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The run, as it was judged.
    pub case: Case,
    /// The adapters that were asked, in that order: the owner of its operation type, then, if the
    /// run is still open after that, those of every operation type.
    pub asked: Vec<Asked>,
}

impl Judged {
    /// What to hand to the ledger: the decision that completes the run or proves it, else the first
    /// that says anything. None if nobody could judge it, or nobody had anything to say.
    pub fn ruling(&self) -> Option<&Ruling> {
        let rulings = || self.asked.iter().filter_map(|asked| asked.result.as_ref().ok());
        let terminal = rulings().find(|ruling| ruling.is_terminal());
        let speaks = |ruling: &&Ruling| {
            ruling.decision.decision != AdapterDecision::NoChange
                || ruling.commands.observe.is_some()
        };
        terminal.or_else(|| rulings().find(speaks))
    }
}

/// What one adapter said of one run.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The adapter's name.
    pub adapter: String,
    /// Its decision, or why there is none.
    pub result: Result<Ruling, Unjudged>,
}

/// A decision that the seam has let through.
#[derive(Clone, Debug, PartialEq)]
pub struct Ruling {
    /// What it is for the ledger.
    pub commands: Commands,
    /// What the adapter decided.
    pub decision: Decision,
    /// What the adapter gathered, to decide again from. Not checked: it is for [`Registered::decide`],
    /// not for showing.
    pub gathered: Value,
}

impl Ruling {
    /// Whether it says how the run ended.
    pub fn is_terminal(&self) -> bool {
        self.decision.decision.outcome().is_some()
    }

    /// Whether it says how the run ended, or what was seen of its subject.
    pub fn proves(&self) -> bool {
        self.is_terminal() || self.commands.observe.is_some()
    }
}

/// Why there is no decision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unjudged {
    /// The source gave no answer.
    #[error("there is no evidence")]
    Source(#[from] SourceError),
    /// The decision must not be recorded.
    #[error("the decision was refused")]
    Refused(#[from] SeamError),
    /// The adapter is idle.
    #[error("the adapter is not set up")]
    Idle,
    /// The adapter is a program of its own.
    #[error("the adapter is not asked: it claims its runs, and posts what it found")]
    Remote,
}

impl Unjudged {
    /// A stable word for it: what an adapter's health shows as its last error.
    pub const fn code(&self) -> &'static str {
        match self {
            Unjudged::Source(error) => error.class.as_str(),
            Unjudged::Refused(error) => error.code(),
            Unjudged::Idle => "idle",
            Unjudged::Remote => "remote",
        }
    }
}

impl Registry {
    /// Asks the adapters about these runs: each page of an owner is one gathering. The answers are
    /// in the order of the cases.
    ///
    /// Adapters are asked side by side. It takes at most twice the time limit: once for the owners,
    /// once for the adapters of every operation type.
    pub async fn judge(&self, cases: Vec<Case>) -> Vec<Judged> {
        let mut judged: Vec<Judged> =
            cases.into_iter().map(|case| Judged { case, asked: Vec::new() }).collect();
        let mut pages: BTreeMap<&str, (&Registered, Vec<usize>)> = BTreeMap::new();
        for (place, one) in judged.iter().enumerate() {
            if let Some(owner) = self.owner(one.case.operation()) {
                pages.entry(&owner.manifest.name).or_insert((owner, Vec::new())).1.push(place);
            }
        }
        self.ask(pages.into_values().collect(), &mut judged).await;
        let open = |one: &Judged| !one.ruling().is_some_and(Ruling::is_terminal);
        let open: Vec<usize> =
            judged.iter().enumerate().filter(|(_, one)| open(one)).map(|(at, _)| at).collect();
        let pages = self.of_every_operation().map(|adapter| (adapter, open.clone())).collect();
        self.ask(pages, &mut judged).await;
        judged
    }

    async fn ask(&self, pages: Vec<(&Registered, Vec<usize>)>, judged: &mut [Judged]) {
        let asking = pages.into_iter().filter(|(_, places)| !places.is_empty());
        let asking = asking.map(|(adapter, places)| {
            let cases = places.iter().map(|place| judged[*place].case.clone()).collect();
            async move { (adapter, places, adapter.judge(cases, self.time_limit).await) }
        });
        for (adapter, places, results) in futures::future::join_all(asking).await {
            let name = &adapter.manifest.name;
            for (place, result) in places.into_iter().zip(results) {
                judged[place].asked.push(Asked { adapter: name.clone(), result });
            }
        }
    }
}

impl Registered {
    /// Asks this adapter about a page of runs, and answers within the time limit. An unreadable
    /// answer is asked for again in halves, so that one bad row hides nobody else's.
    pub async fn judge(
        &self,
        cases: Vec<Case>,
        time_limit: Duration,
    ) -> Vec<Result<Ruling, Unjudged>> {
        let working = match self.working() {
            Ok(working) => working,
            Err(why) => return cases.iter().map(|_| Err(why.clone())).collect(),
        };
        let answers = paged(&cases, time_limit, |cases| {
            let adapter = Arc::clone(working);
            async move {
                let gathered = adapter.gather(&cases).await?;
                let decided = cases.iter().zip(gathered).map(|(case, evidence)| {
                    let decision = erased::decide(&*adapter, case, &evidence)?;
                    Ok((evidence, decision))
                });
                Ok(decided.collect())
            }
        });
        let answers = answers.await;
        let answers = cases.iter().zip(answers);
        answers
            .map(|(case, answer)| {
                let (gathered, decision) = answer?;
                Ok(self.ruling(case, gathered, decision)?)
            })
            .collect()
    }

    /// Asks this adapter about a page of subjects, without a run, and answers within the time
    /// limit. None for a subject of which it says nothing.
    pub async fn look(
        &self,
        watched: Vec<Watched>,
        time_limit: Duration,
    ) -> Vec<Result<Option<Seen>, Unjudged>> {
        let working = match self.working() {
            Ok(working) => working,
            Err(why) => return watched.iter().map(|_| Err(why.clone())).collect(),
        };
        let answers = paged(&watched, time_limit, |watched| {
            let adapter = Arc::clone(working);
            async move {
                let gathered = adapter.survey(&watched).await?;
                let seen = watched.iter().zip(gathered);
                Ok(seen.map(|(one, evidence)| erased::observe(&*adapter, one, &evidence)).collect())
            }
        });
        let answers = answers.await;
        let answers = watched.iter().zip(answers);
        answers.map(|(one, answer)| self.seen(one, answer?)).collect()
    }

    /// Observes again from what was gathered before.
    ///
    /// # Errors
    /// What was gathered cannot be read, or the observation must not be recorded.
    pub fn observe(&self, watched: &Watched, gathered: &Value) -> Result<Option<Seen>, Unjudged> {
        let seen = erased::observe(&**self.working()?, watched, gathered)?;
        self.seen(watched, seen)
    }

    fn seen(&self, watched: &Watched, seen: Option<Observation>) -> Result<Option<Seen>, Unjudged> {
        let Watched { environment, subject, .. } = watched.clone();
        let key = SubjectKey { environment, subject };
        Ok(seen.map(|seen| seam::observe(&self.manifest, key, &seen)).transpose()?)
    }

    /// Decides again from what was gathered before.
    ///
    /// # Errors
    /// What was gathered cannot be read, or the decision must not be recorded.
    pub fn decide(&self, case: &Case, gathered: &Value) -> Result<Ruling, Unjudged> {
        let decision = erased::decide(&**self.working()?, case, gathered)?;
        Ok(self.ruling(case, gathered.clone(), decision)?)
    }

    /// What a remote adapter decided of a case that it had claimed.
    ///
    /// # Errors
    /// The decision must not be recorded.
    pub fn posted(&self, case: &Case, decision: Decision) -> Result<Ruling, SeamError> {
        self.ruling(case, Value::Null, decision)
    }

    fn working(&self) -> Result<&Arc<dyn Erased>, Unjudged> {
        match &self.judge {
            Judge::Working(working) => Ok(working),
            Judge::Remote => Err(Unjudged::Remote),
            Judge::Idle(_) => Err(Unjudged::Idle),
        }
    }

    fn ruling(
        &self,
        case: &Case,
        gathered: Value,
        decision: Decision,
    ) -> Result<Ruling, SeamError> {
        let commands = seam::commands(&self.manifest, case, &decision)?;
        Ok(Ruling { commands, decision, gathered })
    }
}

/// Asks about all of `cases` in pages, each in a task of its own: an adapter that panics or hangs
/// takes nobody with it. An unreadable page is asked for again in halves.
async fn paged<C, T, F>(
    cases: &[C],
    time_limit: Duration,
    ask: impl Fn(Vec<C>) -> F,
) -> Vec<Result<T, SourceError>>
where
    C: Clone,
    T: Send + 'static,
    F: Future<Output = Result<Vec<Result<T, SourceError>>, SourceError>> + Send + 'static,
{
    let mut results: Vec<Option<Result<T, SourceError>>> = cases.iter().map(|_| None).collect();
    let deadline = Instant::now() + time_limit;
    let whole = 0..cases.len();
    let mut pages = Vec::from([whole]);
    while let Some(page) = pages.pop() {
        match in_time(ask(cases[page.clone()].to_vec()), deadline).await {
            Err(error) if error.class.may_be_one_case() && page.len() > 1 => {
                let middle = page.start + page.len() / 2;
                pages.extend([page.start..middle, middle..page.end]);
            }
            Err(error) => page.for_each(|place| results[place] = Some(Err(error))),
            Ok(answers) => {
                page.zip(answers).for_each(|(place, answer)| results[place] = Some(answer));
            }
        }
    }
    let no_answer = SourceError::new(SourceClass::Broken, "the adapter did not answer for a case");
    results.into_iter().map(|result| result.unwrap_or(Err(no_answer))).collect()
}

/// What a task answers until `deadline`. The task ends with this future.
async fn in_time<T: Send + 'static>(
    work: impl Future<Output = Result<T, SourceError>> + Send + 'static,
    deadline: Instant,
) -> Result<T, SourceError> {
    let mut task = JoinSet::new();
    task.spawn(work);
    match tokio::time::timeout_at(deadline, task.join_next()).await {
        Ok(Some(Ok(answer))) => answer,
        Ok(_) => Err(SourceError::new(SourceClass::Broken, "the adapter panicked as it gathered")),
        Err(_) => Err(SourceError::new(SourceClass::Timeout, "waiting for the adapter")),
    }
}
