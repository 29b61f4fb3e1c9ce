//! FHIR R4 on the wire: resources kept byte for byte, with a typed head read beside them.
//!
//! Pure. No resource is parsed whole: a [`Resource`] is its raw JSON plus its type and id, a
//! [`Bundle`] an envelope over such resources, and each room reads just the elements it reasons
//! about. Unknown elements and decimals so survive as the source wrote them (`3.10` stays `3.10`).

pub mod bundle;
pub mod dates;
pub mod outcome;
pub mod patient;
pub mod reference;
mod resource;
pub mod search;
pub mod subject;

pub use bundle::Bundle;
pub use outcome::{Issue, IssueSeverity, IssueType, OperationOutcome};
pub use reference::Reference;
pub use resource::{InvalidResource, NESTING_MAX, Resource, check_nesting};

/// The media type of FHIR JSON.
pub const FHIR_JSON: &str = "application/fhir+json";
