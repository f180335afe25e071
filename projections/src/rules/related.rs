//! What a person looks at first: the one rule for links, in lists, details, timelines and on the
//! command line.

use runledger_ledger::run::Related;
use runledger_ledger::words::{Name, RunId};

use super::actionability::{Proof, Verdict};

/// The type of a thing that is a run of the same workspace.
const RUN: &str = "run";

/// Where a thing can be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leads {
    /// It is called a run of this workspace; whether there is one, the read models say.
    Run(RunId),
    /// Its id is an address of the web.
    Web(String),
    /// Nobody here knows where.
    Nowhere,
}

/// The thing to look at first: what a verdict rests on, or else what is `recorded`.
pub fn first(verdict: &Verdict, recorded: Option<&Related>) -> Option<Related> {
    of_proof(verdict.proof.as_ref()).or_else(|| recorded.cloned())
}

/// What a proof points at: the run that supersedes, or what an adapter relates.
pub fn of_proof(proof: Option<&Proof>) -> Option<Related> {
    match proof? {
        Proof::Run(run) => {
            let (id, kind) = (Name::new(run.to_string()).ok()?, Name::new(RUN).ok()?);
            Some(Related { id, kind })
        }
        Proof::Reconciliation { related, .. } => related.clone(),
        Proof::Observation { .. } | Proof::Operator { .. } | Proof::LateSignal => None,
    }
}

/// Where `thing` can be looked at.
pub fn leads(thing: &Related) -> Leads {
    let id = thing.id.as_str();
    if thing.kind.as_str() == RUN
        && let Ok(run) = id.parse()
    {
        return Leads::Run(run);
    }
    if is_web(id) { Leads::Web(id.to_owned()) } else { Leads::Nowhere }
}

/// Whether this is a plain address of the web. One that names a user before its host is none: it
/// reads as if it led elsewhere.
fn is_web(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
    let readable = |c: char| c.is_ascii_graphic() && !"\"'<>\\^`{|}".contains(c);
    host.chars().any(|c| c.is_ascii_alphanumeric())
        && host.chars().all(plain)
        && rest.chars().all(readable)
}

#[cfg(test)]
mod tests {
    use runledger_ledger::time::Moment;

    use super::*;
    use crate::rules::actionability::Actionability;

    fn thing(text: &str) -> Related {
        text.parse().unwrap()
    }

    #[test]
    fn a_run_and_an_address_are_links_and_everything_else_is_text() {
        let run = "0192a0f4-7bde-7c3a-8f51-0d6c9e41b7aa";
        assert_eq!(leads(&thing(&format!("run/{run}"))), Leads::Run(run.parse().unwrap()));
        let page = "https://reports.example:8443/7?a=b#c";
        assert_eq!(leads(&thing(&format!("report/{page}"))), Leads::Web(page.to_owned()));
        for text in [
            "run/7",
            "review/7",
            "page/javascript:alert(1)",
            "page/data:text/html,x",
            "page/https://",
            "page/https:///path",
            "page/https://good.example@evil.example/",
            "page/https://a.example/\"onclick",
            "page/ftp://a.example/x",
            "page///a.example/x",
        ] {
            assert_eq!(leads(&thing(text)), Leads::Nowhere, "{text}");
        }
    }

    #[test]
    fn what_proves_comes_before_what_is_recorded() {
        let recorded = thing("file/1");
        let verdict =
            |proof| Verdict { status: Actionability::ResolvedByCurrentState, reason: None, proof };
        let (name, at) = (Name::new("a").unwrap(), Moment::from_micros(0));
        let related = Some(thing("review/7"));
        let proven = Proof::Reconciliation { adapter: name.clone(), recorded_at: at, related };
        let by_run = Proof::Run("0192a0f4-7bde-7c3a-8f51-0d6c9e41b7aa".parse().unwrap());
        let by_person = Proof::Operator { by: name, note: None, recorded_at: at };
        for (proof, expected) in [
            (Some(proven), "review/7"),
            (Some(by_run), "run/0192a0f4-7bde-7c3a-8f51-0d6c9e41b7aa"),
            (Some(by_person), "file/1"),
            (None, "file/1"),
        ] {
            let found = first(&verdict(proof), Some(&recorded)).unwrap();
            assert_eq!(found.to_string(), expected);
        }
        assert_eq!(first(&verdict(None), None), None);
    }
}
