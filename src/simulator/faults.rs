//! Ways to misbehave, each one seen at a real server.

use std::time::Duration;

/// What a simulator does wrong. By default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// How long every answer is held back.
    pub delay: Duration,
    /// What becomes of an answer on its way out.
    pub answer: AnswerFault,
    /// How many requests `answer` spoils before all is well again; every one where none is told.
    pub answers_spoiled_max: Option<u32>,
    /// What goes wrong in `Patient?identifier=`.
    pub identifier: IdentifierFault,
    /// What goes wrong in `$everything` and in searches by patient.
    pub compartment: CompartmentFault,
    /// What goes wrong in `next` links.
    pub paging: PagingFault,
}

/// A fault in what is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AnswerFault {
    /// None.
    #[default]
    None,
    /// Another status and an OperationOutcome instead of the answer.
    Status {
        /// HTTP status, such as 503.
        status: u16,
        /// `Retry-After`, in seconds.
        retry_after_s: Option<u32>,
    },
    /// 200 with an HTML page, as a proxy's sign-in page.
    Html,
    /// 200 with the JSON cut off, as whole HTTP.
    Truncated {
        /// Bytes sent.
        bytes: usize,
    },
    /// The connection is broken within the body.
    Broken {
        /// Bytes sent before.
        bytes: usize,
    },
    /// The body stops and the connection stays open.
    Stalled {
        /// Bytes sent before.
        bytes: usize,
    },
}

/// A fault in how an identifier is resolved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdentifierFault {
    /// None.
    #[default]
    None,
    /// The criterion is ignored: every patient is returned.
    Ignored,
    /// A second patient is returned beside the right one.
    Several,
    /// Another patient is returned instead.
    AnotherPatient,
}

/// A fault in what belongs to a patient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CompartmentFault {
    /// None.
    #[default]
    None,
    /// The criterion is ignored: everybody's resources are returned.
    Ignored,
    /// Another patient's resources are returned.
    AnotherPatient,
}

/// A fault in paging.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PagingFault {
    /// None.
    #[default]
    None,
    /// From the second page on all criteria are forgotten.
    LosesCriteria,
    /// `next` leads to another origin, such as `https://elsewhere.example`.
    AnotherOrigin(String),
    /// There is always a next page, and its link is always new.
    Endless,
}
