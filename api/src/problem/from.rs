//! Which problem each error of the crates below is. One place, so that a status is decided once.

use axum::http::StatusCode;
use runledger_adapters::registry::RegistryErrors;
use runledger_ledger::catalog::CatalogErrors;
use runledger_ledger::ledger::{CreateError, SubmitError};
use runledger_ledger::store::StoreError;
use runledger_projections::ViewError;

use super::{ApiError, Flaw};
use crate::ingest::{BodyError, ItemError};
use crate::reconciler::ReconcileError;

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => unavailable().caused_by(error),
            StoreError::Archived(archived) => (*archived).into(),
            _ => ApiError::internal(error),
        }
    }
}

fn unavailable() -> ApiError {
    let detail = "the database cannot be reached or is too busy; send the request again";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", detail)
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        let busy = |code| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, code, error.to_string());
        match &error {
            SubmitError::NoWorkspace => unknown_workspace(),
            SubmitError::TooMany => ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_many_events",
                format!("{error}; send several requests"),
            ),
            SubmitError::Overloaded => busy("overloaded"),
            SubmitError::Halted(_) => busy("log_forked"),
            SubmitError::Closing => busy("closing"),
            SubmitError::Store(cause) if matches!(**cause, StoreError::Unavailable(_)) => {
                busy("database_unavailable").caused_by(error)
            }
            SubmitError::Store(cause) => match &**cause {
                StoreError::Archived(archived) => (**archived).clone().into(),
                _ => ApiError::internal(error),
            },
            SubmitError::Entropy(_) => ApiError::internal(error),
        }
    }
}

impl From<CreateError> for ApiError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Exists(_) => {
                ApiError::new(StatusCode::CONFLICT, "workspace_exists", error.to_string())
            }
            CreateError::Refused(refusal) => {
                let detail = format!("`catalog`: {refusal}; nothing was made");
                ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, refusal.code(), detail)
            }
            CreateError::Submit(error) => error.into(),
            CreateError::Store(error) => error.into(),
        }
    }
}

impl From<CatalogErrors> for ApiError {
    fn from(errors: CatalogErrors) -> Self {
        let flaw = |error: &runledger_ledger::catalog::CatalogError| Flaw {
            detail: error.message.clone(),
            pointer: None,
            line: error.line,
        };
        let detail = "the catalog cannot be used; `errors` says what is wrong, by line";
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_catalog", detail)
            .with_errors(errors.errors().iter().map(flaw))
    }
}

impl From<RegistryErrors> for ApiError {
    fn from(errors: RegistryErrors) -> Self {
        let flaw = |error: &runledger_adapters::registry::RegistryError| Flaw {
            detail: error.to_string(),
            pointer: None,
            line: None,
        };
        let detail = "the catalog does not fit the adapters of the server; `errors` says where";
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "adapters_do_not_fit", detail)
            .with_errors(errors.errors().iter().map(flaw))
    }
}

impl From<ReconcileError> for ApiError {
    fn from(error: ReconcileError) -> Self {
        match error {
            ReconcileError::Projection(error) => ViewError::from(error).into(),
            ReconcileError::Store(error) => error.into(),
            ReconcileError::Submit(error) => error.into(),
            ReconcileError::Word(error) => ApiError::internal(error),
        }
    }
}

/// The one answer for a workspace that is not there and for one that is not the caller's.
pub fn unknown_workspace() -> ApiError {
    ApiError::not_found("unknown_workspace", "there is no such workspace")
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
        ApiError::new(status, error.code(), error.to_string())
    }
}

impl From<ItemError> for ApiError {
    fn from(error: ItemError) -> Self {
        let status = StatusCode::from_u16(error.status());
        let status = status.unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
        let problem = ApiError::new(status, error.code, error.detail);
        match error.pointer {
            Some(pointer) => problem.with("pointer", pointer.into()),
            None => problem,
        }
    }
}
