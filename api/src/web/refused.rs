//! What a person is told of a parameter that cannot be taken: which one, what was given, and what it
//! takes, in their language.

use super::words::Words;
use crate::problem::{Parameter, Takes};

/// Two sentences: what is wrong with which parameter, and what it takes.
pub(super) fn lines(w: &Words, parameter: &Parameter) -> Vec<String> {
    let Parameter { name, given, takes } = parameter;
    let (name, given) = (&visible(name), given.as_deref().map(visible));
    let wrong = match (takes, given) {
        (Takes::Unknown(_), _) => w.say_of("parameter-unknown", name),
        (Takes::Once, _) => w.say_of("parameter-twice", name),
        (_, Some(given)) => w.say_among("parameter-wrong", name, &given),
        (_, None) => w.say_of("parameter-missing", name),
    };
    std::iter::once(wrong).chain(taken(w, name, takes)).collect()
}

/// A text with a sign for what cannot be seen: `␀` for the character 0, `⟨U+202E⟩` for one that turns
/// the direction of what follows.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\0'..='\u{1f}' => shown.extend(char::from_u32(0x2400 + u32::from(letter))),
            '\u{7f}' => shown.push('␡'),
            letter if letter.is_control() || is_unseen(letter) => {
                shown.push_str(&format!("⟨U+{:04X}⟩", u32::from(letter)));
            }
            letter => shown.push(letter),
        }
    }
    shown
}

/// What has no width, or moves what stands around it.
const fn is_unseen(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{ad}')
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_shown_by_a_sign() {
        assert_eq!(visible("a\0b\n\u{7f}"), "a␀b␊␡");
        assert_eq!(visible("\u{202e}x\u{85}\u{feff}"), "⟨U+202E⟩x⟨U+0085⟩⟨U+FEFF⟩");
        assert_eq!(visible("host/7 ä 日本 <b>"), "host/7 ä 日本 <b>");
    }
}
