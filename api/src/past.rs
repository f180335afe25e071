//! Reads that the log alone answers: what was so at a moment, folded from the events of one stream
//! (specs/0029); and why what is not in the log is of now alone.

use runledger_ledger::event::{Recorded, Stream};
use runledger_ledger::time::Moment;
use runledger_ledger::words::WorkspaceId;
use runledger_projections::{AsOf, Sight};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::problem::{ApiError, ApiResult};
use crate::when;

/// Events that are read in one go.
const PAGE: u32 = 1_000;

/// As of which moment something is asked.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AsOfThen {
    /// As of this moment: an RFC 3339 time, a position of the log, or a checkpoint of it, by its size
    /// (`size:1200`) or its root in hexadecimal (`root:…`). Left out, it is now.
    as_of: Option<String>,
}

/// A moment that was.
#[derive(Clone, Copy, Debug)]
pub struct Then {
    /// How many events of the log count.
    pub size: u64,
    /// The moment.
    pub at: Moment,
    /// Whether it was named by a time. Else it was named by an event or a checkpoint, and stands for all
    /// the time until the next event.
    pub by_time: bool,
}

impl AsOfThen {
    /// The moment that is meant; none is now.
    pub async fn then(&self, app: &App, workspace: WorkspaceId) -> ApiResult<Option<Then>> {
        let Some(as_of) = self.as_of.as_deref() else { return Ok(None) };
        let sight = Sight::default();
        let (size, at) = when::size(app, workspace, &sight, Some(as_of), None).await?;
        let by_time = matches!(when::as_of(Some(as_of))?, when::Said::AsOf(AsOf::Moment(_)));
        Ok(Some(Then { size, at, by_time }))
    }
}

/// The events of one stream among the first `size` of a log.
pub async fn told(
    app: &App,
    workspace: WorkspaceId,
    stream: Stream,
    size: u64,
) -> ApiResult<Vec<Recorded>> {
    let mut events: Vec<Recorded> = Vec::new();
    loop {
        let after = events.last().map_or(0, |last| last.sequence);
        let page = app.ledger().store().stream(workspace, stream, after, PAGE).await?;
        let is_last = page.len() < PAGE as usize || page.iter().any(|one| one.position >= size);
        for stored in page.iter().filter(|stored| stored.position < size) {
            events.push(Recorded::decode(&stored.body).map_err(ApiError::internal)?);
        }
        if is_last {
            return Ok(events);
        }
    }
}

/// Why `as_of` is not taken at a path.
pub fn why_now(path: &str) -> &'static str {
    let at = |end: &str| path.ends_with(end) || path.contains(&format!("{end}/"));
    if at("/adapters") {
        "how the sources of adapters answer is looked at and not recorded; what an adapter proved is in \
         the log of the run that it proved it of (`runs/{run}/timeline`), and no list of it is kept by \
         adapter"
    } else if at("/simulations") {
        "simulations are kept in the memory of this server and are not in the log; to simulate as of a \
         moment, give `as_of` to the simulation"
    } else if at("/log") {
        "tiles and proofs are named by positions and sizes, and never change; a proof between two \
         checkpoints takes `to`, and `log/status` and `log/checkpoint` take `as_of`"
    } else if at("/correlations") {
        "what an id of another system names is answered as a report of now would be"
    } else {
        "what is asked for here is of now alone"
    }
}
