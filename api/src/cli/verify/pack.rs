//! `runledger verify pack`: an audit pack, and nothing else.

use std::path::PathBuf;

use anyhow::Context;
use runledger_proof::pack::{self, PackError, Verified};
use runledger_proof::policy::Policy;
use runledger_proof::zip::ZipError;

use super::super::{Answer, block_on, output};
use crate::pack::{Recomputed, loose, recompute};

/// Verify an audit pack: every file, event, hash, proof and checkpoint in it. No server is asked.
///
/// What follows from its events (standings, catalogs, decisions, copies for people) is derived again
/// from them; of a selection, what follows only from the whole log is named.
#[derive(Debug, clap::Args)]
pub(super) struct OfPack {
    /// The zip file
    #[arg(value_name = "FILE")]
    pack: PathBuf,
    /// Whom to trust: a policy file that is not from the pack
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
}

/// What is in an archive that was packed again, or why it cannot be told.
fn packed_again(bytes: &[u8], policy: &Policy, written: &ZipError) -> Result<Verified, PackError> {
    let files = match written {
        ZipError::Cut(_) => None,
        _ => loose::read(bytes),
    };
    let files = files.ok_or_else(|| PackError::Zip(written.clone()))?;
    let files = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    pack::verify_files(&files.collect(), policy)
}

pub(super) fn run(arguments: &OfPack) -> anyhow::Result<Answer> {
    let policy = super::policy(&arguments.policy)?;
    let bytes = super::read(&arguments.pack)?;
    let name = arguments.pack.display();
    let (verified, written) = match pack::verify(&bytes, &policy) {
        Err(PackError::Zip(written)) => (packed_again(&bytes, &policy, &written), Some(written)),
        verified => (verified, None),
    };
    let verified = match verified {
        Ok(verified) => verified,
        Err(PackError::Distrust(what, distrust)) => {
            let answer = super::distrusted(&what, &distrust);
            let Some(written) = written else { return Ok(answer) };
            output::line(format!("{name}: {written}"));
            return Ok(Answer::No);
        }
        Err(error) => {
            output::line(format!("{name}: {error}"));
            return Ok(match error {
                PackError::Zip(ZipError::Form(_) | ZipError::Written(_) | ZipError::Damaged(_))
                | PackError::Altered(_) => Answer::No,
                PackError::Zip(ZipError::Cut(_)) => Answer::Incomplete,
                _ if written.is_some() => Answer::No,
                _ => Answer::Incomplete,
            });
        }
    };
    let manifest = &verified.manifest;
    let mut differences = verified.differences;
    // What was altered stands before how it was packed.
    differences.extend(written.map(|written| written.to_string()));
    let derived = if differences.is_empty() {
        block_on(recompute(&bytes)).context("what follows from the events cannot be derived")?
    } else {
        Recomputed::default()
    };
    differences.extend(derived.differences);
    for difference in &differences {
        output::line(format!("{name}: {difference}"));
    }
    if !differences.is_empty() {
        return Ok(Answer::No);
    }
    let unknown = &verified.unknown;
    if let (Some(first), Some(last)) = (unknown.first(), unknown.last()) {
        output::line(format!(
            "{name}: nothing differs, and the log continues all of its checkpoints; but {} of them, at \
             {first} to {last} events, no key that the policy trusts has signed (a policy needs the \
             lines of keys that were retired as well)",
            unknown.len()
        ));
        return Ok(Answer::UnknownKey);
    }
    let checkpoints = if verified.checkpoints == 1 { "checkpoint" } else { "checkpoints" };
    output::line(format!(
        "{name}: intact; {} of {} events of {}, {} {checkpoints}",
        verified.events, manifest.size, manifest.origin, verified.checkpoints
    ));
    for (word, value) in &manifest.scope {
        output::line(format!("  only {word} {value}"));
    }
    output::line(format!("  root {}", manifest.root));
    super::print_erased(&verified.erased.erased);
    output::line(format!("  {} files were derived again from the events", derived.same));
    if derived.timestamps > 0 {
        output::line(format!(
            "  {} timestamps are of checkpoints of its history; verify the authority's signatures with \
             `openssl ts -verify -data X.note -in X.tsr -CAfile AUTHORITY.pem`",
            derived.timestamps
        ));
    }
    for not in &derived.not {
        output::line(format!("  not derived again: {not}"));
    }
    Ok(Answer::Yes)
}
