//! Plays a script against the demo's own server, over HTTP.

use std::collections::HashMap;

use anyhow::bail;
use runledger_ledger::clock::Entropy;
use runledger_ledger::ledger::Ledger;
use runledger_ledger::run::{AdapterDecision, Fields, Reconcile, Related, RunCommand};
use runledger_ledger::submission::{Answer, Command, Submission};
use runledger_ledger::time::Moment;
use runledger_ledger::words::{Name, RunId, WorkspaceId};
use serde_json::{Map, Value, json};

use super::clockwork::{Clockwork, until};
use super::script::{Call, Event, Finding, Lineage, Step};
use crate::client::{Ask, Client, JSON, NDJSON};

/// Who plays.
#[derive(Debug)]
pub(super) struct Player {
    client: Client,
    clockwork: Clockwork,
    ledger: Ledger,
    workspace: WorkspaceId,
    /// The name of the workspace.
    name: String,
    entropy: Entropy,
    runs: HashMap<String, RunId>,
}

impl Player {
    /// A player who speaks to the server of `ledger` through `client`.
    pub(super) fn new(
        client: Client,
        clockwork: Clockwork,
        ledger: Ledger,
        workspace: WorkspaceId,
        name: String,
        entropy: Entropy,
    ) -> Self {
        Player { client, clockwork, ledger, workspace, name, entropy, runs: HashMap::new() }
    }

    /// Lets the server's time become the present.
    pub(super) async fn arrive(&self) -> anyhow::Result<()> {
        self.clockwork.arrive(&self.ledger).await
    }

    /// The run of a label.
    pub(super) fn run(&self, label: &str) -> Option<RunId> {
        self.runs.get(label).copied()
    }

    /// Plays all of it, minute by minute. `played` is told how many steps of how many are done.
    pub(super) async fn play(
        &mut self,
        steps: Vec<Step>,
        played: &(dyn Fn(u64, u64) + Sync),
    ) -> anyhow::Result<()> {
        let all = u64::try_from(steps.len())?;
        let mut steps = steps.into_iter().peekable();
        let mut count = 0;
        while let Some(step) = steps.next() {
            let moment = self.clockwork.moment(step.at);
            self.clockwork.pass_to(&self.ledger, moment).await?;
            count += 1;
            let Call::Event(event) = step.call else {
                self.call(step.call, moment).await?;
                played(count, all);
                continue;
            };
            // Events of one minute that follow each other go in one request.
            let mut events = vec![event];
            while let Some(next) =
                steps.next_if(|next| next.at == step.at && matches!(next.call, Call::Event(_)))
            {
                count += 1;
                if let Call::Event(event) = next.call {
                    events.push(event);
                }
            }
            self.events(events).await?;
            played(count, all);
        }
        Ok(())
    }

    async fn call(&mut self, call: Call, moment: Moment) -> anyhow::Result<()> {
        match call {
            Call::Event(event) => self.events(vec![event]).await,
            Call::Lineage(event) => self.lineage(event, moment).await,
            Call::FollowUp { run, body } => {
                let run = self.id(&run)?.to_string();
                self.post(&["runs", &run, "follow-up"], JSON, body.to_string()).await.map(drop)
            }
            Call::Observe { kind, id, body } => {
                let path = ["subjects", kind, id, "observations"];
                self.post(&path, JSON, body.to_string()).await.map(drop)
            }
            Call::Decide(finding) => self.decide(&finding, moment).await,
            Call::UntilGivenUp { run } => self.until_given_up(&run).await,
        }
    }

    /// Sends native events, one a line.
    async fn events(&mut self, events: Vec<Event>) -> anyhow::Result<()> {
        let mut lines = String::new();
        for event in events {
            lines.push_str(&self.line(event)?.to_string());
            lines.push('\n');
        }
        let answer = self.post(&["events"], NDJSON, lines).await?;
        let answer: Value = serde_json::from_str(&answer)?;
        let refused = |status: &str| answer["summary"][status] != json!(0);
        if refused("refused") || refused("conflict") {
            bail!("the demo's server did not take an event of the demo: {answer}");
        }
        Ok(())
    }

