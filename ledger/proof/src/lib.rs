//! What an auditor needs: hashes and proofs of RFC 6962, and the formats of C2SP that carry them.
//!
//! It knows no network, no database and no clock, and no crate of ours. Whatever it reads may come
//! from an adversary: what is not written exactly as its format says is refused, everything has a
//! size that it may have at most, and nothing panics.

pub mod archive;
pub mod checkpoint;
pub mod erasure;
pub mod merkle;
pub mod note;
pub mod pack;
pub mod policy;
pub mod receipt;
mod text;
pub mod tile;
pub mod timestamp;
pub mod walk;
pub mod witness;
pub mod zip;
