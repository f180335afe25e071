//! `runledger verify pack`: an audit pack, and nothing else.

use std::path::PathBuf;

use runledger_proof::pack::{self, PackError};

use super::super::{Answer, output};

/// Verify an audit pack: every file, event, hash, proof and checkpoint in it. No server is asked.
#[derive(Debug, clap::Args)]
pub(super) struct OfPack {
    /// The zip file
    #[arg(value_name = "FILE")]
    pack: PathBuf,
    /// Whom to trust: a policy file that is not from the pack
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
}

pub(super) fn run(arguments: &OfPack) -> anyhow::Result<Answer> {
    let policy = super::policy(&arguments.policy)?;
    let bytes = super::read(&arguments.pack)?;
    let name = arguments.pack.display();
    let verified = match pack::verify(&bytes, &policy) {
        Ok(verified) => verified,
        Err(PackError::Distrust(what, distrust)) => return Ok(super::distrusted(&what, &distrust)),
        Err(error) => {
            output::line(format!("{name}: {error}"));
            return Ok(match error {
                PackError::Zip(_) => Answer::No,
                _ => Answer::Incomplete,
            });
        }
    };
    let manifest = &verified.manifest;
    if verified.differences.is_empty() {
        output::line(format!(
            "{name}: intact; {} of {} events of {}, {} checkpoints",
            verified.events, manifest.size, manifest.origin, verified.checkpoints
        ));
        for (word, value) in &manifest.scope {
            output::line(format!("  only {word} {value}"));
        }
        output::line(format!("  root {}", manifest.root));
        return Ok(Answer::Yes);
    }
    for difference in &verified.differences {
        output::line(format!("{name}: {difference}"));
    }
    Ok(Answer::No)
}
