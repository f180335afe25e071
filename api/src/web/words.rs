//! The words of the frame: headings, buttons, numbers and times. What is said of runs, queues and
//! follow-ups is not here but in `runledger_projections::texts`.

use std::collections::HashMap;
use std::sync::LazyLock;

use i18n_embed::LanguageLoader;
use i18n_embed::fluent::{FluentLanguageLoader, fluent_language_loader};
use runledger_ledger::time::{Moment, Span};
use runledger_ledger::words::Outcome;
use runledger_projections::rules::guidance::Severity;
use runledger_projections::rules::queue::QueueVerdict;
use runledger_projections::texts::{Language, Texts};
use rust_embed::RustEmbed;

use super::assets;
use crate::lengths::{self, Unit};

/// The words of one language.
#[derive(Debug)]
pub(super) struct Words {
    language: Language,
    loader: FluentLanguageLoader,
}

#[derive(RustEmbed)]
#[folder = "i18n/"]
struct Messages;

impl Words {
    /// The words of this language, read once in a process.
    pub(super) fn of(language: Language) -> &'static Words {
        static ENGLISH: LazyLock<Words> = LazyLock::new(|| Words::new(Language::En));
        static GERMAN: LazyLock<Words> = LazyLock::new(|| Words::new(Language::De));
        match language {
            Language::En => &ENGLISH,
            Language::De => &GERMAN,
        }
    }

    fn new(language: Language) -> Words {
        let loader = fluent_language_loader!();
        let wanted = language.as_str().parse().map(|id| [id]);
        // The messages are part of the build and a test loads them, so neither can be met.
        let Ok(wanted) = wanted else { unreachable!("{language} is not a language tag") };
        if let Err(error) = loader.load_languages(&Messages, &wanted) {
            unreachable!("the words of {language} do not load: {error}");
        }
        loader.set_use_isolating(false);
        Words { language, loader }
    }

    /// Which language it is.
    pub(super) fn language(&self) -> Language {
        self.language
    }

    /// What standings say, in the same language.
    pub(super) fn texts(&self) -> &'static Texts {
        Texts::of(self.language)
    }

    /// The message `key`. A test holds every key that code and templates name against the messages.
    pub(super) fn say(&self, key: &str) -> String {
        self.loader.get(key)
    }

    /// The same of a message about one `$thing`.
    pub(super) fn say_of(&self, key: &str, thing: impl std::fmt::Display) -> String {
        self.loader.get_args(key, HashMap::from([("thing", thing.to_string())]))
    }

    /// The same of a message about one `$thing` and `$all` that there are of it.
    pub(super) fn say_among(
        &self,
        key: &str,
        thing: impl std::fmt::Display,
        all: impl std::fmt::Display,
    ) -> String {
        let args = HashMap::from([("thing", thing.to_string()), ("all", all.to_string())]);
        self.loader.get_args(key, args)
    }

    /// A count with its noun; the noun's message chooses its form by `$n`.
    pub(super) fn counted(&self, n: impl Into<u64>, noun: &str) -> String {
        let n = n.into();
        format!("{}\u{a0}{}", self.number(n), self.noun(n, noun))
    }

    /// The noun for so many.
    pub(super) fn noun(&self, n: impl Into<u64>, noun: &str) -> String {
        self.loader.get_args(noun, HashMap::from([("n", n.into())]))
    }

    /// A number, its thousands set apart as the language does.
    pub(super) fn number(&self, n: impl Into<u64>) -> String {
        let (digits, mut text) = (n.into().to_string(), String::new());
        let mark = match self.language {
            Language::En => ',',
            Language::De => '.',
        };
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                text.push(mark);
            }
            text.push(digit);
        }
        text
    }

    /// A moment in UTC as the language writes it: `2026-11-21 12:04:33`, `21.11.2026 12:04:33`.
    pub(super) fn utc(&self, moment: Moment) -> String {
        let text = utc(moment);
        let date: Vec<&str> = text.get(..10).unwrap_or_default().split('-').collect();
        match (self.language, date.as_slice()) {
            (Language::De, [year, month, day]) => {
                format!("{day}.{month}.{year}{}", text.get(10..).unwrap_or_default())
            }
            _ => text,
        }
    }

    /// The same without its seconds.
    pub(super) fn utc_short(&self, moment: Moment) -> String {
        let mut text = self.utc(moment);
        text.truncate(16);
        text
    }

    /// A length of time by its two largest units: `3 d 4 h`, `12 min 5 s`, `40 s`.
    pub(super) fn span(&self, span: Span) -> String {
        length(span, 2)
    }

    /// A moment as seen from `at`: how long ago it is, or how soon it comes.
    pub(super) fn ago(&self, at: Moment, moment: Moment) -> String {
        if moment > at {
            self.say_of("time-soon", self.brief(moment.since(at)))
        } else {
            self.say_of("time-ago", self.brief(at.since(moment)))
        }
    }

    /// A length of time by its largest unit.
    pub(super) fn brief(&self, span: Span) -> String {
        length(span, 1)
    }
}

