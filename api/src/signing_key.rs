//! Where the signing keys are: in a file of the data directory that only its owner can read, or in
//! the environment. Never in the database.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use runledger_ledger::access::KeyRotated;
use runledger_ledger::checkpoints::{Keys, KeysError};
use runledger_ledger::clock::Entropy;
use runledger_ledger::words::{Note, WorkspaceId};
use runledger_proof::checkpoint::Checkpoint;
use runledger_proof::note::Note as Signed;

use crate::private::{self, others_may_read};

/// The variable that holds the keys, if no file shall.
pub const VARIABLE: &str = "RUNLEDGER_SIGNING_KEY";
/// The name of a key that nobody has chosen a name for.
pub const NAME: &str = "runledger";

/// Where the keys are.
#[derive(Clone)]
pub enum KeySource {
    /// In a file, one a line.
    File(PathBuf),
    /// In the environment.
    Environment(String),
}

/// The signing keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("the signing key in {} cannot be read or written", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// Others than its owner may read it.
    #[error(
        "others can read the signing key in {}; whoever has it can forge history: make a new one \
         if anybody may have, and take that right from them: chmod 600", .0.display()
    )]
    Open(PathBuf),
    /// What is there are no keys.
    #[error("{0} cannot be used as signing keys")]
    NoKeys(String, #[source] KeysError),
}

impl KeySource {
    /// Those of the environment, or else the file in `data_dir`.
    pub fn find(data_dir: &Path, environment: impl Fn(&str) -> Option<String>) -> KeySource {
        match environment(VARIABLE).filter(|keys| !keys.trim().is_empty()) {
            Some(keys) => KeySource::Environment(keys),
            None => KeySource::File(data_dir.join("signing-key")),
        }
    }

    /// Whether there is no file, or an empty one: what a start that was cut off leaves.
    pub fn is_missing(&self) -> bool {
        match self {
            KeySource::File(path) => !std::fs::metadata(path).is_ok_and(|file| file.len() > 0),
            KeySource::Environment(_) => false,
        }
    }

    /// The keys as they are now.
    ///
    /// # Errors
    /// If there are none, or others may read them.
    pub fn load(&self) -> Result<Keys, KeyError> {
        let (text, what) = match self {
            KeySource::Environment(keys) => {
                // One a line; a space does as well there.
                (keys.split_whitespace().collect::<Vec<_>>().join("\n"), VARIABLE.to_owned())
            }
            KeySource::File(path) => {
                let failed = |error| KeyError::File(path.clone(), error);
                if others_may_read(path).map_err(failed)? {
                    return Err(KeyError::Open(path.clone()));
                }
                let text = std::fs::read_to_string(path).map_err(failed)?;
                (text, path.display().to_string())
            }
        };
        Keys::parse(&text).map_err(|error| KeyError::NoKeys(what, error))
    }

    /// The same; makes a file with a key if there is none.
    ///
    /// # Errors
    /// If there are none, or none can be made.
    pub fn load_or_make(&self, entropy: &Entropy) -> Result<Keys, KeyError> {
        if self.is_missing() {
            let keys = Keys::make(NAME, entropy);
            let keys = keys.map_err(|error| KeyError::NoKeys(NAME.to_owned(), error))?;
            self.write(&keys)?;
        }
        self.load()
    }

    /// Puts other keys in place of those in the file, at once and whole. Keys of the environment
    /// stay what they are.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, keys: &Keys) -> Result<(), KeyError> {
        self.prepare(keys)?.put()
    }

    /// Writes other keys beside the file, where nobody signs with them yet.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn prepare(&self, keys: &Keys) -> Result<Prepared, KeyError> {
        let KeySource::File(path) = self else { return Ok(Prepared(None)) };
        write_beside(path, &keys.to_secret_text())
            .map_err(|error| KeyError::File(path.clone(), error))?;
        Ok(Prepared(Some(path.clone())))
    }
}

