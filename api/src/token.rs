//! The administrator's token: made on the first start, kept in a file that only its owner can
//! read, and known to the server by its hash alone.

mod secret;

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use runledger_ledger::clock::{Entropy, NoEntropy};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::private::{self, others_may_read};

pub use secret::Secret;

/// What the token begins with, so that it is known for what it is wherever it turns up.
pub const PREFIX: &str = "rl_admin_";
/// Random bytes in a token.
const BYTES: usize = 32;

/// The hash of a token: enough to know it by, useless to whoever reads it.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of `token`.
    pub fn of(token: &str) -> Self {
        TokenHash(Sha256::digest(token).into())
    }

    /// The hash of nothing that anybody could send: no token is taken.
    pub const fn of_none() -> Self {
        TokenHash([0; 32])
    }

    /// Whether `token` is the one. Takes as long whether it is or not.
    pub fn matches(&self, token: &str) -> bool {
        self.0.ct_eq(&TokenHash::of(token).0).into()
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Its file cannot be read or written.
    #[error("the administrator's token in {} cannot be read or written", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// Its file holds something else.
    #[error(
        "{} holds no token (it must begin with {PREFIX}); remove the file, and the next start \
         makes a new one", .0.display()
    )]
    NoToken(PathBuf),
    /// There were no random bytes to make it of.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

/// The token that a server takes from its administrator.
#[derive(Clone, Copy, Debug)]
pub struct Administrators {
    /// What it is known by.
    pub hash: TokenHash,
    /// Whether it was made just now, because there was none.
    pub made: bool,
}

/// The token in the file at `path`. Makes both if there is no token yet.
pub fn load_or_make(path: &Path, entropy: &Entropy) -> Result<Administrators, TokenError> {
    let failed = |error| TokenError::File(path.to_owned(), error);
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    // An empty file is what a start that was cut off leaves.
    if text.trim().is_empty() {
        let token = make(entropy)?;
        write(path, &token).map_err(failed)?;
        return Ok(Administrators { hash: TokenHash::of(&token), made: true });
    }
    if others_may_read(path).map_err(failed)? {
        tracing::warn!(
            file = %path.display(),
            "others can read the administrator's token; take that right from them: chmod 600"
        );
    }
    match text.trim() {
        token if token.starts_with(PREFIX) => {
            Ok(Administrators { hash: TokenHash::of(token), made: false })
        }
        _ => Err(TokenError::NoToken(path.to_owned())),
    }
}

/// Puts a new token into the file at `path`, in the place of the one that is there. Its hash.
///
/// # Errors
/// If there are no random bytes, or the file cannot be written: then the old one is in it still.
pub fn replace(path: &Path, entropy: &Entropy) -> Result<TokenHash, TokenError> {
    let token = make(entropy)?;
    let beside = path.with_extension("new");
    let written = write(&beside, &token).and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| TokenError::File(path.to_owned(), error))?;
    Ok(TokenHash::of(&token))
}

fn make(entropy: &Entropy) -> Result<String, NoEntropy> {
    let mut random = [0; BYTES];
    entropy.fill(&mut random)?;
    Ok(format!("{PREFIX}{}", hex::encode(random)))
}

fn write(path: &Path, token: &str) -> io::Result<()> {
    let mut file = private::create(path)?;
    writeln!(file, "{token}")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_made_once_and_only_its_owner_can_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin-token");
        assert!(load_or_make(&path, &Entropy::system()).unwrap().made);
        let token = std::fs::read_to_string(&path).unwrap();
        assert_eq!(token.trim().len(), PREFIX.len() + 2 * BYTES);
        assert!(!others_may_read(&path).unwrap());
        let Administrators { hash: again, made } = load_or_make(&path, &Entropy::system()).unwrap();
        assert!(!made);
        assert!(again.matches(token.trim()));
        assert!(!again.matches(PREFIX));
        assert!(!format!("{again:?}").contains(&hex::encode(again.0)));
    }

    #[test]
    fn a_token_that_is_replaced_is_not_taken_any_more() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin-token");
        load_or_make(&path, &Entropy::system()).unwrap();
        let old = std::fs::read_to_string(&path).unwrap();
        let replaced = replace(&path, &Entropy::system()).unwrap();
        let new = std::fs::read_to_string(&path).unwrap();
        assert!(replaced.matches(new.trim()) && !replaced.matches(old.trim()));
        assert!(!others_may_read(&path).unwrap());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(!TokenHash::of_none().matches(""));
    }

    #[test]
    fn a_file_that_holds_something_else_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin-token");
        std::fs::write(&path, "my shopping list").unwrap();
        let error = load_or_make(&path, &Entropy::system()).unwrap_err();
        assert!(matches!(error, TokenError::NoToken(_)));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "my shopping list");
        std::fs::write(&path, "").unwrap();
        assert!(load_or_make(&path, &Entropy::system()).is_ok());
    }
}
