//! Named parameters of a query: `:workspace` becomes a column of the page of runs.

use super::PARAMETERS;

/// The query with its parameters replaced, or why it cannot be used. What stands in quotes and
/// comments is left as it is.
pub(super) fn with_parameters(query: &str) -> Result<String, String> {
    let query = query.trim().trim_end_matches(';').trim_end();
    let first = query.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    if !["select", "with"].contains(&first.to_ascii_lowercase().as_str()) {
        return Err("its query must begin with SELECT or WITH".to_owned());
    }
    let (mut out, mut used) = (String::new(), Vec::new());
    let mut rest = query;
    while let Some(c) = rest.chars().next() {
        let taken = match c {
            '\'' | '"' => quoted(rest, c)?,
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => {
                rest.find("*/").ok_or("a comment in its query does not end")? + 2
            }
            '$' => return Err("its query must name its parameters, such as :workspace".to_owned()),
            ';' => return Err("its query must be one statement".to_owned()),
            ':' if rest.starts_with("::") => 2,
            ':' => {
                let name = parameter(&rest[1..])?;
                out.push_str("runledger_case.");
                out.push_str(name);
                used.push(name);
                rest = &rest[1 + name.len()..];
                continue;
            }
            other => other.len_utf8(),
        };
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    for needed in ["workspace", "environment"] {
        if !used.contains(&needed) {
            return Err(format!(
                "its query must use :{needed}, so that it stays in the run's scope"
            ));
        }
    }
    if used.iter().all(|name| ["workspace", "environment"].contains(name)) {
        return Err("its query must use what tells the run, such as :fingerprint".to_owned());
    }
    Ok(out)
}

fn parameter(rest: &str) -> Result<&'static str, String> {
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    PARAMETERS.iter().copied().find(|name| *name == &rest[..end]).ok_or_else(|| {
        format!(
            "its query has the parameter :{}; there are {}",
            &rest[..end],
            PARAMETERS.join(", ")
        )
    })
}

/// The length of what stands in quotes, with them. A doubled quote is part of it.
fn quoted(rest: &str, quote: char) -> Result<usize, String> {
    let mut at = 1;
    loop {
        let end = rest[at..].find(quote).ok_or("a quote in its query does not end")?;
        at += end + 1;
        if !rest[at..].starts_with(quote) {
            return Ok(at);
        }
        at += 1;
    }
}
