//! Journeys through a whole gateway: real mutual TLS, a real database, simulated members, invented
//! patients.

mod answers;
mod people;
mod process;
mod world;

mod access;
mod audit;
mod cli;
mod durability;
mod everything;
mod feed;
mod health;
mod lifecycle;
mod matching;
mod members;
mod regressions;
mod tls;
