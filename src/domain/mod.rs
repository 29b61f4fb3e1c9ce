//! The words everybody in the house uses: identifiers, demographics, dates, purposes.
//!
//! The ground floor. Pure: no clock, network, file or randomness.

mod address;
mod clock;
mod demographics;
mod identifiers;
mod partial_date;
mod person;
mod purpose;

pub use address::Address;
pub use clock::Clock;
pub use demographics::{
    Demographics, Identifier, IdentifierKind, IdentifierUse, Name, NameUse, Sex,
};
pub use identifiers::{
    EnterpriseId, InvalidEnterpriseId, InvalidLocalId, InvalidLogicalId, InvalidMemberCode,
    LocalId, LogicalId, MemberCode, RecordKey, RequestId,
};
pub use partial_date::{InvalidDate, PartialDate};
pub use person::PersonRecords;
pub use purpose::{PurposeOfUse, UnknownPurpose};
