//! What is true now, derived from what the ledger recorded: the rules of freshness, queues,
//! actionability, progress and guidance, the read models that keep what follows from them, and the
//! texts in which people read them.

mod adapter_health;
mod ahead;
mod as_of;
mod db;
mod deadlines;
mod derivation;
mod diff;
mod fold;
mod follower;
mod lease;
mod moved;
mod observing;
mod projections;
mod projector;
mod query;
mod rebuild;
mod remote_claims;
pub mod rules;
mod saved_views;
mod sight;
mod simulation;
mod tables;
pub mod texts;
mod timeline;
mod verify;
mod view;
mod wakes;

pub use adapter_health::{AdapterHealth, HealthNote};
pub use as_of::AsOf;
pub use deadlines::Overdue;
pub use derivation::Derivation;
pub use diff::{Changed, Diff, Gone, RunDiff, Side, diff, run_diff};
pub use follower::FOLLOWER_LEASE;
pub use observing::{Due, Looked, SubjectRound};
pub use projections::{Lag, Projections};
pub use projector::{ProjectionError, VERSION};
pub use query::{
    Counted, Counts, EnvironmentStanding, Facets, FamilyCounts, FamilyView, FollowUpCounts,
    FollowUpFilter, FollowUpItem, Front, Health, ItemOrder, Left, OfLate, OldestItem,
    OperationCounts, OperationStanding, Overview, Page, PageError, PageRequest, QueueStanding,
    RecentCount, RecentOutcome, RecentRuns, RunFilter, StaleRun, Watched, Why, Windows,
    WorkspaceStanding, watch,
};
pub use rebuild::Progress;
pub use remote_claims::Claim;
pub use saved_views::{Kept, SavedView};
pub use sight::Sight;
pub use simulation::{Differing, Judged, Sides, Simulation};
pub use timeline::{
    Cause, Entry, FreshnessThen, Period, QueueLife, QueueThen, Timeline, Truncated, VerdictThen,
};
pub use verify::{Difference, Verification, VerifyProgress, VerifyStep};
pub use view::{View, ViewError};
pub use wakes::{
    Agenda, Candidate, Followed, Forgotten, Rescheduled, Round, RunNews, Selection, Wake,
};
