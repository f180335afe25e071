//! Where the items of a body begin and end, told from its brackets, quotes and line ends alone.
//!
//! So an item that is broken inside is still one item, and its neighbours are whole.

use serde::de::IgnoredAny;

use super::{BodyError, REQUEST_BYTES, REQUEST_EVENTS};

/// One item of a body, as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice<'a> {
    /// Its bytes, without the white space around them.
    pub(super) bytes: &'a [u8],
    /// The line of the body that it begins on, from 1.
    pub(super) line: usize,
}

/// Checks that a body is neither empty nor too large, and returns it without the white space
/// around it. `wanted` is what should have come.
pub(crate) fn trimmed<'a>(body: &'a [u8], wanted: &'static str) -> Result<&'a [u8], BodyError> {
    if body.len() > REQUEST_BYTES {
        return Err(BodyError::TooLarge);
    }
    match body.trim_ascii() {
        [] => Err(BodyError::Empty(wanted)),
        [0xef, 0xbb, 0xbf, ..] => Err(BodyError::NotJson(
            "it begins with a byte order mark (EF BB BF); send it without".to_owned(),
        )),
        body => Ok(body),
    }
}

/// Each line that is not blank.
pub(super) fn lines(body: &[u8]) -> Result<Vec<Slice<'_>>, BodyError> {
    let mut items = Vec::new();
    for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
        let bytes = line.trim_ascii();
        if !bytes.is_empty() {
            push(&mut items, Slice { bytes, line: index + 1 })?;
        }
    }
    Ok(items)
}

/// Whether a body that begins with an object is one object a line.
///
/// It is if its first line is whole and others follow, or if it is not JSON as a whole and its
/// second line begins an object too (the first line is then the broken one).
pub(super) fn is_lines(body: &[u8]) -> bool {
    let mut lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.next().unwrap_or_default();
    let Some(second) = lines.find(|line| !line.is_empty()) else {
        return false;
    };
    is_json(first) || (second.starts_with(b"{") && !is_json(body))
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

/// The items of a JSON array, the first thing in `body`.
pub(super) fn array(body: &[u8]) -> Result<Vec<Slice<'_>>, BodyError> {
    let mut items = Vec::new();
    let mut depth = 0_usize;
    let mut begin = body.len() - body.trim_ascii_start().len() + 1;
    let mut line = 1;
    let mut begin_line = 1 + newlines(body.get(..begin).unwrap_or_default());
    let mut scan = Scan::default();
    for (index, byte) in body.iter().copied().enumerate() {
        if byte == b'\n' {
            line += 1;
        }
        if !scan.is_structure(byte) {
            continue;
        }
        let ends_item = match byte {
            b'[' | b'{' => {
                depth += 1;
                false
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                depth == 0
            }
            b',' => depth == 1,
            _ => false,
        };
        if ends_item {
            let sent = &body[begin..index];
            let bytes = sent.trim_ascii();
            // Nothing at all between the brackets is no item; nothing before a comma is one.
            if depth != 0 || !bytes.is_empty() || !items.is_empty() {
                let blank = sent.len() - sent.trim_ascii_start().len();
                let line = begin_line + newlines(&sent[..blank]);
                push(&mut items, Slice { bytes, line })?;
            }
            (begin, begin_line) = (index + 1, line);
        }
        if ends_item && depth == 0 {
            return match body[index + 1..].trim_ascii() {
                [] if byte == b']' => Ok(items),
                [] => Err(BodyError::NotJson("the array is closed with `}`".to_owned())),
                _ => Err(BodyError::NotJson(format!(
                    "something follows the end of the array on line {line}"
                ))),
            };
        }
    }
    Err(BodyError::NotJson(
        "the array does not end, so it was cut off or a quote or bracket is missing; send the \
         whole array, or one event a line, where a broken event is found alone"
            .to_owned(),
    ))
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

fn push<'a>(items: &mut Vec<Slice<'a>>, item: Slice<'a>) -> Result<(), BodyError> {
    if items.len() == REQUEST_EVENTS {
        return Err(BodyError::TooMany);
    }
    items.push(item);
    Ok(())
}

