//! Journeys through a whole gateway: real mutual TLS, a real database, simulated members, invented
//! patients.
//!
//! `tests/it_postgres` is this very folder: the same suite on PostgreSQL.

mod answers;
mod people;
mod process;
#[path = "../../src/cache/test_redis.rs"]
mod test_redis;
#[path = "../../src/storage/test_server.rs"]
mod test_server;
mod wire;
mod world;

mod access;
mod answer_cache;
mod arrivals;
mod audit;
mod backup;
mod chaos;
mod cli;
mod directory;
mod discovery;
mod documents;
mod durability;
mod everything;
mod feed;
mod hanging_up;
mod health;
mod identifiers;
mod identity_messages;
mod imports;
mod jobs;
mod lifecycle;
mod matching;
mod member_office;
mod members;
mod messages;
mod mllp;
mod patient_ids;
mod reads;
mod regressions;
mod searches;
mod searching;
mod stewardship;
mod streaming;
mod summaries;
mod tls;
mod tokens;
mod watching;
mod xml;
