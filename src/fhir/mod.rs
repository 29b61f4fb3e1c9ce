//! FHIR R4 on the wire: resources kept byte for byte, with a typed head read beside them.
//!
//! Pure. No resource is parsed whole: a [`Resource`] is its raw JSON and an outline of it, a
//! [`Bundle`] an envelope over such resources, and each room reads just the elements it reasons
//! about. Unknown elements and decimals so survive as the source wrote them (`3.10` stays `3.10`).

pub mod bundle;
pub mod code_system;
mod criteria;
pub mod dates;
pub mod element;
pub mod identity_message;
pub mod outcome;
mod outline;
pub mod patient;
pub mod reference;
mod resource;
pub mod search;
pub mod search_parameters;
pub mod subject;
pub mod xml;

pub use bundle::Bundle;
pub use criteria::{Criteria, Follow, Verdict};
pub use element::{Element, Head};
pub use outcome::{Issue, IssueSeverity, IssueType, OperationOutcome};
pub use reference::Reference;
pub use resource::{InvalidResource, Link, NESTING_MAX, Resource, check_nesting};
pub use search::{InvalidSearch, Modifier, SearchParameter, SearchQuery, TokenSystem};

/// The media type of FHIR JSON.
pub const FHIR_JSON: &str = "application/fhir+json";
