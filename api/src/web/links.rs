//! Links: every page has its whole state in its address.

use std::fmt::Display;

use runledger_ledger::time::Moment;
use runledger_projections::{OldestItem, PageRequest};

use super::said::{Count, Given};
use super::shell::Shell;

impl Shell {
    /// A page of the workspace that keeps environment and moment: `queues`, `runs?queue=x`.
    /// A part of it is named at the end: `#stale`.
    pub(super) fn to(&self, page: &str) -> String {
        self.to_of(&self.workspace, page, self.environment.as_deref())
    }

    /// The same of another workspace, which has environments of its own.
    pub(super) fn to_other(&self, workspace: &str, page: &str) -> String {
        self.to_of(workspace, page, None)
    }

    /// What left the list of another workspace since a moment.
    pub(super) fn left_in(&self, workspace: &str, since: impl Given<Moment>) -> String {
        let since = encode(&since.given().to_string());
        self.to_other(workspace, &format!("runs?left_since={since}"))
    }

    /// What was dispatched in another workspace since a moment.
    pub(super) fn since_in(&self, workspace: &str, since: impl Given<Moment>) -> String {
        let since = encode(&since.given().to_string());
        self.to_other(workspace, &format!("runs?since={since}"))
    }

    /// A run of another workspace.
    pub(super) fn run_in(&self, workspace: &str, run: impl Display) -> String {
        self.to_other(workspace, &format!("runs/{run}"))
    }

    /// The things to do of another workspace that one of them is among.
    pub(super) fn open_in(&self, workspace: &str, item: &OldestItem) -> String {
        let (operation, environment) = (encode(&item.operation), encode(&item.environment));
        let page =
            format!("follow-ups?operation={operation}&environment={environment}&sort=oldest");
        self.to_other(workspace, &page)
    }

    /// Signing in, and back to this page.
    pub(super) fn sign_in_again(&self) -> String {
        format!("/sign-in?next={}", encode(&self.here))
    }

    /// All workspaces, at the moment of this page.
    pub(super) fn all_workspaces(&self) -> String {
        match self.as_of {
            Some(_) => format!("/w?as_of={}", encode(&self.at.to_string())),
            None => "/w".to_owned(),
        }
    }

    /// A page about one queue, which spans environments.
    pub(super) fn queue_page(
        &self,
        page: &str,
        connection: &Option<impl Display>,
        queue: impl Display,
    ) -> String {
        let connection = connection.as_ref().map(ToString::to_string).unwrap_or_default();
        let joint = if page.contains('?') { '&' } else { '?' };
        let (queue, connection) = (encode(&queue.to_string()), encode(&connection));
        let page = format!("{page}{joint}queue={queue}&connection={connection}");
        self.to_of(&self.workspace, &page, None)
    }

    fn to_of(&self, workspace: &str, page: &str, environment: Option<&str>) -> String {
        let (page, part) = page.split_at(page.find('#').unwrap_or(page.len()));
        let (page, query) = page.split_once('?').unwrap_or((page, ""));
        let mut url = format!("/w/{workspace}");
        if !page.is_empty() {
            url = format!("{url}/{page}");
        }
        let kept = [("environment", environment), ("as_of", self.as_of.as_deref())];
        let kept =
            kept.iter().filter(|(kept, _)| !query.split('&').any(|pair| name(pair) == *kept));
        let kept = kept.filter_map(|(name, value)| Some(format!("{name}={}", encode((*value)?))));
        let pairs: Vec<String> =
            kept.chain(Some(query.to_owned()).filter(|query| !query.is_empty())).collect();
        let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
        format!("{url}{query}{part}")
    }

    /// The same with one parameter, whatever is in it.
    pub(super) fn to_with(&self, page: &str, name: &str, value: impl std::fmt::Display) -> String {
        let joint = if page.contains('?') { '&' } else { '?' };
        self.to(&format!("{page}{joint}{name}={}", encode(&value.to_string())))
    }

    /// The same of what was dispatched since a moment.
    pub(super) fn since(
        &self,
        page: &str,
        name: &str,
        value: impl std::fmt::Display,
        since: impl Given<Moment>,
    ) -> String {
        let since = encode(&since.given().to_string());
        self.to_with(&format!("{page}?since={since}"), name, value)
    }

    /// What left the list of what needs a person this way since a moment.
    pub(super) fn left(
        &self,
        page: &str,
        status: impl std::fmt::Display,
        since: impl Given<Moment>,
    ) -> String {
        let since = encode(&since.given().to_string());
        self.to(&format!("{page}?actionability={status}&left_since={since}"))
    }

    /// The same of what was dispatched before a moment.
    pub(super) fn until(
        &self,
        page: &str,
        name: &str,
        value: impl std::fmt::Display,
        until: impl Given<Moment>,
    ) -> String {
        let until = encode(&until.given().to_string());
        self.to_with(&format!("{page}?until={until}"), name, value)
    }

    /// The page of a run.
    pub(super) fn run(&self, run: impl std::fmt::Display) -> String {
        self.to(&format!("runs/{run}"))
    }

    /// What a form on the page of a run is sent to.
    pub(super) fn run_action(&self, run: impl std::fmt::Display, action: &str) -> String {
        format!("/w/{}/runs/{run}/{action}", self.workspace)
    }

    /// The event at a position, in the log.
    pub(super) fn event(&self, position: impl Count) -> String {
        let position = position.count();
        format!("{}#event-{position}", self.to_with("log", "before", position.saturating_add(1)))
    }

    /// The overview of an environment.
    pub(super) fn environment_link(&self, name: &str) -> String {
        self.to(&format!("?environment={}", encode(name)))
    }