fn length(span: Span, most: usize) -> String {
    let part = |(count, unit): (i64, Unit)| {
        let unit = match unit {
            Unit::Day => "d",
            Unit::Hour => "h",
            Unit::Minute => "min",
            Unit::Second => "s",
        };
        format!("{count}\u{a0}{unit}")
    };
    lengths::parts(span, most).into_iter().map(part).collect::<Vec<_>>().join(" ")
}

/// A moment in UTC as fields and programs take it: `2026-11-21 12:04:33`.
pub(super) fn utc(moment: Moment) -> String {
    let text = moment.to_string();
    text.get(..19).map_or(text.clone(), |text| text.replace('T', " "))
}

/// Every icon that [`icon`] and its siblings, or a template, can name.
#[cfg(test)]
pub(super) const ICONS: &[&str] = &[
    "overview",
    "follow-ups",
    "runs",
    "queues",
    "operations",
    "environments",
    "adapters",
    "log",
    "as-of",
    "check",
    "circle-check",
    "circle-x",
    "circle-alert",
    "alert",
    "circle-dashed",
    "circle-play",
    "circle-dot",
    "ban",
    "help",
    "sun",
    "moon",
    "auto",
    "language",
    "search",
    "right",
    "left",
    "arrow",
    "x",
    "reopen",
    "offline",
    "eye",
    "info",
    "keyboard",
    "sign-out",
    "hourglass",
    "superseded",
    "shield",
    "clock",
    "user",
    "half",
    "worker",
    "filter",
    "down",
    "octagon",
    "sparkles",
];

/// Where the icon called `name` is.
pub(super) fn icon(name: &str) -> String {
    format!("{}#{name}", assets::path("vendor/icons-1.62.0.svg"))
}

/// The icon of how loud something is.
pub(super) fn severity_icon(severity: Severity) -> &'static str {
    match severity {
        Severity::Calm => "circle-play",
        Severity::Notice => "info",
        Severity::Warning => "alert",
        Severity::Attention => "octagon",
        Severity::Done => "check",
    }
}

/// The icon of a recorded outcome. It says nothing of what is to be done.
pub(super) fn outcome_icon(outcome: Outcome) -> &'static str {
    match outcome.as_str() {
        "pending" => "circle-dashed",
        "succeeded" => "circle-check",
        "partially_succeeded" => "half",
        "cancelled" => "ban",
        "unknown" => "help",
        "blocked" => "hourglass",
        _ => "circle-x",
    }
}

/// The icon of the verdict on a queue: no two have the same.
pub(super) fn queue_icon(verdict: QueueVerdict) -> &'static str {
    match verdict {
        QueueVerdict::Empty => "check",
        QueueVerdict::NoWorker => "worker",
        QueueVerdict::Stalled => "octagon",
        QueueVerdict::Slow => "hourglass",
        QueueVerdict::Moving => "circle-play",
        QueueVerdict::Unknown => "help",
    }
}