/// What a glance at an item tells, without reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Glance {
    /// Most brackets open at once.
    pub(super) depth: usize,
    /// Whether a number in it may be one that canonical bytes cannot hold.
    pub(super) odd_number: bool,
}

/// Looks at an item: one pass, nothing allocated.
pub(super) fn glance(json: &[u8]) -> Glance {
    // Fewer digits than these are always within 2^53.
    const SURE_DIGITS: usize = 15;
    let mut glance = Glance::default();
    let (mut depth, mut digits) = (0_usize, 0_usize);
    let mut scan = Scan::default();
    for byte in json.iter().copied() {
        if !scan.is_structure(byte) {
            digits = 0;
            continue;
        }
        match byte {
            b'[' | b'{' => {
                depth += 1;
                glance.depth = glance.depth.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'0'..=b'9' => {
                digits += 1;
                glance.odd_number |= digits > SURE_DIGITS;
                continue;
            }
            b'.' | b'e' | b'E' => glance.odd_number |= digits > 0,
            _ => {}
        }
        digits = 0;
    }
    glance
}

/// Tells what is inside a string from what is not.
#[derive(Default)]
struct Scan {
    in_string: bool,
    escaped: bool,
}

impl Scan {
    /// Takes the next byte; whether it stands outside of all strings, quotes not counted.
    fn is_structure(&mut self, byte: u8) -> bool {
        if !self.in_string {
            self.in_string = byte == b'"';
            return !self.in_string;
        }
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => self.in_string = false,
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(items: Result<Vec<Slice<'_>>, BodyError>) -> Vec<(usize, String)> {
        let text = |item: &Slice<'_>| (item.line, String::from_utf8(item.bytes.to_vec()).unwrap());
        items.unwrap().iter().map(text).collect()
    }

    #[test]
    fn items_of_an_array_are_told_apart_even_where_they_are_broken() {
        let body = b"[\n {\"a\":\"],[\\\"\"},\n oops ,\n [1,{}],, 5]";
        let expected = [(2, r#"{"a":"],[\""}"#), (3, "oops"), (4, "[1,{}]"), (4, ""), (4, "5")];
        assert_eq!(texts(array(body)), expected.map(|(line, text)| (line, text.to_owned())));
        assert_eq!(array(b"[ ]"), Ok(vec![]));
        assert_eq!(texts(array(b"\n [\n1]")), [(3, "1".to_owned())]);
        assert_eq!(texts(array(b"[1,]")).len(), 2);
    }

    #[test]
    fn an_array_that_does_not_end_is_refused_whole() {
        for body in [&b"[{\"a\":1}, {\"b"[..], b"[1}", b"[1] 2", b"[[1]"] {
            assert!(matches!(array(body), Err(BodyError::NotJson(_))), "{body:?}");
        }
        let many = format!("[{}]", "1,".repeat(REQUEST_EVENTS + 1));
        assert_eq!(array(many.as_bytes()), Err(BodyError::TooMany));
    }

    #[test]
    fn lines_are_told_from_one_object_over_several_lines() {
        assert!(is_lines(b"{\"a\":1}\n\n{\"b\":2}"));
        assert!(is_lines(b"{\"a\":\n{\"b\":2}\n{}"));
        assert!(is_lines(b"{}\noops"));
        for one in ["{}", "{\n\"a\":1\n}", "{\"a\":\n{\"b\":2}}", "{\n\"a\": oops\n}"] {
            assert!(!is_lines(one.as_bytes()), "{one}");
        }
        assert_eq!(texts(lines(b"{}\r\n\n 1 ")), [(1, "{}".to_owned()), (3, "1".to_owned())]);
    }

    #[test]
    fn a_glance_finds_depth_and_odd_numbers_outside_of_strings() {
        let odd = |json: &str| glance(json.as_bytes()).odd_number;
        assert!(!odd(r#"{"1.5":"1e9 12345678901234567890","a":[true,false,123456789012345]}"#));
        for json in ["1.5", "[1e5]", "-0.0", "1234567890123456", "{\"a\":2E1}"] {
            assert!(odd(json), "{json}");
        }
        assert_eq!(glance(br#"[{"a":"[[["},[[1]]]"#).depth, 3);
    }
}
