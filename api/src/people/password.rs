//! Passwords: what one must be, and what it is checked against (specs/0022).
//!
//! A hash takes 19 MiB and a core for a while. So there are few at a time and a short line before
//! them, whoever asks; what is over that is an overload and no answer about anybody.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use axum::http::StatusCode;
use runledger_ledger::clock::Entropy;
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::problem::{ApiError, ApiResult};

/// Fewest characters of a password.
pub const SHORTEST: usize = 12;
/// Most characters of one.
pub const LONGEST: usize = 256;
/// Fewest characters of one that differ from each other.
const DIFFERENT: usize = 5;

/// Memory of a hash in KiB, its passes and its lanes: one of those that OWASP names for argon2id.
const MEMORY: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Hashes at a time.
const AT_A_TIME: usize = 2;
/// Hashes that wait for their turn, and those at work.
const IN_LINE: usize = 32;

/// What is checked for a name that nobody has: as much work as for one that somebody has.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$\
     AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A password that somebody chose. It is shown nowhere.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Password(String);

/// Why a text cannot be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It has too few characters, or too many.
    #[error("a password has {SHORTEST} to {LONGEST} characters")]
    Length,
    /// It is a few characters over and over.
    #[error("a password has at least {DIFFERENT} different characters")]
    Monotonous,
}

impl Password {
    /// Takes a text that can be one.
    pub fn new(text: String) -> Result<Self, Unfit> {
        let characters = text.chars().take(LONGEST + 1).count();
        if !(SHORTEST..=LONGEST).contains(&characters) {
            return Err(Unfit::Length);
        }
        let different: std::collections::BTreeSet<char> = text.chars().collect();
        if different.len() < DIFFERENT {
            return Err(Unfit::Monotonous);
        }
        Ok(Password(text))
    }
}

impl TryFrom<String> for Password {
    type Error = Unfit;

    fn try_from(text: String) -> Result<Self, Unfit> {
        Password::new(text)
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Password")
    }
}

/// Makes and checks hashes, beside the threads that answer.
#[derive(Clone, Debug)]
pub struct Passwords {
    argon2: Argon2<'static>,
    at_a_time: Arc<Semaphore>,
    line: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        // They are constants that are within bounds; the defaults are the same.
        let params = Params::new(MEMORY, PASSES, LANES, None).unwrap_or_default();
        Passwords {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            at_a_time: Arc::new(Semaphore::new(AT_A_TIME)),
            line: Arc::new(Semaphore::new(IN_LINE)),
        }
    }
}

impl Passwords {
    /// The PHC string of a password.
    pub async fn hash(&self, password: Password, entropy: &Entropy) -> ApiResult<String> {
        let mut salt = [0; 16];
        entropy.fill(&mut salt).map_err(ApiError::internal)?;
        let made = self.work(move |argon2| {
            let made = argon2.hash_password_with_salt(password.0.as_bytes(), &salt);
            made.map(|hash| hash.to_string())
        });
        made.await?.map_err(|error| ApiError::internal(error.to_string()))
    }

    /// Whether `text` is the password that `phc` was made of. Without one it is not, and that takes
    /// as long to tell.
    pub async fn matches(&self, text: String, phc: Option<String>) -> ApiResult<bool> {
        let somebody = phc.is_some();
        // Nobody has a longer one, and none that is longer makes more work.
        let fits = text.len() <= LONGEST * 4;
        let text = if fits { text } else { String::new() };
        let matches = self.work(move |argon2| {
            let phc = phc.as_deref().unwrap_or(NOBODY);
            let hash = PasswordHash::new(phc);
            hash.map(|hash| argon2.verify_password(text.as_bytes(), &hash).is_ok())
        });
        let matches = matches.await?.map_err(|error| ApiError::internal(error.to_string()))?;
        Ok(matches && somebody && fits)
    }

    /// Does work that takes memory and a core, when its turn comes. It is done also if nobody waits
    /// for it any more, and holds its turn until then.
    async fn work<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Argon2<'static>) -> T + Send + 'static,
    ) -> ApiResult<T> {
        let place = self.line.clone().try_acquire_owned().map_err(|_| too_many())?;
        let turn = self.at_a_time.clone().acquire_owned().await.map_err(ApiError::internal)?;
        let argon2 = self.argon2.clone();
        let done = tokio::task::spawn_blocking(move || {
            let done = job(&argon2);
            drop((turn, place));
            done
        });
        done.await.map_err(ApiError::internal)
    }
}

fn too_many() -> ApiError {
    let detail = "too many people sign in at this moment; send the request again";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::new(text.to_owned()).unwrap()
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_and_no_other() {
        let (passwords, entropy) = (Passwords::default(), Entropy::seeded(1));
        let right = "a horse of correct colour";
        let phc = passwords.hash(password(right), &entropy).await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        let again = passwords.hash(password(right), &entropy).await.unwrap();
        assert_ne!(phc, again, "each has its own salt");
        let matches = async |text: &str, phc: Option<&str>| {
            passwords.matches(text.to_owned(), phc.map(str::to_owned)).await.unwrap()
        };
        assert!(matches(right, Some(&phc)).await && matches(right, Some(&again)).await);
        assert!(!matches("a horse of correct color", Some(&phc)).await);
        assert!(!matches("", Some(&phc)).await);
        assert!(!matches(&"x".repeat(100_000), Some(&phc)).await);
        assert!(!matches(right, None).await);
    }

    #[test]
    fn nobody_is_as_much_work_as_somebody() {
        let hash = PasswordHash::new(NOBODY).unwrap();
        let params = Params::try_from(&hash).unwrap();
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), (MEMORY, PASSES, LANES));
    }

    #[tokio::test]
    async fn what_is_over_the_line_is_an_overload_and_costs_nothing() {
        let passwords = Passwords::default();
        let all = u32::try_from(IN_LINE).unwrap();
        let held = passwords.line.clone().acquire_many_owned(all).await.unwrap();
        let refused = passwords.matches("text".to_owned(), None).await.unwrap_err();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        drop(held);
        assert!(!passwords.matches("text".to_owned(), None).await.unwrap());
    }

    #[test]
    fn a_password_is_long_and_not_one_letter_and_is_never_shown() {
        assert_eq!(Password::new("elevenchars".to_owned()).unwrap_err(), Unfit::Length);
        assert_eq!(Password::new("ä".repeat(257)).unwrap_err(), Unfit::Length);
        assert_eq!(Password::new("ababababababab".to_owned()).unwrap_err(), Unfit::Monotonous);
        assert_eq!(format!("{:?}", password("twelve chars")), "Password");
        let read = serde_json::from_str::<Password>("\"short one\"").unwrap_err();
        assert!(!read.to_string().contains("short one"), "{read}");
    }
}
