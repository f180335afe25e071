//! What a person is told of a parameter that cannot be taken: which one, what was given, and what it
//! takes, in their language.

use super::words::Words;
use crate::problem::{Parameter, Takes};

/// Two sentences: what is wrong with which parameter, and what it takes.
pub(super) fn lines(w: &Words, parameter: &Parameter) -> Vec<String> {
    let Parameter { name, given, takes } = parameter;
    let wrong = match (takes, given) {
        (Takes::Unknown(_), _) => w.say_of("parameter-unknown", name),
        (Takes::Once, _) => w.say_of("parameter-twice", name),
        (_, Some(given)) => w.say_among("parameter-wrong", name, given),
        (_, None) => w.say_of("parameter-missing", name),
    };
    std::iter::once(wrong).chain(taken(w, name, takes)).collect()
}

fn taken(w: &Words, name: &str, takes: &Takes) -> Option<String> {
    Some(match takes {
        Takes::Unknown(known) if known.is_empty() => return None,
        Takes::Unknown(known) => w.say_of("parameter-known", known.join(", ")),
        Takes::Words(words) => w.say_of("parameter-words", words.join(", ")),
        Takes::Moment if name == "as_of" => w.say("parameter-as-of"),
        Takes::Moment => w.say("parameter-moment"),
        Takes::Number(None) => w.say("parameter-number"),
        Takes::Number(Some(most)) => w.say_of("parameter-number-to", w.number(*most)),
        Takes::After(other) => w.say_of("parameter-after", other),
        Takes::Subject => w.say("parameter-subject"),
        Takes::Text => w.say("parameter-text"),
        Takes::Once => w.say("parameter-once"),
    })
}
