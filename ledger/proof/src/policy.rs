//! Whom a reader trusts (C2SP tlog-policy): logs, witnesses, and how many of those must have signed.

use std::collections::{HashMap, HashSet};

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::note::{Held, Kind, Note, NoteError, VerifierKey};
use crate::text;

/// Most bytes of a policy file.
const MOST_BYTES: usize = 1024 * 1024;

/// A trust policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<VerifierKey>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    quorum: Option<Vec<u8>>,
}

/// A witness that a policy names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// What the file calls it.
    pub name: String,
    /// Its key.
    pub key: VerifierKey,
    /// Where it can be asked, if the file says so.
    pub url: Option<String>,
    /// Its name, byte by byte.
    id: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    name: Vec<u8>,
    least: usize,
    members: Vec<Vec<u8>>,
}

/// A file that is no policy: which line, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct PolicyError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

/// Why a checkpoint is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// It is no signed checkpoint.
    #[error("it is no signed note")]
    NoNote(#[source] NoteError),
    /// What is signed is no checkpoint.
    #[error("its note cannot be read")]
    NoCheckpoint(#[source] CheckpointError),
    /// No key that the policy names has signed it.
    #[error("no key that the policy trusts for {origin} has signed it")]
    UnknownKey {
        /// The log that it claims to be of.
        origin: String,
    },
    /// A key that the policy names has not signed it, though it says so.
    #[error("it is not what was signed")]
    Forged(#[source] NoteError),
    /// What was signed is something else.
    #[error("what was signed is something else")]
    Other,
    /// Too few witnesses have signed it.
    #[error("too few of the policy's witnesses have signed it")]
    NoQuorum,
}

/// A checkpoint that a policy believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Believed {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// The keys of the log that signed it.
    pub logs: Vec<VerifierKey>,
    /// The witnesses that signed it, and when, in seconds since 1970.
    pub witnesses: Vec<(VerifierKey, u64)>,
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// If it is none: the first line that is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Policy, PolicyError> {
        let wrong = |line, problem: &str| PolicyError { line, problem: problem.to_owned() };
        if bytes.len() > MOST_BYTES {
            return Err(wrong(1, "the file is too long"));
        }
        let mut reader = Reader::default();
        let lines = bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|byte| *byte == b'\n');
        let mut last = 0;
        for (number, line) in (1..).zip(lines) {
            last = number;
            if line.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f) {
                return Err(wrong(number, "it holds a control character"));
            }
            let words: Vec<&[u8]> = line
                .split(|byte| matches!(byte, b' ' | b'\t'))
                .filter(|word| !word.is_empty())
                .collect();
            if words.first().is_some_and(|word| !word.starts_with(b"#")) {
                reader.line(&words).map_err(|problem| PolicyError { line: number, problem })?;
            }
        }
        let quorum =
            reader.quorum.ok_or_else(|| wrong(last, "there is no `quorum` in the file"))?;
        let Reader { logs, witnesses, groups, .. } = reader;
        Ok(Policy { logs, witnesses, groups, quorum })
    }

    /// The policy that trusts these keys of logs, and asks for no witness.
    pub fn of_keys(logs: Vec<VerifierKey>) -> Policy {
        Policy { logs, witnesses: Vec::new(), groups: Vec::new(), quorum: None }
    }

    /// The keys of logs that it trusts.
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    /// The witnesses that it knows.
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// Whether a checkpoint must be signed by witnesses.
    pub const fn asks_for_quorum(&self) -> bool {
        self.quorum.is_some()
    }

    /// Which of its witnesses have signed a note, and when, and whether they are enough.
    ///
    /// # Errors
    /// If one of them is named as the maker of a signature that does not hold.
    pub fn witnessed(&self, note: &Note) -> Result<(Vec<(VerifierKey, u64)>, bool), NoteError> {
        let held = note.verify(self.witnesses.iter().map(|witness| &witness.key))?;
        let quorum = self.is_quorum(&held);
        let signed = held.iter().filter_map(|held| Some((held.key.clone(), held.time?)));
        Ok((signed.collect(), quorum))
    }

    /// Reads a signed checkpoint, and believes it if the policy allows.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn believe(&self, note: &[u8]) -> Result<Believed, Distrust> {
        self.believe_note(&Note::parse(note).map_err(Distrust::NoNote)?)
    }

    /// The same of a note that was read already.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn believe_note(&self, note: &Note) -> Result<Believed, Distrust> {
        let checkpoint = Checkpoint::parse(&note.text).map_err(Distrust::NoCheckpoint)?;
        let of_log = self.logs.iter().filter(|key| key.name() == checkpoint.origin);
        let logs = note.verify(of_log).map_err(Distrust::Forged)?;
        if logs.is_empty() {
            return Err(match self.altered(note) {
                Some(error) => Distrust::Forged(error),
                None => Distrust::UnknownKey { origin: checkpoint.origin },
            });
        }
        let witnesses = self.witnesses.iter().map(|witness| &witness.key);
        let witnesses = note.verify(witnesses).map_err(Distrust::Forged)?;
        if !self.is_quorum(&witnesses) {
            return Err(Distrust::NoQuorum);
        }
        let logs = logs.iter().map(|held| held.key.clone()).collect();
        let witnesses =
            witnesses.iter().filter_map(|held| Some((held.key.clone(), held.time?))).collect();
        Ok(Believed { checkpoint, logs, witnesses })
    }

    /// Why a note that no known key of its log has signed is one of a known key all the same, which was
    /// altered: a signature has the name and the id of a known key and does not hold, or it holds by a
    /// known key and stands under another name or id.
    pub(crate) fn altered(&self, note: &Note) -> Option<NoteError> {
        let of_key =
            |key: &VerifierKey| note.signatures.iter().any(|one| key.is_altered(note, one));
        let key = self.logs.iter().find(|key| of_key(key))?;
        Some(NoteError::Invalid(key.to_string()))
    }

    fn is_quorum(&self, held: &[Held<'_>]) -> bool {
        let Some(quorum) = &self.quorum else { return true };
        let mut signed: HashSet<&[u8]> = self
            .witnesses
            .iter()
            .filter(|witness| held.iter().any(|held| *held.key == witness.key))
            .map(|witness| &witness.id[..])
            .collect();
        // A group names only what stands before it.
        for Group { name, least, members } in &self.groups {
            if members.iter().filter(|member| signed.contains(&member[..])).count() >= *least {
                signed.insert(name);
            }
        }
        signed.contains(&quorum[..])
    }
}

