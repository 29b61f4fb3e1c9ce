//! Tessera: a record-locator and query gateway for a health information exchange.
//!
//! `ARCHITECTURE.md` draws the house; `tests/house.rs` keeps it standing.

pub mod access;
pub mod api;
pub mod app;
pub mod cache;
pub mod cli;
pub mod config;
pub mod directory;
pub mod domain;
pub mod exchange;
pub mod federation;
pub mod fhir;
pub mod hl7v2;
pub mod index;
pub mod matching;
pub mod mllp;
pub mod record;
pub mod simulator;
pub mod storage;
pub mod telemetry;
pub mod tls;
