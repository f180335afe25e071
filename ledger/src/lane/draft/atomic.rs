//! All or nothing: what a request changes in a draft, and how it is put back.

use std::collections::HashMap;

use super::{Draft, Use, id_of};
use crate::event::Stream;
use crate::lane::Known;
use crate::run::Run;
use crate::submission::{Command, Submission};
use crate::words::RunId;

/// What a request may change, as it was before. Only of what the request names: requests that come
/// together must not cost each other anything.
pub(super) struct Before<'a> {
    rows: usize,
    runs: HashMap<RunId, Option<Run>>,
    sequences: HashMap<Stream, Option<u64>>,
    ids: HashMap<(&'a str, &'a str), Option<Use>>,
    key_changes: usize,
    claims: usize,
    known: Option<Known>,
}

impl<'a> Draft<'a> {
    pub(super) fn before(&self, submissions: &'a [Submission]) -> Before<'a> {
        let runs = submissions.iter().flat_map(|submission| self.runs_of(&submission.command));
        let streams = submissions.iter().flat_map(|submission| self.stream(&submission.command));
        let ids = submissions.iter().filter_map(id_of);
        let of_workspace = |submission: &Submission| {
            matches!(submission.command, Command::Workspace(_) | Command::Decided(_))
        };
        Before {
            rows: self.rows.len(),
            runs: runs.map(|id| (id, self.runs.get(&id).cloned())).collect(),
            sequences: streams
                .map(|stream| (stream, self.sequences.get(&stream).copied()))
                .collect(),
            ids: ids.map(|id| (id, self.ids.get(&id).copied().flatten())).collect(),
            key_changes: self.key_changes.len(),
            claims: self.claims.mark(),
            known: submissions.iter().any(of_workspace).then(|| self.known.clone()),
        }
    }

    pub(super) fn put_back(&mut self, before: Before<'a>) {
        self.rows.truncate(before.rows);
        for (id, run) in before.runs {
            match run {
                Some(run) => self.runs.insert(id, run),
                None => self.runs.remove(&id),
            };
        }
        for (stream, sequence) in before.sequences {
            match sequence {
                Some(sequence) => self.sequences.insert(stream, sequence),
                None => self.sequences.remove(&stream),
            };
        }
        self.ids.extend(before.ids);
        while self.key_changes.len() > before.key_changes
            && let Some((key, was)) = self.key_changes.pop()
        {
            match was {
                Some(holder) => self.changed_keys.insert(key, holder),
                None => self.changed_keys.remove(&key),
            };
        }
        self.claims.put_back(before.claims);
        if let Some(known) = before.known {
            self.known = known;
        }
    }
}
