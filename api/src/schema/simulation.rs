//! What a simulation found.

use super::{count, list, map, part, run, shape, text, time};

shape! {
    /// What another catalog would have changed, at one moment: as `runledger replay --json` tells it.
    SimulationShape = "Simulation" of JudgedShape, DifferingShape {
        "at": time(), "The moment at which both are judged.";
        "events": count(), "Events that were replayed.";
        "runs": count(), "Runs that were compared.";
        "present": part::<JudgedShape>(), "As it was judged.";
        "other": part::<JudgedShape>(), "Under the other catalog.";
        "differing": count(), "Runs that would have been judged differently.";
        "by_field": map(count()), "How many of them differ in what.";
        "differences": list(part::<DifferingShape>()), "The first of them, in the order of their ids.";
        "more": count(), "How many more there are than are listed.";
    }
}

shape! {
    /// What was judged by one side.
    JudgedShape = "Judged" {
        "catalog_sha256": text(), "SHA-256 of the catalog, in hexadecimal.";
        "follow_ups": count(), "Runs that need a person.";
        "stale": count(), "Runs that are past their window.";
    }
}

shape! {
    /// A run that would have been judged differently.
    DifferingShape = "Differing" of SidesShape {
        "run_id": run(), "Which one.";
        "operation": text(), "Its operation, as it is recorded.";
        "differences": list(part::<SidesShape>()), "What differs.";
        "why": list(part::<SidesShape>()), "The rules for this run that differ. None: other runs are judged differently, and this one with them.";
    }
}

shape! {
    /// One thing under both catalogs.
    SidesShape = "Sides" {
        "field": text(), "Which thing.";
        optional "present": text(), "As it was judged; left out where there was none.";
        optional "other": text(), "As the other catalog has it; left out where there is none.";
    }
}
