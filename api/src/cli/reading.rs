//! What all commands that read from a server have in common: which server, which moment, which
//! language, and for whom the answer is.

use anyhow::Context;
use clap::builder::PossibleValuesParser;
use runledger_ledger::clock::Clock;
use runledger_ledger::time::{Moment, Span};
use runledger_projections::texts::{Language, Texts};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::connection::{Connected, Connection};
use super::{Unusable, output};

/// How an answer is asked for and shown.
#[derive(Debug, clap::Args)]
pub(super) struct Reading {
    /// As it was then: a time (2026-01-31T12:00:00Z), how long ago (90m, 6h, 2d), or a position of
    /// the log
    #[arg(long, value_name = "WHEN")]
    as_of: Option<String>,
    /// Wait until the event at this position counts: what you have just written
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
    /// The language of sentences [env: RUNLEDGER_LANG] [default: en]
    #[arg(long, value_name = "LANGUAGE", value_parser = words(Language::ALL.iter().map(|l| l.as_str())))]
    lang: Option<String>,
    /// The server's answer as it came, for programs
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// A server that is ready to be asked, and how.
#[derive(Debug)]
pub(super) struct Reader {
    /// Whom.
    pub(super) connected: Connected,
    /// The texts for what has no sentence in an answer.
    pub(super) texts: &'static Texts,
    json: bool,
    common: Query,
}

/// The query of a request.
pub(super) type Query = Vec<(&'static str, String)>;

impl Reading {
    /// Finds the server and the workspace.
    pub(super) async fn begin(&self) -> anyhow::Result<Reader> {
        let language = self.language()?;
        let mut common = Query::new();
        if let Some(when) = &self.as_of {
            common.push(("as_of", moment(when, "--as-of", &Clock::system())?));
        }
        if let Some(position) = self.after {
            common.push(("after", position.to_string()));
        }
        let connected = self.connection.connect(Some(language.as_str())).await?;
        Ok(Reader { connected, texts: Texts::of(language), json: self.json, common })
    }

    fn language(&self) -> anyhow::Result<Language> {
        let set = std::env::var("RUNLEDGER_LANG").ok().filter(|text| !text.is_empty());
        let Some(text) = self.lang.clone().or(set) else { return Ok(Language::En) };
        let unknown = |error| anyhow::Error::new(Unusable(format!("the language {error}")));
        text.parse().map_err(unknown)
    }
}

impl Reader {
    /// The server's answer. None if it was for a program, and has been given to it.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: Query,
    ) -> anyhow::Result<Option<T>> {
        let text = self.text(path, query).await?;
        if self.json {
            output::body(&text);
            return Ok(None);
        }
        read(&text).map(Some)
    }

    /// The server's answer, whoever it is for.
    pub(super) async fn look<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: Query,
    ) -> anyhow::Result<T> {
        read(&self.text(path, query).await?)
    }

    /// The same as text.
    pub(super) async fn text(&self, path: &[&str], mut query: Query) -> anyhow::Result<String> {
        query.extend(self.common.iter().cloned());
        self.connected.get(path, &query).await
    }
}

/// Adds what is given to a query.
pub(super) fn push(
    query: &mut Query,
    name: &'static str,
    value: Option<&(impl ToString + ?Sized)>,
) {
    if let Some(value) = value {
        query.push((name, value.to_string()));
    }
}

/// The words that a flag takes, for its help and for refusing others.
pub(super) fn words(words: impl Iterator<Item = &'static str>) -> PossibleValuesParser {
    PossibleValuesParser::new(words.collect::<Vec<_>>())
}

/// A moment as the server reads it; `6h` is six hours ago, and a number is a position of the log.
pub(super) fn moment(text: &str, flag: &str, clock: &Clock) -> anyhow::Result<String> {
    if let Ok(ago) = text.parse::<Span>() {
        return Ok(Moment::from_micros(clock.now().micros() - ago.micros()).to_string());
    }
    let checkpoint = text.starts_with("size:") || text.starts_with("root:");
    if checkpoint || text.parse::<u64>().is_ok() || text.parse::<Moment>().is_ok() {
        return Ok(text.to_owned());
    }
    Err(anyhow::Error::new(Unusable(format!(
        "{flag} {text:?} is no moment; write a time such as 2026-01-31T12:00:00Z, or how long ago: \
         90m, 6h, 2d"
    ))))
}

/// Reads a moment of an answer, for `#[serde(deserialize_with = …)]`.
pub(super) fn rfc3339<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Moment, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

fn read<T: DeserializeOwned>(text: &str) -> anyhow::Result<T> {
    serde_json::from_str(text).context(
        "the server's answer cannot be understood; it may be of another version than this program \
         (--json shows the answer as it came)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_ago_becomes_a_time_and_what_is_no_moment_is_refused() {
        let clock = Clock::manual(Moment::from_micros(1_767_225_600_000_000));
        let moment = |text| moment(text, "--since", &clock);
        assert_eq!(moment("6h").unwrap(), "2025-12-31T18:00:00Z");
        for text in ["17", "2026-01-01T00:00:00Z"] {
            assert_eq!(moment(text).unwrap(), text);
        }
        assert!(moment("yesterday").unwrap_err().is::<Unusable>());
    }
}
