//! Whether a server may begin to sign (specs/0029): what it has written down of what was signed fits
//! the database, and its keys are those that signed.

use std::path::Path;

use runledger_ledger::checkpoints::{Anchors, Gap, SignError, Signer};
use runledger_ledger::clock::{Clock, Entropy};
use runledger_ledger::store::{Store, StoreUrl};

use crate::server::CannotUse;
use crate::settings::Settings;
use crate::signing_key::KeySource;

/// The directory of what was signed, in the data directory.
pub(crate) const DIRECTORY: &str = "signed";
const ACCEPT: &str = "`runledger database accept`";

/// Makes the key on the first start, and refuses to begin where a key, a log or the record of what was
/// signed is missing.
pub(crate) async fn begin(
    store: &Store,
    settings: &Settings,
    source: &KeySource,
    clock: &Clock,
    entropy: &Entropy,
) -> anyhow::Result<()> {
    let unusable = |what: String| -> anyhow::Error {
        CannotUse::new("checkpoints cannot be signed, and a server does not run without", what)
            .into()
    };
    if source.is_missing()
        && let Some((log, size)) = signed(store).await?
    {
        let what = format!(
            "the signing key {source} is not there, and {size} events of the log of {log} are signed \
             with it: put it back from a backup, or, if it is lost, say so with \
             `runledger keys replace`"
        );
        return Err(unusable(what));
    }
    let keys = source.load_or_make(entropy).map_err(|error| {
        CannotUse::new("checkpoints cannot be signed, and a server does not run without", error)
    })?;
    let anchors = Anchors::new(settings.data_dir.join(DIRECTORY));
    let signer = Signer::new(store.clone(), clock.clone(), anchors.clone());
    let mut gaps = match signer.gaps().await {
        Ok(gaps) => gaps,
        // The signer finds it again, and says what it means.
        Err(SignError::Store(error)) => return Err(error.into()),
        Err(error) => return Err(CannotUse::new("what was signed cannot be read", error).into()),
    };
    gaps.retain(|gap| !is_elsewhere(gap, settings));
    let fresh = gaps.iter().any(|gap| matches!(gap, Gap::Nothing { .. }));
    if fresh && store.sqlite().is_none() && store.is_led(clock.now()).await? {
        tracing::info!("another server signs these logs; what it has signed is taken over");
        gaps.retain(|gap| !matches!(gap, Gap::Nothing { .. }));
    }
    if let Some(gap) = gaps.first() {
        return Err(unusable(sentence(gap, &anchors, &settings.data_dir)));
    }
    for (log, name) in store.workspaces().await? {
        // What else is wrong stops one log, and not the server.
        if let Err(error @ SignError::Keys { .. }) = signer.knows(log, &keys).await {
            return Err(unusable(format!("the log of {name}: {error}")));
        }
    }
    Ok(())
}

/// The first log that was signed, by its name, and how many events of it were.
async fn signed(store: &Store) -> anyhow::Result<Option<(String, u64)>> {
    for (log, name) in store.workspaces().await? {
        if let Some(last) = store.last_checkpoint(log).await? {
            return Ok(Some((name, last.size)));
        }
    }
    Ok(None)
}

/// Whether a log that is missing on PostgreSQL may be one of the embedded database that lies in the
/// same data directory.
pub(crate) fn is_elsewhere(gap: &Gap, settings: &Settings) -> bool {
    let embedded = settings.data_dir.join("ledger.db");
    matches!(gap, Gap::Gone { .. })
        && matches!(settings.database, StoreUrl::Postgres(_))
        && embedded.is_file()
}

/// What is missing, where, and what to do.
pub(crate) fn sentence(gap: &Gap, anchors: &Anchors, data_dir: &Path) -> String {
    match gap {
        Gap::Gone { log, signed } => {
            let signed = signed.map_or_else(
                || "was signed".to_owned(),
                |signed| format!("was signed with {signed} events"),
            );
            format!(
                "the log {log} {signed}, as {} says, and it is not in the database: it was wiped, or \
                 this is another database than before. Put the database back, or name the data \
                 directory of this one; if that log is lost for good, say so with \
                 `runledger database accept --lost {log}`",
                anchors.file(*log).display()
            )
        }
        Gap::Removed { log } => format!(
            "what was signed of the log {log} was written down in {}, and that file is gone or empty: \
             put it back from a backup, or have the log checked against its last checkpoint and accepted \
             with {ACCEPT}",
            anchors.file(*log).display()
        ),
        Gap::Nothing { log, signed } => format!(
            "{signed} events of the log {log} are signed, and nothing of it is written down in {}: put \
             that directory back from a backup. If this server is new to the database, or the \
             directory is lost, have the logs checked against their last checkpoints and accepted \
             with {ACCEPT}",
            data_dir.join(DIRECTORY).display()
        ),
    }
}
