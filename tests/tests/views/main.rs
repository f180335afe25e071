//! What the read models answer, on both databases.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

/// Runs a test on both databases.
macro_rules! on_both_databases {
    ($($test:ident => $sqlite:ident, $postgres:ident;)+) => {
        $(
            #[tokio::test]
            async fn $sqlite() {
                $test(World::sqlite().await).await;
            }

            #[tokio::test]
            async fn $postgres() {
                $test(World::postgres().await).await;
            }
        )+
    };
}

mod catalogs;
mod erased;
mod follow_ups;
mod lists;
mod past;
mod plans;
mod properties;
mod simulation;
mod story;
mod verify;
