//! How far a log is signed, what its witnesses say, and what became of its bodies: now, or then.

use axum::extract::State;
use runledger_ledger::store::{Bodies, SignedCheckpoint};
use runledger_ledger::time::Moment;
use runledger_ledger::words::WorkspaceId;
use runledger_proof::policy::Witness;
use serde::Serialize;
use utoipa::ToSchema;

use super::{last_then, note};
use crate::app::App;
use crate::cosigners::{Cosigners, Witnessed};
use crate::extract::{Query, Workspace};
use crate::past::AsOfThen;
use crate::problem::{ApiResult, Problems};

/// How far a log is signed and witnessed.
#[derive(Debug, Serialize, ToSchema)]
pub struct LogStatus {
    /// Events in it.
    size: u64,
    /// Why it takes no more events, if it takes none. As of a moment, it is not told: it is in no log.
    #[serde(skip_serializing_if = "Option::is_none")]
    halted: Option<String>,
    /// The last checkpoint, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<LastCheckpoint>,
    /// The witnesses that the operator names now, also as of a moment.
    witnesses: Vec<WitnessStatus>,
    /// What became of bodies.
    bodies: BodiesStatus,
}

/// The last checkpoint of a log.
#[derive(Debug, Serialize, ToSchema)]
pub struct LastCheckpoint {
    /// Events that it is about.
    size: u64,
    /// Their root, in hexadecimal.
    root: String,
    /// When it was signed, or a witness signed it last (RFC 3339).
    signed_at: String,
    /// Whether the operator's policy of now asks for witnesses.
    quorum_required: bool,
    /// Whether those that have signed it are enough for that policy.
    quorum: bool,
}

/// What a witness says of a log.
#[derive(Debug, Serialize, ToSchema)]
pub struct WitnessStatus {
    /// What the operator calls it.
    name: String,
    /// Its key.
    key: String,
    /// Whether it has signed the last checkpoint.
    signed: bool,
    /// When it did, by its own clock (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_at: Option<String>,
    /// Why it did not when it was asked last by this server. It is of now alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// Whether it has seen another history than this one. It is of now alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    fork: Option<bool>,
}

/// What became of the bodies of events. Their leaf hashes and proofs stay.
#[derive(Debug, Serialize, ToSchema)]
pub struct BodiesStatus {
    /// Erasures that were completed; `erasures` has each of them.
    erasures: u64,
    /// When the last one was (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    last_erased_at: Option<String>,
    /// Archives that bodies gave way to.
    archived: u64,
    /// When they last did (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    last_archived_at: Option<String>,
    /// Of these, archives whose bodies were put back.
    restored: u64,
}

/// How far the log is signed, what its witnesses say, and what became of its bodies.
///
/// A witness that has seen another history is the last defence against a ledger that was rewritten
/// together with its signing key: `fork` is true then, and the server's own log says so too.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/log/status",
    tag = "evidence",
    params(("workspace" = String, Path, description = "The name of the workspace."), AsOfThen),
    responses((status = 200, description = "How it stands.", body = LogStatus), Problems)
)]
pub async fn status(
    State(app): State<App>,
    Workspace(workspace): Workspace,
    Query(asked): Query<AsOfThen>,
) -> ApiResult<axum::Json<LogStatus>> {
    let store = app.ledger().store();
    let then = asked.then(&app, workspace).await?;
    let (size, last) = match then {
        Some(then) => (then.size, last_then(store, workspace, then).await?),
        None => {
            let size = store.head(workspace).await?.map_or(0, |head| head.size());
            (size, store.last_checkpoint(workspace).await?)
        }
    };
    let halted = app.ledger().halted(workspace).filter(|_| then.is_none());
    let witnessed = witnessed(&app, last.as_ref())?;
    let witnesses = app.cosigners().map_or_else(Vec::new, |cosigners| {
        let all = cosigners.witnesses().iter();
        all.map(|one| witness(workspace, cosigners, one, &witnessed, then.is_none())).collect()
    });
    let quorum_required = app.cosigners().is_some_and(Cosigners::asks_for_quorum);
    let checkpoint = last.map(|last| LastCheckpoint {
        size: last.size,
        root: hex::encode(last.root),
        signed_at: last.signed_at.to_string(),
        quorum_required,
        quorum: witnessed.quorum,
    });
    let bodies = store.bodies_before(workspace, size).await?.into();
    let halted = halted.map(|why| why.to_string());
    Ok(axum::Json(LogStatus { size, halted, checkpoint, witnesses, bodies }))
}

/// Which of the witnesses that are named now have signed a checkpoint. What they signed is in the note
/// that was kept then: signatures that came later are in a later one.
fn witnessed(app: &App, last: Option<&SignedCheckpoint>) -> ApiResult<Witnessed> {
    let parsed = last.map(note).transpose()?;
    Ok(match (app.cosigners(), &parsed) {
        (Some(cosigners), Some(note)) => cosigners.witnessed(note),
        (cosigners, _) => {
            let quorum = !cosigners.is_some_and(Cosigners::asks_for_quorum);
            Witnessed { signed: Vec::new(), quorum }
        }
    })
}

fn witness(
    workspace: WorkspaceId,
    cosigners: &Cosigners,
    witness: &Witness,
    witnessed: &Witnessed,
    is_now: bool,
) -> WitnessStatus {
    let signed = witnessed.signed.iter().find(|(key, _)| *key == witness.key);
    let at = signed.and_then(|(_, seconds)| i64::try_from(*seconds).ok());
    let refusal = cosigners.said(workspace, &witness.name).refusal;
    let fork = refusal.as_ref().is_some_and(|refusal| refusal.fork);
    WitnessStatus {
        name: witness.name.clone(),
        key: witness.key.to_string(),
        signed: signed.is_some(),
        signed_at: at.map(|at| Moment::from_micros(at.saturating_mul(1_000_000)).to_string()),
        fork: is_now.then_some(fork),
        problem: refusal.filter(|_| is_now).map(|refusal| refusal.problem),
    }
}

impl From<Bodies> for BodiesStatus {
    fn from(bodies: Bodies) -> Self {
        BodiesStatus {
            erasures: bodies.erasures,
            last_erased_at: bodies.last_erased_at.map(|at| at.to_string()),
            archived: bodies.archived,
            last_archived_at: bodies.last_archived_at.map(|at| at.to_string()),
            restored: bodies.restored,
        }
    }
}