    fn line(&mut self, event: Event) -> anyhow::Result<Value> {
        let mut data = event.data;
        for reference in ["parent_run_id", "retry_of"] {
            if let Some(label) = data.get(reference).and_then(Value::as_str).map(str::to_owned) {
                let run = self.id(&label)?;
                data.insert(reference.to_owned(), json!(run));
            }
        }
        let mut line = Map::new();
        line.insert("type".to_owned(), json!(event.kind));
        line.insert("source".to_owned(), json!(event.source));
        line.insert("data".to_owned(), Value::Object(data));
        if let Some(label) = &event.run {
            line.insert("run_id".to_owned(), json!(self.id(label)?));
        }
        if let Some(minutes) = event.occurred {
            let occurred = self.clockwork.moment(minutes).to_string();
            line.insert("occurred_at".to_owned(), json!(occurred));
        }
        Ok(Value::Object(line))
    }

    /// Sends an OpenLineage event, as its clients do.
    async fn lineage(&mut self, event: Lineage, moment: Moment) -> anyhow::Result<()> {
        const SPEC: &str = "https://openlineage.io/spec";
        const PRODUCER: &str =
            "https://github.com/OpenLineage/OpenLineage/tree/1.54.0/integration/dbt";
        let mut facets = Map::new();
        if let Some(message) = event.message {
            let facet = json!({ "_producer": PRODUCER,
                "_schemaURL": format!("{SPEC}/facets/1-0-1/ErrorMessageRunFacet.json"),
                "message": message, "programmingLanguage": "SQL" });
            facets.insert("errorMessage".to_owned(), facet);
        }
        let body = json!({
            "eventType": event.kind,
            "eventTime": moment.to_string(),
            "producer": PRODUCER,
            "schemaURL": format!("{SPEC}/2-0-2/OpenLineage.json"),
            "run": { "runId": self.id(&event.run)?, "facets": facets },
            "job": { "namespace": "warehouse", "name": event.job },
        });
        let ask = Ask { path: &["api", "v1", "lineage"], query: &[] };
        self.client.post(ask, JSON, body.to_string()).await?;
        Ok(())
    }

    /// Adapters work inside the server and not over HTTP: what one found goes the way that the
    /// findings of all adapters go, as `Reconcile` to the one write seam.
    async fn decide(&mut self, finding: &Finding, moment: Moment) -> anyhow::Result<()> {
        let (kind, id) = finding.related;
        let reconcile = Reconcile {
            adapter: Name::new("environment.review.compose")?,
            adapter_version: 1,
            decision: AdapterDecision::Succeeded,
            evaluated_at: moment,
            evidence: Fields::new(),
            expected_events: None,
            reason_code: Name::new(finding.reason)?,
            related: Some(Related { id: Name::new(id)?, kind: Name::new(kind)? }),
        };
        let command = RunCommand::Reconcile(Box::new(reconcile));
        let command = Command::Run(self.id(&finding.run)?, command);
        let answers =
            self.ledger.submit(self.workspace, vec![Submission::new(command)], false).await?;
        match answers.first() {
            Some(Answer::Recorded(_)) => Ok(()),
            other => bail!("the finding about {} was answered with {other:?}", finding.run),
        }
    }

    /// Waits until the server has given a silent run up by itself.
    async fn until_given_up(&mut self, run: &str) -> anyhow::Result<()> {
        let id = self.id(run)?.to_string();
        let given_up = async || {
            let answer = self.get(&["runs", &id], &[]).await?;
            let run: Value = serde_json::from_str(&answer)?;
            let reconciled = run["now"]["freshness"] == json!("reconciled_terminal");
            Ok(reconciled.then_some(()))
        };
        until(given_up, &format!("giving up {run}")).await
    }

    /// The position of the last event.
    pub(super) async fn last_position(&self) -> anyhow::Result<u64> {
        let head = self.ledger.store().head(self.workspace).await?;
        Ok(head.map_or(0, |head| head.size().saturating_sub(1)))
    }

    /// What the server answers to a question about the workspace.
    pub(super) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> anyhow::Result<String> {
        let mut whole = vec!["v1", "workspaces", &self.name];
        whole.extend(path);
        Ok(self.client.get(Ask { path: &whole, query }).await?)
    }

    async fn post(
        &self,
        path: &[&str],
        kind: &'static str,
        body: String,
    ) -> anyhow::Result<String> {
        let mut whole = vec!["v1", "workspaces", &self.name];
        whole.extend(path);
        Ok(self.client.post(Ask { path: &whole, query: &[] }, kind, body).await?)
    }

    /// The run of a label; a new one for a new label.
    fn id(&mut self, label: &str) -> anyhow::Result<RunId> {
        if let Some(run) = self.run(label) {
            return Ok(run);
        }
        let run = RunId(self.entropy.uuid_v7(self.ledger.now())?);
        self.runs.insert(label.to_owned(), run);
        Ok(run)
    }
}
