//! What changed between two moments.

use super::answers::{CountsShape, FollowUpItemShape};
use super::standing::StandingShape;
use super::{count, flag, list, part, shape, time};

shape! {
    /// What changed in a workspace between two moments.
    DiffShape = "Diff" of SideShape, FollowUpItemShape, ChangedItemShape, GoneItemShape {
        "from": part::<SideShape>(), "The earlier moment.";
        "to": part::<SideShape>(), "The later moment.";
        "appeared": list(part::<FollowUpItemShape>()), "Things to do that are there only later.";
        "changed": list(part::<ChangedItemShape>()),
            "Those that are there at both, and not with the same runs or the same verdict.";
        "gone": list(part::<GoneItemShape>()), "Those that were there only earlier.";
        "complete": flag(),
            "False if there was more than is compared: 2,000 things of a moment, the latest first.";
    }
}

shape! {
    /// One of two moments.
    SideShape = "Side" of CountsShape {
        "at": time(), "When it is.";
        optional "events": count(),
            "How many events of the log count then; left out for who sees only some environments.";
        "counts": part::<CountsShape>(), "How many runs and things to do there are then.";
    }
}

shape! {
    /// A thing to do that is there at both moments.
    ChangedItemShape = "ChangedItem" of FollowUpItemShape {
        "from": part::<FollowUpItemShape>(), "As it was.";
        "to": part::<FollowUpItemShape>(), "As it is.";
    }
}

shape! {
    /// A thing to do that is not there any more.
    GoneItemShape = "GoneItem" of FollowUpItemShape, StandingShape {
        "item": part::<FollowUpItemShape>(), "As it was.";
        optional "now": part::<StandingShape>(),
            "Its latest run at the later moment, whose verdict says why it has gone.";
    }
}

shape! {
    /// One run at two moments.
    RunDiffShape = "RunDiff" of StandingShape {
        optional "from": part::<StandingShape>(),
            "Its standing at the earlier one; none if nothing was recorded of it then.";
        optional "to": part::<StandingShape>(), "Its standing at the later one.";
        "recorded_changed": flag(), "Whether anything that is recorded of it differs.";
        "now_changed": flag(), "Whether its freshness, its verdict or what a person is told differs.";
    }
}
