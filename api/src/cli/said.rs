//! Who does something that stays in the log for ever, and why.

use runledger_ledger::event::Actor;
use runledger_ledger::words::{Name, Note};

use super::Unusable;
use crate::reason;

/// Who does it, and why.
#[derive(Debug, clap::Args)]
pub(super) struct Said {
    /// Who does it
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Why. It stays in the log for ever
    #[arg(long)]
    reason: String,
}

impl Said {
    /// The person, and what they say.
    ///
    /// # Errors
    /// If one of them is none.
    pub(super) fn checked(&self) -> anyhow::Result<(Actor, Note)> {
        let unusable = |what: &str, error| Unusable(format!("{what} {error}"));
        let id = Name::new(&self.by).map_err(|error| unusable("--by", error))?;
        let because = Note::new(&self.reason).map_err(|error| unusable("--reason", error))?;
        if !reason::says_something(because.as_str()) {
            return Err(Unusable(format!("--reason: {}", reason::BLANK)).into());
        }
        Ok((Actor { id, kind: Name::new("user")? }, because))
    }
}
