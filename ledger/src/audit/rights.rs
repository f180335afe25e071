//! Whether everybody who may ask was given that right by the log.
//!
//! Who is given something gets it after the log says so, and from whom something is taken loses it
//! before (specs/0018). So whatever the tables give, the log gives as well, also after a crash; a right
//! that stands in the tables alone was put there by somebody who rules the database. That the tables
//! give less says nothing: a crash leaves the same.

use std::collections::{BTreeMap, BTreeSet};

use super::{Flaw, Problem};
use crate::access::{AccessThen, MemberThen};
use crate::event::{Recorded, Stream};
use crate::store::{Store, StoreError, TokenRow};
use crate::words::WorkspaceId;

/// Events that are read in one go.
const PAGE: u32 = 1_000;

/// The rights in a workspace that the tables give and its log does not. A token is known by its id: whose
/// secret it is that the table has the hash of, no log tells.
///
/// # Errors
/// When the database fails.
pub async fn rights(store: &Store, workspace: WorkspaceId) -> Result<Vec<Flaw>, StoreError> {
    if !store.may_read_access().await? {
        return Ok(Vec::new());
    }
    let first = differing(store, workspace).await?;
    if first.is_empty() {
        return Ok(Vec::new());
    }
    // What was taken away between the two reads looks the same once, and not twice.
    let again = differing(store, workspace).await?;
    let both = first.intersection(&again);
    let flaw = |what: &String| Flaw { position: None, problem: Problem::Right(what.clone()) };
    Ok(both.map(flaw).collect())
}

/// First the tables, then the log: what is given meanwhile is in the log before.
async fn differing(store: &Store, workspace: WorkspaceId) -> Result<BTreeSet<String>, StoreError> {
    let (members, tokens) = (store.members(workspace).await?, store.tokens(workspace).await?);
    let then = then(store, workspace).await?;
    let given: BTreeMap<(String, &str), MemberThen> = then
        .clone()
        .members()
        .into_iter()
        .map(|member| ((member.name.to_string(), member.kind.as_str()), member))
        .collect();
    let mut differing = BTreeSet::new();
    for member in members {
        let who = (member.principal.name.to_string(), member.principal.kind.as_str());
        let same = given.get(&who).is_some_and(|given| {
            given.role == member.role && given.environments == member.environments
        });
        if !same {
            let (name, kind) = who;
            let place = match &member.environments {
                None => String::new(),
                Some(all) => {
                    let all: Vec<&str> = all.iter().map(|name| name.as_str()).collect();
                    format!(" in {}", all.join(", "))
                }
            };
            differing.insert(format!("the {kind} {name} has the role {}{place}", member.role));
        }
    }
    let made: BTreeMap<_, TokenRow> =
        then.tokens().into_iter().map(|token| (token.token, token)).collect();
    for token in tokens.iter().filter(|token| token.revoked_at.is_none()) {
        if let Some(why) = differs(token, made.get(&token.token)) {
            differing.insert(format!("the token {} of {} {why}", token.token, token.holder));
        }
    }
    Ok(differing)
}

/// In what a token that is taken is more than the log made it.
fn differs(token: &TokenRow, made: Option<&TokenRow>) -> Option<String> {
    let Some(made) = made else { return Some("is taken".to_owned()) };
    let ends = |row: &TokenRow| row.expires_at.map_or(i64::MAX, |at| at.micros());
    if made.holder != token.holder || made.kind != token.kind {
        Some("is taken as theirs".to_owned())
    } else if made.revoked_at.is_some() {
        Some("is taken, though it was revoked".to_owned())
    } else if ends(token) > ends(made) {
        let until =
            token.expires_at.map_or_else(|| "for ever".to_owned(), |at| format!("until {at}"));
        Some(format!("is taken {until}"))
    } else {
        None
    }
}

/// Who may do what by the workspace's stream.
async fn then(store: &Store, workspace: WorkspaceId) -> Result<AccessThen, StoreError> {
    let (mut events, mut after) = (Vec::new(), 0);
    loop {
        let page = store.stream(workspace, Stream::workspace(workspace), after, PAGE).await?;
        // What cannot be read, the audit of the log tells.
        events.extend(page.iter().filter_map(|stored| Recorded::decode(&stored.body).ok()));
        let Some(last) = page.last().filter(|_| page.len() as u64 == u64::from(PAGE)) else {
            return Ok(AccessThen::fold(&events));
        };
        after = Recorded::decode(&last.body).map_or(u64::MAX >> 1, |event| event.sequence);
    }
}
