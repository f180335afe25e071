//! The limit: COPY of the rows that our own appends made, into the same tables and indexes.

use futures::TryStreamExt as _;
use sqlx::{Connection as _, PgConnection};
use tokio::time::Instant;

use anyhow::ensure;

use super::append::per_second;
use super::stand::Site;

const OUT: &str = "COPY (SELECT * FROM events ORDER BY workspace_id, position) \
     TO STDOUT (FORMAT binary)";
const TABLE: &str = "CREATE TABLE copied (LIKE events INCLUDING ALL)";
const IN: &str = "COPY copied FROM STDIN (FORMAT binary)";

/// The rows of a log as PostgreSQL sends them.
#[derive(Debug)]
pub struct Rows {
    bytes: Vec<u8>,
    count: usize,
}

impl Rows {
    /// The rows of the log at `site`, which is on PostgreSQL.
    ///
    /// # Errors
    /// When it is not, or they cannot be read.
    pub async fn of(site: &Site) -> anyhow::Result<Self> {
        let Some(url) = &site.admin else {
            anyhow::bail!("COPY is PostgreSQL's");
        };
        let mut connection = PgConnection::connect(url).await?;
        let head = site.ledger.store().head(site.workspace).await?;
        let count = usize::try_from(head.map_or(0, |head| head.size()))?;
        let mut bytes = Vec::new();
        {
            let mut out = connection.copy_out_raw(OUT).await?;
            while let Some(piece) = out.try_next().await? {
                bytes.extend_from_slice(&piece);
            }
        }
        connection.close().await?;
        Ok(Rows { bytes, count })
    }

    /// Bytes a row, about.
    pub const fn row_bytes(&self) -> usize {
        self.bytes.len() / self.count
    }

    /// Copies them into an empty table in the database at `url`, in one transaction; rows a second.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn copy_into(&self, url: &str) -> anyhow::Result<f64> {
        let mut connection = PgConnection::connect(url).await?;
        sqlx::query(TABLE).execute(&mut connection).await?;
        let started = Instant::now();
        let mut copy = connection.copy_in_raw(IN).await?;
        for piece in self.bytes.chunks(1 << 20) {
            copy.send(piece).await?;
        }
        let copied = copy.finish().await?;
        let rate = per_second(self.count, started.elapsed());
        ensure!(copied == self.count as u64, "{copied} rows of {} were copied", self.count);
        sqlx::query("DROP TABLE copied").execute(&mut connection).await?;
        connection.close().await?;
        Ok(rate)
    }
}
