//! The address of a probe: a fixed host, and places for what a run says in path and query.

use reqwest::Url;

use super::dns::is_public;
use crate::probe::Place;
use crate::probe::sql::PARAMETERS;

/// An address with places.
#[derive(Clone, Debug)]
pub(in crate::probe) struct Template(String);

impl Template {
    /// Takes `text` if its host is fixed and may be spoken to.
    pub(super) fn new(text: &str, allow_private: bool) -> Result<Self, String> {
        let places = places(text)?;
        for needed in ["workspace", "environment"] {
            if !places.contains(&needed) {
                return Err(format!(
                    "its url must hold {{{needed}}}, so that it stays in the run's scope"
                ));
            }
        }
        if places.iter().all(|place| ["workspace", "environment"].contains(place)) {
            return Err("its url must hold what tells the run, such as {fingerprint}".to_owned());
        }
        let template = Template(text.to_owned());
        let filled = |with: &str| template.filled(|_| Some(with.to_owned()));
        let (Some(one), Some(other)) = (filled("a"), filled("b")) else {
            return Err("its url is no address".to_owned());
        };
        if one.origin() != other.origin() {
            return Err("its url may have places in path and query only".to_owned());
        }
        if !one.username().is_empty() || one.password().is_some() {
            return Err("its url must hold no user and no password".to_owned());
        }
        let schemes: &[&str] = if allow_private { &["https", "http"] } else { &["https"] };
        if !schemes.contains(&one.scheme()) {
            let problem = "its url must begin with https:// (or with http:// where the probe has \
                           `allow_private = true`, because the host is one of your own)";
            return Err(problem.to_owned());
        }
        // The resolver is not asked about addresses.
        let host = one.host_str().unwrap_or_default().trim_matches(['[', ']']);
        if host.parse().is_ok_and(|address| !is_public(address)) && !allow_private {
            return Err(
                "its url names a private address; set allow_private if it is meant".to_owned()
            );
        }
        Ok(template)
    }

    /// The address for a run or a subject; none if it does not have what the address is made of.
    pub(super) fn of(&self, asked: Place<'_>) -> Option<Url> {
        self.filled(|place| {
            let text = |text: Option<&str>| text.map(str::to_owned);
            match place {
                "workspace" => Some(asked.workspace.to_owned()),
                // The workspace itself has a name of its own in addresses, and no empty piece. So
                // an environment of that name has no address: it would be another's.
                "environment" => match asked.environment {
                    "" => Some("-".to_owned()),
                    "-" => None,
                    environment => Some(environment.to_owned()),
                },
                "run_id" => asked.run_id.map(|id| id.to_string()),
                "fingerprint" => text(asked.fingerprint),
                "subject_type" => text(asked.subject_type()),
                "subject_id" => text(asked.subject_id()),
                "external_id" => text(asked.external_id),
                _ => None,
            }
        })
    }

    /// Whether it has this place.
    pub(super) fn holds(&self, place: &str) -> bool {
        self.0.contains(&format!("{{{place}}}"))
    }

    fn filled(&self, value: impl Fn(&str) -> Option<String>) -> Option<Url> {
        let mut out = String::new();
        let mut rest = self.0.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (place, after) = after.split_once('}')?;
            out.push_str(before);
            out.push_str(&encoded(&value(place)?)?);
            rest = after;
        }
        out.push_str(rest);
        Url::parse(&out).ok()
    }
}

fn places(text: &str) -> Result<Vec<&str>, String> {
    let pieces = text.split('{').skip(1);
    pieces
        .map(|piece| {
            let place = piece.split_once('}').map(|(place, _)| place);
            place.filter(|place| PARAMETERS.contains(place)).ok_or_else(|| {
                format!("its url has a place that is none of {}", PARAMETERS.join(", "))
            })
        })
        .collect()
}

/// A value as one piece of a path or query. None for a piece that would mean another path.
fn encoded(value: &str) -> Option<String> {
    if value == "." || value == ".." || value.is_empty() {
        return None;
    }
    let mut out = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    Some(out)
}