/// How loud the verdict on a queue is: as loud as what a run is told that waits in it, in time.
pub(super) fn queue_severity(verdict: QueueVerdict) -> Severity {
    use runledger_projections::rules::actionability::Actionability;
    use runledger_projections::rules::freshness::Freshness;
    use runledger_projections::rules::guidance::guidance;
    use runledger_projections::rules::progress::ProgressKind;
    if verdict == QueueVerdict::Empty {
        return Severity::Done;
    }
    let waiting = guidance(
        Freshness::FreshQueued,
        Some(verdict),
        ProgressKind::None,
        Actionability::NotTerminal,
        Outcome::Pending,
        false,
    );
    waiting.severity
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    const SOURCES: [(Language, &str); 2] = [
        (Language::En, include_str!("../../i18n/en/web.ftl")),
        (Language::De, include_str!("../../i18n/de/web.ftl")),
    ];

    fn keys(source: &str) -> BTreeSet<&str> {
        let lines = source.lines().filter(|line| line.starts_with(char::is_alphabetic));
        lines.filter_map(|line| line.split_once(" =")).map(|(key, _)| key).collect()
    }

    /// The templates, and the code beside this file.
    fn sources() -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files: Vec<PathBuf> = Vec::new();
        for directory in ["templates", "src/web"] {
            let read = std::fs::read_dir(root.join(directory)).unwrap();
            files.extend(read.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()));
        }
        files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
    }

    /// Every text in quotes.
    fn named() -> BTreeSet<String> {
        let sources = sources();
        sources.iter().flat_map(|text| text.split('"').skip(1)).map(str::to_owned).collect()
    }

    /// Every message that is said by its name.
    fn said() -> BTreeSet<String> {
        let sources = sources();
        let calls = ["say(\"", "say_of(\""];
        let said = sources
            .iter()
            .flat_map(|text| calls.iter().flat_map(move |call| text.split(call).skip(1)));
        said.filter_map(|rest| rest.split_once('"')).map(|(key, _)| key.to_owned()).collect()
    }

    #[test]
    fn both_languages_have_the_same_messages_and_nothing_is_said_that_is_not_there() {
        let [en, de] = SOURCES.map(|(_, source)| keys(source));
        assert_eq!(en, de);
        let named = named();
        let unused: Vec<_> = en.iter().filter(|key| !named.contains(**key)).collect();
        assert!(unused.is_empty(), "nobody says {unused:?}");
        // Messages that code names apart from saying them begin with one of these.
        const CHOSEN: [&str; 5] = ["event-", "facet-", "sign-in-", "timeline-", "unit-"];
        let chosen = named.iter().filter(|text| CHOSEN.iter().any(|one| text.starts_with(one)));
        let is_key = |text: &str| {
            !text.ends_with('-') && text.chars().all(|c| c.is_ascii_lowercase() || c == '-')
        };
        let chosen = chosen.filter(|text| is_key(text) && !CLASSES.contains(&text.as_str()));
        let said = said();
        assert!(said.len() > 100, "only {said:?} are said");
        let missing: Vec<_> =
            said.iter().chain(chosen).filter(|key| !en.contains(key.as_str())).collect();
        assert!(missing.is_empty(), "no message {missing:?}");
    }

    /// Words of how something stands: they belong to `runledger_projections::texts`, where one
    /// function chooses among them.
    const OF_STATES: [(Language, &[&str]); 2] = [
        (
            Language::En,
            &[
                "overdue",
                "stale",
                "silent",
                "in time",
                "superseded",
                "made good",
                "healthy",
                "needs a person",
                "need a person",
                "nothing is left",
                "needs action",
                "succeeded",
                "failed",
                "blocked",
                "is late",
                "has died",
                "resolved by",
            ],
        ),
        (
            Language::De,
            &[
                "überfällig",
                "schwieg",
                "in der frist",
                "ersetzt",
                "behoben",
                "in gutem zustand",
                "braucht eine person",
                "eine person brauchen",
                "nichts mehr zu tun",
                "erfolgreich",
                "fehlgeschlagen",
                "blockiert",
                "zu spät",
            ],
        ),
    ];

    #[test]
    fn the_frame_has_no_wording_about_states() {
        for ((language, source), (_, words)) in SOURCES.into_iter().zip(OF_STATES) {
            // What the server itself refuses, what an event says, and what an adapter found
            // elsewhere, is no state of a run.
            let lines = source.lines().filter(|line| {
                !["#", "fault-", "event-", "sign-in-", "adapter-code-"]
                    .iter()
                    .any(|start| line.starts_with(start))
            });
            for line in lines {
                let text = line.to_lowercase();
                let found = words.iter().find(|word| text.contains(**word));
                assert!(found.is_none(), "{language}: {line}");
            }
        }
    }

    #[test]
    fn templates_hold_no_words_of_their_own() {
        // Names of the product, of a clock and of a keyboard, and units.
        const NAMES: [&str; 14] = [
            "Runledger",
            "UTC",
            "EN",
            "DE",
            "English",
            "Deutsch",
            "p50",
            "p95",
            "h",
            "d",
            "v",
            "nbsp",
            "thinsp",
            "Enter",
        ];
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        for entry in std::fs::read_dir(root).unwrap() {
            let file = entry.unwrap().path();
            let text = literal(&std::fs::read_to_string(&file).unwrap());
            let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| {
                word.chars().any(char::is_alphabetic)
                    && !NAMES.contains(word)
                    && word.chars().count() > 1
            });
            let words: Vec<_> = words.collect();
            assert!(words.is_empty(), "{} says {words:?}", file.display());
        }
    }

    /// What a template shows as it stands there: without expressions, statements and tags.
    fn literal(template: &str) -> String {
        let mut text = template.to_owned();
        for (open, close) in [("{#", "#}"), ("{%", "%}"), ("{{", "}}"), ("<", ">")] {
            let mut rest = text.as_str();
            let mut kept = String::new();
            while let Some((before, after)) = rest.split_once(open) {
                kept.push_str(before);
                kept.push(' ');
                rest = after.split_once(close).map_or("", |(_, after)| after);
            }
            kept.push_str(rest);
            text = kept;
        }
        text
    }

    /// Classes of elements that begin like messages.
    const CLASSES: &[&str] =
        &["facet-count", "facet-follow-up", "facet-label", "facet-more", "facet-rest"];

    #[test]
    fn numbers_and_times_are_said_as_the_language_does() {
        let [en, de] = [Words::of(Language::En), Words::of(Language::De)];
        assert_eq!((en.number(7_u64), en.number(1_234_567_u64)), ("7".into(), "1,234,567".into()));
        assert_eq!(de.number(1_234_567_u64), "1.234.567");
        let span = |seconds| en.span(Span::from_secs(seconds)).replace('\u{a0}', " ");
        assert_eq!([span(0), span(40), span(725)], ["0 s", "40 s", "12 min 5 s"]);
        assert_eq!([span(3_600), span(97_205), span(-5)], ["1 h", "1 d 3 h", "0 s"]);
        let at = Moment::from_micros(1_767_225_600_000_000);
        let ago = |w: &Words, seconds: i64| {
            w.ago(at, Moment::from_micros(at.micros() + seconds * 1_000_000))
        };
        assert_eq!(ago(en, -130).replace('\u{a0}', " "), "2 min ago");
        assert_eq!(ago(de, -130).replace('\u{a0}', " "), "vor 2 min");
        assert_eq!(ago(en, 60).replace('\u{a0}', " "), "in 1 min");
        assert_eq!(en.utc(at), "2026-01-01 00:00:00");
        assert_eq!([en, de].map(|w| w.utc_short(at)), ["2026-01-01 00:00", "01.01.2026 00:00"]);
    }
}