#[derive(Default)]
struct Reader {
    logs: Vec<VerifierKey>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    quorum: Option<Option<Vec<u8>>>,
    /// Each name, and whether a group has it already.
    names: HashMap<Vec<u8>, bool>,
}

impl Reader {
    fn line(&mut self, words: &[&[u8]]) -> Result<(), String> {
        match words {
            [b"log", key] | [b"log", key, _] => {
                let key = vkey(key, Kind::Ed25519)?;
                if self.logs.iter().any(|other| other.public() == key.public()) {
                    return Err("this log is there twice".to_owned());
                }
                self.logs.push(key);
                Ok(())
            }
            [b"witness", name, key] => self.witness(name, key, None),
            [b"witness", name, key, url] => self.witness(name, key, Some(url)),
            [b"group", name, least, members @ ..] if !members.is_empty() => {
                self.group(name, least, members)
            }
            [b"quorum", name] => {
                if self.quorum.is_some() {
                    return Err("there is a quorum already".to_owned());
                }
                let none = *name == b"none";
                if !none && !self.names.contains_key(*name) {
                    return Err("the quorum is no witness and no group before it".to_owned());
                }
                self.quorum = Some((!none).then(|| name.to_vec()));
                Ok(())
            }
            _ => Err("it is no `log`, `witness`, `group` or `quorum` line".to_owned()),
        }
    }

    fn witness(&mut self, name: &[u8], key: &[u8], url: Option<&[u8]>) -> Result<(), String> {
        let key = vkey(key, Kind::Cosignature)?;
        if self.witnesses.iter().any(|other| other.key.public() == key.public()) {
            return Err("this witness is there twice".to_owned());
        }
        self.define(name)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (id, url) = (name.to_vec(), url.map(text));
        self.witnesses.push(Witness { name: text(name), key, url, id });
        Ok(())
    }

    fn define(&mut self, name: &[u8]) -> Result<(), String> {
        let taken = name == b"none" || self.names.insert(name.to_vec(), false).is_some();
        if taken { Err("its name is taken".to_owned()) } else { Ok(()) }
    }

    fn group(&mut self, name: &[u8], least: &[u8], members: &[&[u8]]) -> Result<(), String> {
        let least = match least {
            b"any" => Some(1),
            b"all" => Some(members.len()),
            number => {
                let number = std::str::from_utf8(number).ok().and_then(text::number);
                number.and_then(|number| usize::try_from(number).ok())
            }
        };
        let least = least.filter(|least| (1..=members.len()).contains(least));
        let least = least
            .ok_or("how many of the group must sign is `any`, `all` or a number of its members")?;
        for member in members {
            match self.names.get_mut(*member) {
                None => return Err("a member is no witness and no group before it".to_owned()),
                Some(true) => return Err("a member is in a group already".to_owned()),
                Some(taken) => *taken = true,
            }
        }
        self.define(name)?;
        let members = members.iter().map(|member| member.to_vec()).collect();
        self.groups.push(Group { name: name.to_vec(), least, members });
        Ok(())
    }
}

fn vkey(word: &[u8], kind: Kind) -> Result<VerifierKey, String> {
    let text = std::str::from_utf8(word).map_err(|_| "the key is not text".to_owned())?;
    let key = VerifierKey::parse(text).map_err(|error| format!("the key: {error}"))?;
    if key.kind() == kind { Ok(key) } else { Err("the key is of the other kind".to_owned()) }
}
