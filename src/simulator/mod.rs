//! A member's FHIR R4 server over mutual TLS, to try an integration with.
//!
//! It serves resources as they lie in files, byte for byte, and answers reads, searches and
//! `Patient/$everything` as its CapabilityStatement declares. It can also misbehave on purpose,
//! as servers in the field do: see [`Faults`].

mod answer;
mod capabilities;
mod control;
mod data;
mod everything;
mod faults;
mod matching;
mod pages;
mod running;
mod search;
mod server;
mod tokens;

pub use control::{Control, ControlError};
pub use data::{InvalidData, MemberData, ResourceFault};
pub use faults::{
    AnswerFault, CertificateFault, CompartmentFault, Faults, IdentifierFault, MatchFault,
    PagingFault, TokenFault,
};
pub use running::{Simulator, SimulatorOptions, StartError, TlsFaults};
pub use tokens::{ClientProof, TokenRules};

#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod tests;
