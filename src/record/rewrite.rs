//! Ids and references of one resource rewritten to the gateway's, every other byte kept.
//!
//! Four things are spliced into the raw JSON, at the places that its outline tells: the top-level
//! `id`, `meta.source`, every `reference`, and every attachment `url` on the member's own server.
//! `#contained` references, `urn:` and other servers are left as they are. A Bundle is rewritten
//! only at its top: the references inside a document are resolved inside it (FHIR R4 §2.36.4).

use std::{borrow::Cow, collections::BTreeMap, ops::Range};

use super::gateway_id::{gateway_id, is_hashed};
use crate::{
    domain::{EnterpriseId, MemberCode},
    fhir::{Element, Reference, Resource},
};

/// Where a resource comes from, and whose it is.
pub(super) struct Origin<'a> {
    pub(super) member: &'a MemberCode,
    pub(super) base_url: &'a str,
    /// Ids of this person's Patient resources there.
    pub(super) patient_ids: &'a [String],
    pub(super) person: EnterpriseId,
}

/// A rewritten resource.
pub(super) struct Rewritten {
    pub(super) json: String,
    /// Targets whose gateway id holds a hash: gateway id to type and original id.
    pub(super) hashed: BTreeMap<String, (String, String)>,
}

/// Rewrites one resource to its gateway id.
pub(super) fn rewrite(resource: &Resource, id: &str, origin: &Origin<'_>) -> Rewritten {
    let mut hashed = BTreeMap::new();
    let mut splices = Vec::with_capacity(8);
    own_elements(resource, id, origin, &mut splices);
    if resource.resource_type() != "Bundle" {
        let links = resource.links().filter_map(|link| {
            let target = origin.target(&link.text()?, &mut hashed)?;
            Some((link.range(), Cow::Owned(quoted(&target))))
        });
        splices.extend(links);
    }
    splices.sort_by_key(|(at, _)| (at.start, at.end));
    Rewritten { json: spliced(resource.json(), &splices), hashed }
}

/// Bytes of the JSON, and what stands there instead.
type Splice<'a> = (Range<usize>, Cow<'a, str>);

/// What the top level says of itself: `id` and `meta.source`, added where it lacks them.
fn own_elements<'a>(
    resource: &Resource,
    id: &str,
    origin: &'a Origin<'_>,
    splices: &mut Vec<Splice<'a>>,
) {
    let json = resource.json();
    let (id, source) = (quoted(id), quoted(origin.base_url));
    let mut added = String::new();
    if resource.field_ranges("id").next().is_none() {
        added.extend(["\"id\":", &id, ","]);
    }
    for at in resource.field_ranges("id") {
        splices.push((at, Cow::Owned(id.clone())));
    }
    for at in resource.source_ranges() {
        splices.push((at, Cow::Owned(source.clone())));
    }
    let mut metas = resource.field_ranges("meta").peekable();
    if metas.peek().is_none() {
        added.extend(["\"meta\":{\"source\":", &source, "},"]);
    }
    for at in metas {
        let told = json.get(at.clone()).unwrap_or_default();
        if told == "null" {
            splices.push((at, Cow::Owned(format!("{{\"source\":{source}}}"))));
        } else if told.starts_with('{') && Element::new(told).field("source").is_none() {
            let is_empty = told.trim_start_matches('{').trim_start().starts_with('}');
            let comma = if is_empty { "" } else { "," };
            let inside = at.start + 1;
            splices.push((inside..inside, Cow::Owned(format!("\"source\":{source}{comma}"))));
        }
        // A shape that FHIR does not know is left alone.
    }
    if !added.is_empty() {
        splices.push((1..1, Cow::Owned(added)));
    }
}

fn spliced(json: &str, splices: &[Splice<'_>]) -> String {
    let added: usize = splices.iter().map(|(_, by)| by.len()).sum();
    let mut out = String::with_capacity(json.len() + added);
    let mut copied = 0;
    for (at, by) in splices {
        out.push_str(json.get(copied..at.start).unwrap_or_default());
        out.push_str(by);
        copied = at.end;
    }
    out.push_str(json.get(copied..).unwrap_or_default());
    out
}

impl Origin<'_> {
    /// The gateway's reference for a member's, where it leads to that member.
    fn target(
        &self,
        told: &str,
        hashed: &mut BTreeMap<String, (String, String)>,
    ) -> Option<String> {
        let (resource_type, id) = Reference::parse(told).on_server(self.base_url)?;
        if resource_type == "Patient" && self.patient_ids.iter().any(|own| own == id) {
            return Some(format!("Patient/{}", self.person));
        }
        let gateway = gateway_id(self.member, resource_type, id);
        let target = format!("{resource_type}/{gateway}");
        if is_hashed(&gateway) {
            hashed.insert(gateway, (resource_type.to_owned(), id.to_owned()));
        }
        Some(target)
    }
}

