//! In which language people are spoken to: the query's `lang`, or what their client prefers.

use axum::http::{HeaderMap, header};
use runledger_projections::texts::Language;

/// The language that `Accept-Language` asks for, of those that there are; English if it asks for
/// none of them.
pub fn preferred(headers: &HeaderMap) -> Language {
    let values = headers.get_all(header::ACCEPT_LANGUAGE).into_iter();
    let ranges = values.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    let mut best = (0, Language::En);
    for (weight, language) in ranges.filter_map(range) {
        if weight > best.0 {
            best = (weight, language);
        }
    }
    best.1
}

/// One range with its weight in thousandths: `de`, `de-AT;q=0.8`. None if it names no language
/// of ours.
fn range(text: &str) -> Option<(u16, Language)> {
    let (tag, weight) = match text.split_once(';') {
        Some((tag, weight)) => (tag, thousandths(weight.trim().strip_prefix("q=")?)?),
        None => (text, 1_000),
    };
    let primary = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
    let language = match primary.as_str() {
        "*" => Language::En,
        primary => primary.parse().ok()?,
    };
    Some((weight, language))
}

/// `1`, `0.5`, `0.125`: at most three places.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let weight = format!("{whole}{places:0<3}").parse().ok()?;
    (places.len() <= 3 && weight <= 1_000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn of(value: &'static str) -> Language {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static(value));
        preferred(&headers)
    }

    #[test]
    fn the_most_wanted_language_that_there_is_is_spoken() {
        for german in ["de", "DE-at", "fr, de;q=0.1", "en;q=0.4, de;q=0.5", "de, en", "en;q=0, de"]
        {
            assert_eq!(of(german), Language::De, "{german}");
        }
        for english in ["en-GB", "fr", "", "*", "en, de", "de;q=0.4, en;q=0.5", "de;q=0", "de;q=x"]
        {
            assert_eq!(of(english), Language::En, "{english}");
        }
        assert_eq!(preferred(&HeaderMap::new()), Language::En);
    }
}
