//! Tessera: a record-locator and query gateway for a health information exchange.
//!
//! `ARCHITECTURE.md` draws the house; `tests/house.rs` keeps it standing.

pub mod access;
pub mod cli;
pub mod directory;
pub mod cli;
pub mod domain;
pub mod fhir;
pub mod matching;
pub mod storage;
pub mod record;
pub mod simulator;
pub mod telemetry;
pub mod tls;
pub mod index;
pub mod matching;
pub mod storage;
