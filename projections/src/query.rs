//! What can be asked of a view: one family of questions a file.
//!
//! Every question costs a constant number of statements, each of them scoped by workspace and
//! generation first and answered from one index; what no index answers looks into a bounded window
//! and says how far it came. All statements of a question see one moment of the database.

mod counts;
mod everywhere;
mod facets;
mod follow_ups;
mod front;
mod named;
mod of_late;
mod operations;
mod page;
mod queues;
mod recent;
mod runs;
mod scan;
mod standings;
mod statement;
mod watch;
mod why;

pub use counts::{Counts, EnvironmentStanding, FollowUpCounts, Health, Overview};
pub use everywhere::WorkspaceStanding;
pub use facets::{Facets, FamilyCounts};
pub use follow_ups::{FollowUpFilter, FollowUpItem, ItemOrder};
pub use front::Front;
pub use of_late::{OfLate, OldestItem, StaleRun};
pub use operations::{FamilyView, OperationCounts, OperationStanding, RecentOutcome, Windows};
pub use page::{Page, PageError, PageRequest};
pub use queues::QueueStanding;
pub(crate) use queues::{QueueTruths, queue_standings};
pub use recent::{Left, RecentCount, RecentRuns};
pub use runs::RunFilter;
pub use scan::Counted;
pub(crate) use statement::{Statement, Value};
pub use watch::{Watched, watch};
pub use why::Why;
