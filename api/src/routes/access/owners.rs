//! No workspace loses its last owner but by the administrator of the server, who alone could make
//! another one.
//!
//! Whoever takes the role of an owner does so alone, in a lease: two owners who take each other's at
//! the same moment, on one server or on two, would else both be gone.

use std::time::Duration;

use axum::http::StatusCode;
use runledger_ledger::access::{PrincipalKind, Role};
use runledger_ledger::store::{Member, StoreError, TokenRow};
use runledger_ledger::time::Span;
use uuid::Uuid;

use super::change::Place;
use crate::problem::{ApiError, ApiResult};

/// How long somebody who is gone keeps others from it.
const LEASE: Span = Span::from_secs(10);
/// How often it is tried, and how long it is waited between.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// What an owner is about to lose.
#[derive(Clone, Copy)]
pub(super) enum Without<'a> {
    /// Their role.
    Member(Uuid),
    /// One of their tokens.
    Token(&'a TokenRow),
}

/// The right to take the role of an owner, or nothing where none is taken.
#[must_use = "it keeps others waiting until it ends"]
pub(super) struct Turn<'a> {
    place: Place<'a>,
    held: Option<(String, Uuid)>,
}

impl<'a> Place<'a> {
    /// Waits until nobody else takes the role of an owner here, if `role` is one.
    pub(super) async fn turn_of_owners(&self, role: Option<Role>) -> ApiResult<Turn<'a>> {
        let free = role != Some(Role::Owner) || self.access.principal().is_administrator();
        if free {
            return Ok(Turn { place: *self, held: None });
        }
        let holder = self.app.failure_id().map_err(ApiError::internal)?;
        let name = format!("owners/{}", self.workspace);
        let (store, ledger) = (self.app.ledger().store(), self.app.ledger());
        for _ in 0..TRIES {
            if store.take_lease(&name, holder, ledger.now(), LEASE).await? {
                return Ok(Turn { place: *self, held: Some((name, holder)) });
            }
            tokio::time::sleep(PAUSE).await;
        }
        let detail = "somebody else is changing the owners of the workspace; send it again";
        Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail))
    }
}

impl Turn<'_> {
    /// Refuses what would leave the workspace without an owner who could do anything: a program
    /// without a token that is taken is none.
    pub(super) async fn leaves_one(&self, without: Without<'_>) -> ApiResult<()> {
        if self.held.is_none() {
            return Ok(());
        }
        let (ledger, workspace) = (self.place.app.ledger(), self.place.workspace);
        let (store, now) = (ledger.store(), ledger.now());
        let tokens = store.tokens(workspace).await?;
        let counts = |row: &TokenRow| {
            let goes = matches!(without, Without::Token(token) if token.token == row.token);
            row.state(now) == "active" && !goes
        };
        let speaks = |one: &Member| {
            let principal = &one.principal;
            let of = |row: &&TokenRow| row.holder == principal.name && row.kind == principal.kind;
            principal.kind == PrincipalKind::Person || tokens.iter().filter(of).any(counts)
        };
        let stays =
            |one: &Member| !matches!(without, Without::Member(id) if id == one.principal.id);
        let members = store.members(workspace).await?;
        if members.iter().any(|one| one.role == Role::Owner && stays(one) && speaks(one)) {
            return Ok(());
        }
        let detail = "this is the only owner of the workspace; make somebody else an owner first";
        Err(ApiError::new(StatusCode::CONFLICT, "last_owner", detail))
    }

    /// Lets the next one have it.
    pub(super) async fn end(self) {
        let Some((name, holder)) = self.held else { return };
        let dropped: Result<(), StoreError> =
            self.place.app.ledger().store().drop_lease(&name, holder).await;
        if let Err(error) = dropped {
            tracing::warn!(%error, "the turn of owners is given back by its end alone");
        }
    }
}
