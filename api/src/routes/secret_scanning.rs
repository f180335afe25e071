//! Tokens of ours that a scanner has found where they should not be (specs/0023).
//!
//! Who reports is known by a signature and by nothing else. A token that is one and is taken is
//! revoked at once, and the log of its workspace says so. The answer tells of each token whether it
//! was one, as those who hold it could find out themselves.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use runledger_ledger::access::{AccessChange, TokenRevoked};
use runledger_ledger::event::Actor;
use runledger_ledger::store::TokenHolder;
use runledger_ledger::submission::{Command, Submission};
use runledger_ledger::words::{Name, Note, WorkspaceId};
use runledger_ledger::workspace::WorkspaceCommand;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::app::App;
use crate::extract::{self, Nothing, Query};
use crate::problem::{ApiError, ApiResult, Problems};
use crate::scanners::Scanners;
use crate::token::Secret;

/// Most bytes of a report: whoever sends it is not known until it is read.
const BYTES: usize = 1024 * 1024;
/// Most tokens of a report.
const TOKENS: usize = 1_000;
/// Most bytes of the place where a token was found, as the log keeps it.
const PLACE: usize = 300;
/// The headers that say who has signed, and how.
const IDENTIFIER: &str = "github-public-key-identifier";
const SIGNATURE: &str = "github-public-key-signature";
/// Who revokes what is found.
const ACTOR: &str = "secret-scanning";

/// A text that looks like a token of ours.
#[derive(Debug, Deserialize, ToSchema)]
pub struct FoundToken {
    /// What was found.
    token: String,
    /// What the scanner calls tokens of this form.
    #[serde(default, rename = "type")]
    kind: String,
    /// Where.
    #[serde(default)]
    url: Option<String>,
    /// In what: the content of a file, a commit, an issue.
    #[serde(default)]
    source: Option<String>,
}

/// What became of one that was found.
#[derive(Debug, Serialize, ToSchema)]
pub struct Label {
    /// The SHA-256 of what was found, in hex.
    token_hash: String,
    /// What the scanner called it.
    token_type: String,
    /// `true_positive` if it was a token that was taken until now.
    #[schema(value_type = String, example = "true_positive")]
    label: &'static str,
}

/// Report tokens that were found where they should not be.
///
/// For the secret scanning of code hosts, in the form of GitHub's partner programme. There is nothing
/// here unless the operator has named the public keys of scanners; the body is signed with one of
/// them. Every token that is taken is revoked at once.
#[utoipa::path(
    post,
    path = "/v1/secret-scanning",
    tag = "access",
    security(()),
    params(
        ("Github-Public-Key-Identifier" = String, Header, description = "Which key."),
        ("Github-Public-Key-Signature" = String, Header,
            description = "The signature of the body: ECDSA P-256 with SHA-256, DER, base64."),
    ),
    request_body = Vec<FoundToken>,
    responses((status = 200, description = "One label a token.", body = Vec<Label>), Problems)
)]
pub async fn report_found(
    State(app): State<App>,
    _: Query<Nothing>,
    headers: HeaderMap,
    body: Body,
) -> ApiResult<axum::Json<Vec<Label>>> {
    let Some(scanners) = app.scanners() else {
        return Err(ApiError::of_status(StatusCode::NOT_FOUND));
    };
    let body = axum::body::to_bytes(body, BYTES).await.map_err(|_| {
        let detail = format!("the report was cut off, or has more than {BYTES} bytes");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    })?;
    if !is_signed(scanners, &headers, &body) {
        let detail = "the report is not signed with a key that is named here";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "not_signed", detail));
    }
    let found: Vec<FoundToken> = serde_json::from_slice(&body).map_err(|error| {
        let detail = format!("the report is no list of tokens: {error}");
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail)
    })?;
    if found.len() > TOKENS {
        let detail = format!("a report has at most {TOKENS} tokens; send several");
        return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_tokens", detail));
    }
    let mut labels = Vec::with_capacity(found.len());
    for token in found {
        let label = if revoke(&app, &token).await? { "true_positive" } else { "false_positive" };
        let token_hash = hex::encode(Sha256::digest(&token.token));
        labels.push(Label { token_hash, token_type: token.kind, label });
    }
    Ok(axum::Json(labels))
}

