//! FHIR XML, to and from FHIR JSON, by a table of what R4 defines (`generate.py`).
//!
//! Inside the gateway everything is JSON; XML is made and taken apart where it comes in and goes out.
//! What R4 defines survives both ways: decimals as they were written, the extensions of primitives,
//! contained resources, narratives byte for byte. Memory is bounded by the text itself: JSON is taken
//! apart where it stands.

mod json;
mod read;
mod table;
#[cfg(test)]
mod tests;
mod write;
mod xhtml;

pub use read::{InvalidXml, to_json};
pub use write::to_xml;

use quick_xml::XmlVersion;

/// The media type of FHIR XML.
pub const FHIR_XML: &str = "application/fhir+xml";

const FHIR_NAMESPACE: &str = "http://hl7.org/fhir";
const XHTML_NAMESPACE: &str = "http://www.w3.org/1999/xhtml";
const VERSION: XmlVersion = XmlVersion::Implicit1_0;
