//! The reconciler, on both databases: what falls due by itself, what adapters prove, and several
//! servers at it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod lifecycle;
mod logs;
mod observers;
mod owners;
mod program;
mod remote;
mod servers;
mod world;
