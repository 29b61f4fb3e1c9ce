//! Asks members for a person's record: in parallel, within deadlines, trusting none of them.
//!
//! What a member returns is evidence, not truth: nothing leaves this room that was not verified
//! to be about the patient asked for. A member that is slow, broken or silent is an outcome in
//! the answer, never an error. The room runs on a tokio runtime of its own, since a connection is
//! driven by the runtime that dialled it and the HTTP workers have one thread each.

mod member_base;
mod settings;

pub use member_base::{InvalidMemberBase, MemberBase};
pub use settings::{FederationSettings, MemberLimits};