fn is_signed(scanners: &Scanners, headers: &HeaderMap, body: &[u8]) -> bool {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let signed = header(IDENTIFIER).zip(header(SIGNATURE));
    signed.is_some_and(|(key, signature)| scanners.have_signed(key, signature, body))
}

/// Takes a token out of use, if it is one that is taken, and lets the log say so.
async fn revoke(app: &App, found: &FoundToken) -> ApiResult<bool> {
    if app.administrator().matches(found.token.trim()) {
        return revoke_administrators(app, found).await.map(|()| true);
    }
    let Some(secret) = Secret::read(&found.token) else { return Ok(false) };
    let (store, now) = (app.ledger().store(), app.ledger().now());
    let Some(holder) = store.token_holder(&secret.hash(), now).await? else { return Ok(false) };
    let TokenHolder { token, principal, grants, .. } = holder;
    let grant = grants.first().map(|grant| grant.workspace);
    let Some(workspace) = principal.workspace.or(grant) else { return Ok(false) };
    let revoked = store.revoke_token(workspace, token, now).await;
    app.directory().changed();
    if !revoked? {
        return Ok(false);
    }
    tracing::warn!(%workspace, %token, "a token was found by a scanner and revoked");
    let reason = Note::new(reason(found)).map_err(ApiError::internal)?;
    note(app, workspace, TokenRevoked { token, holder: principal.name, reason }).await?;
    Ok(true)
}

/// The same with the token of the administrator of the server, who is signed out as well: whoever had
/// it could sign in with it. The log of the server's own workspace says so.
async fn revoke_administrators(app: &App, found: &FoundToken) -> ApiResult<()> {
    match app.replace_administrator() {
        Ok(()) => tracing::error!(
            "the administrator's token was found by a scanner; it is not taken any more, and its \
             file has a new one"
        ),
        Err(error) => tracing::error!(
            %error,
            "the administrator's token was found by a scanner; it is not taken until the next \
             start: put another one into its file before"
        ),
    }
    app.ledger().store().end_web_sessions_of(None, None).await?;
    let workspace = extract::workspace(app, app.default_workspace().as_str()).await?;
    let token = app.failure_id().map_err(ApiError::internal)?;
    let holder = app.owner().actor().id.clone();
    let reason = Note::new(reason(found)).map_err(ApiError::internal)?;
    note(app, workspace, TokenRevoked { token, holder, reason }).await
}

async fn note(app: &App, workspace: WorkspaceId, change: TokenRevoked) -> ApiResult<()> {
    let command =
        Command::Workspace(WorkspaceCommand::NoteAccess(AccessChange::TokenRevoked(change)));
    let word = |text| Name::new(text).map_err(ApiError::internal);
    let actor = Actor { id: word(ACTOR)?, kind: word("system")? };
    let result = app.submit_one(workspace, Submission::new(command).by(actor)).await?;
    match result.problem {
        Some(problem) => Err(ApiError::internal(problem.detail)),
        None => Ok(()),
    }
}

/// Why a token is revoked, with the place where it was found: short, on one line, and without the
/// token.
fn reason(found: &FoundToken) -> String {
    let plain = |text: &str| -> String {
        let text: String = text.chars().filter(|letter| !letter.is_control()).collect();
        text.replace(&found.token, "…")
    };
    let mut reason = "found by secret scanning".to_owned();
    if let Some(source) = &found.source {
        reason.push_str(" in ");
        reason.push_str(&plain(source));
    }
    if let Some(url) = &found.url {
        reason.push_str(" at ");
        reason.push_str(&plain(url));
    }
    if reason.len() > PLACE {
        reason.truncate(reason.floor_char_boundary(PLACE));
        reason.push('…');
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_told_shortly_and_never_with_the_token() {
        let found = |url: &str| FoundToken {
            token: "rll_live_x".to_owned(),
            kind: String::new(),
            url: Some(url.to_owned()),
            source: Some("content".to_owned()),
        };
        let told = reason(&found("https://example.org/a?t=rll_live_x\nb"));
        assert_eq!(told, "found by secret scanning in content at https://example.org/a?t=…b");
        let long = reason(&found(&"ä".repeat(4_000)));
        assert!(long.len() <= PLACE + 3 && Note::new(long).is_ok());
    }
}
