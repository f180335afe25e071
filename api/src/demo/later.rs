//! What goes on after the day, so that it still shows every verdict an hour later: workers report,
//! what runs gets on, and what waits in time is replaced before it is overdue.

use serde_json::json;

use super::day::routine;
use super::player::Player;
use super::script::Script;

/// How often what waits is replaced, in minutes: less than the shortest window leaves.
const REPLACED: i64 = 4;

/// The script of the minute `minute` after the day.
fn script(minute: i64) -> Script {
    let mut script = Script::default();
    if minute % 5 == 0 {
        routine::report_in(&mut script, 0);
    }
    let done = (31 + minute).min(95);
    script.more_of("object backup").alive(0, json!({ "done": done, "total": 96 }));
    let tests = (212 + minute).min(479);
    let parts = json!({ "parts": { "build": [1, 1], "test": [tests, 480] } });
    script.more_of("pipeline 876").told_by("gitlab").alive(0, parts);
    script.more_of("connection sync").still_alive(0);
    if minute % REPLACED == 0 {
        super::day::under_way::replace_waiting(&mut script, minute / REPLACED);
    }
    script
}

impl Player {
    /// Plays minute after minute, for as long as it is polled.
    pub(super) async fn go_on(&mut self) -> anyhow::Result<()> {
        for minute in 1.. {
            tokio::time::sleep(std::time::Duration::from_secs(60)).await;
            self.play(script(minute).into_steps(), &|_, _| {}).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_minute_has_something_to_report() {
        for minute in 1..200 {
            assert!(!script(minute).into_steps().is_empty(), "{minute}");
        }
    }
}
