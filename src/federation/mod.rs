//! Asks members for a person's record: in parallel, within deadlines, trusting none of them.
//!
//! What a member returns is evidence, not truth: nothing leaves this room that was not verified
//! to be about the patient asked for. A member that is slow, broken or silent is an outcome in
//! the answer, never an error. The room runs on a tokio runtime of its own, since a connection is
//! driven by the runtime that dialled it and the HTTP workers have one thread each.

mod answer_cache;
mod breaker;
mod capability;
mod checkup;
mod checkup_discovery;
mod checkup_record;
mod connection;
mod discovery;
mod fan_out;
mod health;
mod http;
mod identity;
mod kept_answer;
mod member_base;
mod member_client;
mod outcome;
mod plan;
mod query;
mod read_alone;
mod retry;
mod room;
mod settings;
mod sieve;
mod statement;
mod token;
mod visit;
mod walk;
mod whose;
mod window;

pub use capability::{Capabilities, ServedType};
pub use checkup::{Checkup, Probe, Step, StepResult};
pub use connection::GatewayIdentity;
pub use discovery::{Candidate, Candidates};
pub use fan_out::{FanOut, Federation, FederationError};
pub use health::MemberHealth;
pub use identity::IdentityJudge;
pub use member_base::{InvalidMemberBase, MemberBase};
pub use outcome::{
    Cut, Doubt, DropReason, Dropped, Emptiness, Fault, Gap, Identity, MemberOutcome, NotAsked,
    RecordAnswer, Refusal, Status, Withholding,
};
pub use query::{RecordQuery, SoughtRecord, Target};
pub use room::Held;
pub use settings::FederationSettings;

#[cfg(test)]
mod tests;
