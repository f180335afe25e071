//! The description of the service, and what it says of an answer. Every answer of these tests is
//! held against it, and what it does not describe is refused.

use axum::http::Method;
use runledger_ledger::time::Moment;
use runledger_ledger::words::RunId;
use serde_json::{Map, Value};

use crate::service::Reply;

/// `/openapi.json`.
pub(crate) struct Description(pub(crate) Value);

impl Description {
    /// Holds an answer against what is said of its route; nothing is said of paths without one.
    #[track_caller]
    pub(crate) fn check(&self, method: &Method, path: &str, reply: &Reply) {
        let Some(route) = self.route(path) else {
            assert_eq!(reply.status, 404, "{path} is answered and not described");
            return;
        };
        let Some(operation) = route.get(method.as_str().to_lowercase().as_str()) else {
            assert_eq!(reply.status, 405, "{method} {path} is answered and not described");
            return;
        };
        let answer = &operation["responses"][reply.status.as_str()];
        assert!(answer.is_object(), "{} of {method} {path} is not described", reply.status);
        let Some(content) = answer.get("content").and_then(Value::as_object) else { return };
        let media_type = reply.headers.get("content-type").and_then(|value| value.to_str().ok());
        let plain = |text: &str| text.split(';').next().unwrap().to_owned();
        let media_type = plain(media_type.unwrap_or_default());
        let body = content.iter().find(|(kind, _)| plain(kind) == media_type).map(|found| found.1);
        let body = body.unwrap_or_else(|| panic!("{media_type} of {path} is none of {content:?}"));
        if media_type.ends_with("json") && !media_type.ends_with("ndjson") {
            let fits = self.fits(&reply.json(), &body["schema"], &format!("{method} {path}"));
            fits.unwrap_or_else(|problem| panic!("{problem}"));
        }
    }

    /// All routes, as method and path.
    pub(crate) fn routes(&self) -> impl Iterator<Item = (String, &String)> {
        let paths = self.0["paths"].as_object().unwrap().iter();
        paths.flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| (method.to_uppercase(), path))
        })
    }

    fn route(&self, path: &str) -> Option<&Map<String, Value>> {
        let asked: Vec<&str> = path.split('?').next().unwrap().split('/').collect();
        let paths = self.0["paths"].as_object().unwrap().iter();
        let fits = |part: (&&str, &str)| part.1.starts_with('{') || *part.0 == part.1;
        let mut found = paths.filter(|(route, _)| {
            // The index of a tile goes on over several parts of the path.
            let open = route.ends_with("/tile/{level}/{index}");
            let route: Vec<&str> = route.split('/').collect();
            (route.len() == asked.len() || (open && route.len() < asked.len()))
                && asked.iter().zip(route).all(fits)
        });
        found.next().map(|(_, operations)| operations.as_object().unwrap())
    }

    /// Says where `value` does not fit `schema`, or holds a member that the schema does not name.
    fn fits(&self, value: &Value, schema: &Value, place: &str) -> Result<(), String> {
        if let Some(of) = schema["$ref"].as_str() {
            let name = of.strip_prefix("#/components/schemas/").unwrap();
            let schema = &self.0["components"]["schemas"][name];
            assert!(schema.is_object(), "{name} is used and not described");
            return self.fits(value, schema, place);
        }
        if let Some(choices) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
            let tried = choices.iter().map(|choice| self.fits(value, choice, place));
            let wrong: Vec<String> = tried.filter_map(Result::err).collect();
            return if wrong.len() < choices.len() { Ok(()) } else { Err(wrong.join(", or ")) };
        }
        if !of_type(value, &schema["type"]) {
            return Err(format!("{place}: {value} is no {}", schema["type"]));
        }
        if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
            return Err(format!("{place}: {value} is none of {}", schema["enum"]));
        }
        let proper = match (value, schema["format"].as_str()) {
            (Value::String(text), Some("date-time")) => text.parse::<Moment>().is_ok(),
            (Value::String(text), Some("uuid")) => text.parse::<RunId>().is_ok(),
            _ => true,
        };
        if !proper {
            return Err(format!("{place}: {value} is no {}", schema["format"]));
        }
        match value {
            Value::Array(items) => {
                let mut items = items.iter().enumerate();
                let place = |index| format!("{place}[{index}]");
                items.try_for_each(|(at, item)| self.fits(item, &schema["items"], &place(at)))
            }
            Value::Object(members) => self.members_fit(members, schema, place),
            _ => Ok(()),
        }
    }

    fn members_fit(
        &self,
        members: &Map<String, Value>,
        schema: &Value,
        place: &str,
    ) -> Result<(), String> {
        for name in schema["required"].as_array().into_iter().flatten() {
            if !members.contains_key(name.as_str().unwrap()) {
                return Err(format!("{place}: {name} is missing"));
            }
        }
        let (named, others) = (&schema["properties"], &schema["additionalProperties"]);
        for (name, value) in members {
            let place = format!("{place}.{name}");
            match named.get(name) {
                Some(schema) => self.fits(value, schema, &place)?,
                None if others.is_object() => self.fits(value, others, &place)?,
                None if named.is_null() || others == &Value::Bool(true) => {}
                None => return Err(format!("{place} is not described")),
            }
        }
        Ok(())
    }
}

fn of_type(value: &Value, kind: &Value) -> bool {
    let is = |kind: &str| match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        kind => panic!("{kind} is no type"),
    };
    match kind {
        Value::String(kind) => is(kind),
        Value::Array(kinds) => kinds.iter().any(|kind| is(kind.as_str().unwrap())),
        _ => true,
    }
}
