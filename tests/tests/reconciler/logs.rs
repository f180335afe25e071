//! What an operator reads of the seam.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use runledger_adapters::adapter::SourceClass;
use runledger_ledger::time::Span;
use runledger_tests::book::{ADAPTER, Book, OPERATION};
use serde_json::Value;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::world::{World, database};

/// All that was logged.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Said {
    fn entries(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The only entry with this message.
    fn entry(&self, message: &str) -> Value {
        let mut found = self.entries();
        found.retain(|entry| entry["fields"]["message"] == message);
        assert_eq!(found.len(), 1, "{message:?} was to be said once:\n{}", self.text());
        found.remove(0)
    }

    /// The pages that were judged, as they were traced when they ended.
    fn pages(&self) -> Vec<Value> {
        let mut found = self.entries();
        found.retain(|entry| {
            entry["fields"]["message"] == "close" && entry["span"]["name"] == "judge"
        });
        found
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

#[tokio::test]
async fn the_log_says_who_decided_what_and_how_long_it_took_and_nothing_of_the_evidence() {
    let said = Said::default();
    let writer = said.clone();
    let log = tracing_subscriber::fmt()
        .json()
        .with_span_events(FmtSpan::CLOSE)
        .with_env_filter(EnvFilter::new("runledger=trace,runledger_adapters=trace"))
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(log);
    let book = Book::default();
    let world = World::new(database("sqlite").await, book.registry().unwrap()).await;
    let run = world.dispatched(OPERATION).await;
    book.done(run, "77");
    world.go_to(Span::from_secs(600)).await;
    book.break_as(Some(SourceClass::Timeout));
    world.look().await;
    let failed = said.entry("a source gave no answer")["fields"].clone();
    assert_eq!((&failed["adapter"], &failed["class"]), (&ADAPTER.into(), &"timeout".into()));
    book.break_as(None);
    world.go_to(Span::from_secs(700)).await;
    world.look().await;
    let entry = said.entry("a run was reconciled");
    let decided = &entry["fields"];
    for (field, value) in [
        ("adapter", ADAPTER),
        ("run", &run.to_string()),
        ("operation", OPERATION),
        ("decision", "succeeded"),
        ("related", "sync/77"),
    ] {
        assert_eq!(decided[field], value, "{decided}");
    }
    assert!(decided["took"].is_string(), "{decided}");
    // The entry is in the trace of its page, which says how long all of it took.
    assert_eq!(entry["span"]["name"], "judge", "{entry}");
    let mut pages = said.pages();
    pages.retain(|page| page["span"]["adapter"] == ADAPTER && page["span"]["recorded"] == 1);
    let [page] = &pages[..] else { panic!("{}", said.text()) };
    assert_eq!(page["span"]["runs"], 1, "{page}");
    assert!(page["fields"]["time.busy"].is_string(), "{page}");
    assert!(!said.text().contains("sync_id"), "{}", said.text());
}
