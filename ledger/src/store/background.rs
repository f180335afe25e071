//! What servers over one database tell each other: who does which background work, and when one of
//! them could last listen.

use uuid::Uuid;

use super::{Scope, Store, StoreError};
use crate::time::{Moment, Span};

const TAKE_LEASE: &str = "INSERT INTO leases (name, holder, expires_at) VALUES ($1, $2, $3) \
     ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at \
     WHERE leases.holder = excluded.holder OR leases.expires_at <= $4";
const DROP_LEASE: &str = "DELETE FROM leases WHERE name = $1 AND holder = $2";
const LED: &str = "SELECT count(*) FROM leases WHERE expires_at > $1";
const LISTENED: &str = "SELECT listened_at FROM listening WHERE id = 1";
const NOTE_LISTENING: &str = "INSERT INTO listening (id, listened_at) VALUES (1, $1) \
     ON CONFLICT (id) DO UPDATE SET listened_at = excluded.listened_at \
     WHERE excluded.listened_at > listening.listened_at";

const TAKE_LISTENING_BACK: &str =
    "UPDATE listening SET listened_at = $2 WHERE id = 1 AND listened_at = $1";

impl Store {
    /// Takes or keeps the lease `name` for `holder` until `now` and `length` more. False if
    /// somebody else has it.
    pub async fn take_lease(
        &self,
        name: &str,
        holder: Uuid,
        now: Moment,
        length: Span,
    ) -> Result<bool, StoreError> {
        let taken = on_both!(write self, Scope::Service, |connection| {
            sqlx::query(TAKE_LEASE)
                .bind(name)
                .bind(holder)
                .bind(now.plus(length).micros())
                .bind(now.micros())
                .execute(connection)
                .await?
                .rows_affected()
        });
        Ok(taken > 0)
    }

    /// Gives a lease back, so that nobody has to wait for its end.
    pub async fn drop_lease(&self, name: &str, holder: Uuid) -> Result<(), StoreError> {
        on_both!(write self, Scope::Service, |connection| {
            sqlx::query(DROP_LEASE).bind(name).bind(holder).execute(connection).await?;
        });
        Ok(())
    }

    /// Whether a server does background work over this database now, or did until some seconds ago.
    pub async fn is_led(&self, now: Moment) -> Result<bool, StoreError> {
        let leases: i64 = on_both!(read self, Scope::Service, |connection| {
            sqlx::query_scalar(LED).bind(now.micros()).fetch_one(connection).await?
        });
        Ok(leases > 0)
    }

    /// When a server last noted that it could listen.
    pub async fn listened_at(&self) -> Result<Option<Moment>, StoreError> {
        let row: Option<(i64,)> = on_both!(read self, Scope::Service, |connection| {
            sqlx::query_as(LISTENED).fetch_optional(connection).await?
        });
        Ok(row.map(|(micros,)| Moment::from_micros(micros)))
    }

    /// Sets the mark back from `wrong` to `now`: a clock had run ahead when it was set, and has been
    /// set right since. Nothing happens if the mark has changed meanwhile.
    pub async fn take_listening_back(&self, wrong: Moment, now: Moment) -> Result<(), StoreError> {
        on_both!(write self, Scope::Service, |connection| {
            sqlx::query(TAKE_LISTENING_BACK)
                .bind(wrong.micros())
                .bind(now.micros())
                .execute(connection)
                .await?;
        });
        Ok(())
    }

    /// Notes that a server can listen now. The mark does not go back; for that, there is
    /// [`Store::take_listening_back`].
    pub async fn note_listening(&self, now: Moment) -> Result<(), StoreError> {
        on_both!(write self, Scope::Service, |connection| {
            sqlx::query(NOTE_LISTENING).bind(now.micros()).execute(connection).await?;
        });
        Ok(())
    }
}