/// A JSON string.
pub(super) fn quoted(text: &str) -> String {
    if text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\') {
        return format!("\"{text}\"");
    }
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: &str) {
        let member = MemberCode::parse("m").expect("a code");
        let patient_ids = ["7".to_owned()];
        let origin = Origin {
            member: &member,
            base_url: "https://m.example/fhir",
            patient_ids: &patient_ids,
            person: EnterpriseId::from_u128(1),
        };
        let resource = Resource::parse(json.as_bytes()).expect("a resource");
        let rewritten = rewrite(&resource, "m.1", &origin);
        assert_eq!(rewritten.json, expected);
        serde_json::from_str::<serde::de::IgnoredAny>(&rewritten.json).expect("still JSON");
    }

    const SOURCE: &str = r#""source":"https://m.example/fhir""#;

    #[test]
    fn everything_but_ids_and_references_stays_byte_for_byte() {
        check(
            r#"{ "resourceType" : "Observation","id":"1","meta":{"tag":[ ]},"x":{"y":3.10, "reference":7},"note":"\u00e4 \"reference\":\"Patient/7\""}"#,
            &format!(
                r#"{{ "resourceType" : "Observation","id":"m.1","meta":{{{SOURCE},"tag":[ ]}},"x":{{"y":3.10, "reference":7}},"note":"\u00e4 \"reference\":\"Patient/7\""}}"#
            ),
        );
    }

    #[test]
    fn what_the_top_level_lacks_is_added() {
        check(
            r#"{"resourceType":"Basic"}"#,
            &format!(r#"{{"id":"m.1","meta":{{{SOURCE}}},"resourceType":"Basic"}}"#),
        );
        check(
            r#"{"resourceType":"Basic","id":null,"meta":{ }}"#,
            &format!(r#"{{"resourceType":"Basic","id":"m.1","meta":{{{SOURCE} }}}}"#),
        );
        check(
            r#"{"meta":null,"resourceType":"Basic","id":"1"}"#,
            &format!(r#"{{"meta":{{{SOURCE}}},"resourceType":"Basic","id":"m.1"}}"#),
        );
    }

    #[test]
    fn an_inbound_source_is_replaced_after_a_reference_before_it() {
        check(
            r#"{"resourceType":"Basic","id":"1","meta":{"extension":[{"url":"u","valueReference":{"reference":"Device/2"}}],"source":"old","security":[{"code":"R"}]}}"#,
            &format!(
                r#"{{"resourceType":"Basic","id":"m.1","meta":{{"extension":[{{"url":"u","valueReference":{{"reference":"Device/m.2"}}}}],{SOURCE},"security":[{{"code":"R"}}]}}}}"#
            ),
        );
    }

    fn check_reference(told: &str, expected: &str) {
        let resource = |reference: &str, id: &str, source: &str| {
            format!(
                r#"{{"resourceType":"Basic","id":"{id}","meta":{{{source}}},"a":[{{"b":{{"reference":"{reference}"}}}}]}}"#
            )
        };
        check(&resource(told, "1", ""), &resource(expected, "m.1", SOURCE));
    }

    #[test]
    fn references_lead_to_the_gateway() {
        let person = "Patient/00000000-0000-0000-0000-000000000001";
        check_reference("Patient/7", person);
        check_reference("https://m.example/fhir/Patient/7/_history/2", person);
        check_reference(r"Patient\/7", person);
        check_reference("Patient/8", "Patient/m.8");
        check_reference("http://m.example/fhir/Device/2", "Device/m.2");
        check_reference("Device/2/_history/9", "Device/m.2");
        for left in ["#7", "urn:uuid:7", "https://other.example/fhir/Patient/7", "Patient?x=7"] {
            check_reference(left, left);
        }
    }

    #[test]
    fn a_key_written_with_escapes_does_not_hide_a_reference() {
        let json = format!(
            r#"{{"resourceType":"Basic","id":"1","meta":{{{SOURCE}}},"s":{{"\u0072eference":"Patient/7"}}}}"#
        );
        let expected = json
            .replace("\"1\"", "\"m.1\"")
            .replace("Patient/7", "Patient/00000000-0000-0000-0000-000000000001");
        check(&json, &expected);
    }

    #[test]
    fn attachments_lead_to_the_gateway_and_extensions_stay() {
        check(
            r#"{"resourceType":"DocumentReference","id":"1","meta":{},"content":[{"attachment":{"url":"https://m.example/fhir/Binary/5"}}],"extension":[{"url":"https://m.example/fhir/StructureDefinition/5"}]}"#,
            &format!(
                r#"{{"resourceType":"DocumentReference","id":"m.1","meta":{{{SOURCE}}},"content":[{{"attachment":{{"url":"Binary/m.5"}}}}],"extension":[{{"url":"https://m.example/fhir/StructureDefinition/5"}}]}}"#
            ),
        );
    }

    #[test]
    fn a_document_keeps_its_inner_references() {
        check(
            r#"{"resourceType":"Bundle","id":"1","entry":[{"resource":{"subject":{"reference":"Patient/7"}}}]}"#,
            &format!(
                r#"{{"meta":{{{SOURCE}}},"resourceType":"Bundle","id":"m.1","entry":[{{"resource":{{"subject":{{"reference":"Patient/7"}}}}}}]}}"#
            ),
        );
    }
}
