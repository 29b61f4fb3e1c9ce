//! `tessera demo`: the whole job on one machine, over real mutual TLS.
#![allow(dead_code)]

mod answer;
mod brief;
mod holdings;
mod invented;
mod report;
mod truth;