    /// A page of an environment; the empty name is the workspace's own runs.
    pub(super) fn within(&self, environment: &str, page: &str) -> String {
        let (page, part) = page.split_at(page.find('#').unwrap_or(page.len()));
        format!("{}{part}", self.to_with(page, "environment", environment))
    }

    /// The same, narrowed to a family.
    pub(super) fn within_family(&self, environment: &str, page: &str, family: &str) -> String {
        let joint = if page.contains('?') { '&' } else { '?' };
        self.within(environment, &format!("{page}{joint}family={}", encode(family)))
    }

    /// A page that asks for what this one does, and for something else, and leads back here.
    pub(super) fn to_query(&self, page: &str, query: &str) -> String {
        let kept = self.carried(&["limit", "sort", "as_of"]);
        let kept = kept.iter().map(|(name, value)| format!("{name}={}", encode(value)));
        let back = format!("back={}", encode(&self.here));
        let pairs: Vec<String> = kept.chain([query.to_owned(), back]).collect();
        self.to(&format!("{page}?{}", pairs.join("&")))
    }

    /// This page with one parameter changed, from its beginning.
    pub(super) fn refine(&self, name: &str, value: impl std::fmt::Display) -> String {
        let value = value.to_string();
        self.here_with(&[(name, Some(value.as_str()))])
    }

    /// This page without one of its parameters, from its beginning.
    pub(super) fn without(&self, name: &str) -> String {
        self.here_with(&[(name, None)])
    }

    /// This page between two moments.
    pub(super) fn between(&self, page: &str, since: &Moment, until: &Moment) -> String {
        let (since, until) = (since.to_string(), until.to_string());
        self.to(&format!("{page}?since={}&until={}", encode(&since), encode(&until)))
    }

    /// This page as of so many seconds before its moment.
    pub(super) fn earlier(&self, seconds: i64) -> String {
        let moment = Moment::from_micros(self.at.micros() - seconds * 1_000_000).to_string();
        let moment = moment.get(..19).map_or(moment.clone(), |text| format!("{text}Z"));
        match self.workspace.is_empty() {
            true => format!("/w?as_of={}", encode(&moment)),
            false => self.here_with(&[("as_of", Some(&moment))]),
        }
    }

    /// This page with some of its parameters changed, from its beginning.
    pub(super) fn here_with(&self, changes: &[(&str, Option<&str>)]) -> String {
        let kept = self.query.iter().filter(|(name, _)| {
            name != "cursor" && !changes.iter().any(|(changed, _)| changed == name)
        });
        let kept = kept.map(|(name, value)| (name.as_str(), value.as_str()));
        let set = changes.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
        let pairs: Vec<String> =
            kept.chain(set).map(|(name, value)| format!("{name}={}", encode(value))).collect();
        match pairs.as_slice() {
            [] => self.path.clone(),
            pairs => format!("{}?{}", self.path, pairs.join("&")),
        }
    }

    /// What a form that narrows this page further must carry, beside what it asks itself.
    pub(super) fn carried<'a>(&'a self, own: &[&str]) -> Vec<(&'a str, &'a str)> {
        let kept =
            self.query.iter().filter(|(name, _)| name != "cursor" && !own.contains(&name.as_str()));
        kept.map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// What this list is narrowed by, as a query.
    pub(super) fn filters(&self) -> String {
        let pairs = self.carried(&["as_of", "cursor", "limit"]).into_iter();
        let pairs: Vec<String> =
            pairs.map(|(name, value)| format!("{name}={}", encode(value))).collect();
        pairs.join("&")
    }

    /// Has a list show so many at most, and as many where none are asked for. Says how many were, if
    /// those are more.
    pub(super) fn at_most(&self, most: u16, request: &mut PageRequest) -> Option<u16> {
        let asked = request.limit;
        let given = !self.chosen("limit").is_empty();
        request.limit = if given { asked.min(most) } else { most };
        (given && asked > most).then_some(asked)
    }

    /// The value of a parameter of this page.
    pub(super) fn chosen(&self, name: &str) -> &str {
        let pair = self.query.iter().find(|(key, _)| key == name);
        pair.map_or("", |(_, value)| value.as_str())
    }

    /// Whether this page has a parameter, be it empty.
    pub(super) fn asks(&self, name: &str) -> bool {
        self.query.iter().any(|(key, _)| key == name)
    }

    /// Whether a parameter of this page has this value.
    pub(super) fn is_chosen(&self, name: &str, value: &str) -> bool {
        self.query.iter().any(|(key, chosen)| key == name && chosen == value)
    }
}

/// `text` as a part of a URL's query.
pub(super) fn encode(text: &str) -> String {
    use std::fmt::Write;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b':' => {
                encoded.push(char::from(byte));
            }
            // Writing to a string does not fail.
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

/// The name of a pair of a query.
pub(super) fn name(pair: &str) -> &str {
    pair.split('=').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use runledger_projections::texts::Language;

    use super::*;

    #[test]
    fn a_text_in_an_address_stays_one_part_of_it() {
        assert_eq!(encode("a b&c=ä/7"), "a%20b%26c%3D%C3%A4/7");
    }

    #[test]
    fn a_link_to_a_part_of_a_page_keeps_moment_and_environment_before_it() {
        let run = "0195f3c0-0000-7000-8000-000000000001";
        let mut shell = Shell::sample(Language::En, Moment::from_micros(1), run);
        (shell.environment, shell.as_of) = (Some("prod".to_owned()), None);
        assert_eq!(shell.to("#stale"), "/w/main?environment=prod#stale");
        assert_eq!(shell.to("runs?queue=x#top"), "/w/main/runs?environment=prod&queue=x#top");
    }
}