/// Keys that are written, and not in their place yet.
#[must_use = "nobody signs with them until they are put in place"]
#[derive(Debug)]
pub struct Prepared(Option<PathBuf>);

impl Prepared {
    /// Puts them in the place of those in the file, at once and whole.
    ///
    /// # Errors
    /// If the file cannot be written: the keys before are in it still.
    pub fn put(self) -> Result<(), KeyError> {
        let Some(path) = self.0 else { return Ok(()) };
        std::fs::rename(beside(&path), &path).map_err(|error| KeyError::File(path, error))
    }
}

/// What changes of a log when `keys` sign it from here on; none if they are those that sign it as it
/// says itself (`told`), or, where it says nothing of that, those that signed `last`, its last
/// checkpoint.
pub fn changed_since(
    told: Option<&KeyRotated>,
    last: &[u8],
    keys: &Keys,
    log: WorkspaceId,
    reason: Option<Note>,
) -> Option<KeyRotated> {
    let signed = match told {
        Some(told) => told.keys.iter().filter_map(|key| id_of(key)).collect(),
        None => signers_of(last)?,
    };
    let verifiers = keys.verifiers(log);
    let added = verifiers.iter().filter(|key| !signed.contains(&key.id()));
    let added: Vec<String> = added.map(ToString::to_string).collect();
    let retired = signed.iter().filter(|id| verifiers.iter().all(|key| key.id() != **id));
    let retired: Vec<String> = retired.map(|id| format!("{id:08x}")).collect();
    let all = verifiers.iter().map(ToString::to_string).collect();
    let same = added.is_empty() && retired.is_empty();
    (!same).then_some(KeyRotated { added, keys: all, retired, reason })
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeySource::File(path) => path.display().fmt(f),
            KeySource::Environment(_) => f.write_str(VARIABLE),
        }
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeySource::File(path) => f.debug_tuple("File").field(path).finish(),
            KeySource::Environment(_) => f.write_str("Environment(…)"),
        }
    }
}

/// The id of a verifier key.
fn id_of(key: &str) -> Option<u32> {
    u32::from_str_radix(key.split('+').nth(1)?, 16).ok()
}

/// The ids of the keys of the log that have signed a checkpoint; none if it cannot be read.
fn signers_of(checkpoint: &[u8]) -> Option<Vec<u32>> {
    let note = Signed::parse(checkpoint).ok()?;
    let origin = Checkpoint::parse(&note.text).ok()?.origin;
    let signed = note.signatures.iter().filter(|one| one.name == origin);
    Some(signed.map(|one| one.id).collect())
}

fn beside(path: &Path) -> PathBuf {
    path.with_extension("new")
}

fn write_beside(path: &Path, text: &str) -> io::Result<()> {
    let mut file = private::create(&beside(path))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_is_refused_once_others_can_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let source = KeySource::find(directory.path(), |_| None);
        assert!(source.load().is_err());
        let made = source.load_or_make(&Entropy::system()).unwrap();
        let again = source.load_or_make(&Entropy::system()).unwrap();
        assert_eq!(made.to_secret_text(), again.to_secret_text());
        assert_eq!(made.name(), NAME);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let open = std::fs::Permissions::from_mode(0o640);
            std::fs::set_permissions(directory.path().join("signing-key"), open).unwrap();
            assert!(matches!(source.load(), Err(KeyError::Open(_))));
        }
    }

    #[test]
    fn keys_of_the_environment_count_before_the_file_and_are_never_shown() {
        let keys = Keys::make("ledger.example", &Entropy::system()).unwrap();
        let newer = Keys::make("ledger.example", &Entropy::system()).unwrap();
        let both = keys.rotate(newer).unwrap().to_secret_text();
        let given = both.replace('\n', " ");
        let source = KeySource::find(Path::new("/nowhere"), |_| Some(given.clone()));
        assert_eq!(source.load().unwrap().to_secret_text(), both);
        assert!(!format!("{source:?}").contains("PRIVATE"));
    }
}
