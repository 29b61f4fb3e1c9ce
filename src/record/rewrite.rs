//! Ids and references of one resource rewritten to the gateway's, every other byte kept.
//!
//! One pass over the raw JSON copies it and splices in four things: the top-level `id`,
//! `meta.source`, every `reference`, and every attachment `url` on the member's own server.
//! `#contained` references, `urn:` and other servers are left as they are. A Bundle is rewritten
//! only at its top: the references inside a document are resolved inside it (FHIR R4 §2.36.4).

use std::{borrow::Cow, collections::BTreeMap};

use super::{
    element::{Element, Head, is_space, skip_space, string_end, unescape},
    gateway_id::{gateway_id, is_hashed},
};
use crate::{
    domain::{EnterpriseId, MemberCode},
    fhir::Reference,
};

/// Elements of type Attachment in R4. The `url` of an extension is no link.
const ATTACHMENTS: &[&str] = &[
    "attachment",
    "content",
    "contentAttachment",
    "data",
    "image",
    "photo",
    "presentedForm",
    "sourceAttachment",
    "valueAttachment",
];

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
    /// How many elements it states, however deep: the measure of completeness.
    pub(super) elements: u32,
    /// Targets whose gateway id holds a hash: gateway id to type and original id.
    pub(super) hashed: BTreeMap<String, (String, String)>,
}

/// Rewrites one resource to its gateway id.
pub(super) fn rewrite(
    json: &str,
    head: &Head<'_>,
    resource_type: &str,
    id: &str,
    origin: &Origin<'_>,
) -> Rewritten {
    let mut writer = Writer::new(json, id, origin);
    writer.opening(head);
    writer.walk(resource_type == "Bundle");
    writer.finish()
}

struct Writer<'a> {
    json: &'a str,
    id: &'a str,
    origin: &'a Origin<'a>,
    out: String,
    copied: usize,
    elements: u32,
    hashed: BTreeMap<String, (String, String)>,
}

/// An open object or array: the name under which it stands.
struct Level<'a> {
    name: Cow<'a, str>,
    is_object: bool,
}

impl<'a> Writer<'a> {
    fn new(json: &'a str, id: &'a str, origin: &'a Origin<'a>) -> Self {
        let out = String::with_capacity(json.len() + json.len() / 8 + 256);
        Self { json, id, origin, out, copied: 0, elements: 0, hashed: BTreeMap::new() }
    }

    /// Adds what the top level lacks, right after its brace.
    fn opening(&mut self, head: &Head<'_>) {
        let Some(brace) = self.json.find('{') else { return };
        let mut added = String::new();
        if head.field("id").is_none() {
            added.extend(["\"id\":", &quoted(self.id), ","]);
        }
        if head.field("meta").is_none() {
            added.extend(["\"meta\":{\"source\":", &quoted(self.origin.base_url), "},"]);
        }
        if !added.is_empty() {
            self.splice(brace + 1, brace + 1, &added);
        }
    }

    fn walk(&mut self, top_only: bool) {
        let json = self.json;
        let bytes = json.as_bytes();
        let mut open: Vec<Level<'a>> = Vec::with_capacity(16);
        let mut name: Cow<'a, str> = Cow::Borrowed("");
        let mut i = 0;
        while let Some(byte) = bytes.get(i) {
            match byte {
                b'{' | b'[' => {
                    let level = Level { name: std::mem::take(&mut name), is_object: *byte == b'{' };
                    // Items of an array stand under the array's own name.
                    let level = match open.last() {
                        Some(parent) if !parent.is_object => {
                            Level { name: parent.name.clone(), ..level }
                        }
                        _ => level,
                    };
                    open.push(level);
                    i += 1;
                }
                b'}' | b']' => {
                    open.pop();
                    i += 1;
                }
                b'"' => {
                    let end = string_end(bytes, i);
                    let after = skip_space(bytes, end);
                    let in_object = open.last().is_some_and(|level| level.is_object);
                    if !in_object || bytes.get(after) != Some(&b':') {
                        i = end;
                        continue;
                    }
                    self.elements += 1;
                    let key = json.get(i + 1..end.saturating_sub(1)).unwrap_or_default();
                    name = unescape(key).unwrap_or_default();
                    i = self.value(&open, &name, skip_space(bytes, after + 1), top_only);
                }
                _ => i += 1,
            }
        }
    }

    /// Looks at the value of `name` at `at`; says where the walk goes on.
    fn value(&mut self, open: &[Level<'a>], name: &str, at: usize, top_only: bool) -> usize {
        let bytes = self.json.as_bytes();
        let top = open.len() == 1;
        if top && name == "id" {
            return self.replace(at, &quoted(self.id));
        }
        if top && name == "meta" {
            return self.meta(at);
        }
        let parent = open.last().map_or("", |level| &level.name);
        if open.len() == 2 && parent == "meta" && name == "source" {
            return self.replace(at, &quoted(self.origin.base_url));
        }
        if bytes.get(at) != Some(&b'"') {
            return at;
        }
        let end = string_end(bytes, at);
        let is_link = match name {
            "reference" => true,
            "url" => ATTACHMENTS.contains(&parent),
            _ => false,
        };
        if is_link && !top_only {
            let told = self.json.get(at + 1..end.saturating_sub(1)).and_then(unescape);
            if let Some(target) = told.and_then(|told| self.target(&told)) {
                self.splice(at, end, &quoted(&target));
            }
        }
        end
    }

    fn meta(&mut self, at: usize) -> usize {
        let source = quoted(self.origin.base_url);
        let rest = self.json.get(at..).unwrap_or_default();
        if !rest.starts_with('{') {
            // `"meta": null`, or a shape that FHIR does not know: the latter is left alone.
            let object = format!("{{\"source\":{source}}}");
            return if rest.starts_with("null") { self.replace(at, &object) } else { at };
        }
        if Element::new(rest).field("source").is_none() {
            let inside = at + 1;
            let first = skip_space(self.json.as_bytes(), inside);
            let comma = if self.json.as_bytes().get(first) == Some(&b'}') { "" } else { "," };
            self.splice(inside, inside, &format!("\"source\":{source}{comma}"));
        }
        at
    }

    /// The gateway's reference for a member's, where it leads to that member.
    fn target(&mut self, told: &str) -> Option<String> {
        let (resource_type, id) = Reference::parse(told).on_server(self.origin.base_url)?;
        if resource_type == "Patient" && self.origin.patient_ids.iter().any(|own| own == id) {
            return Some(format!("Patient/{}", self.origin.person));
        }
        let gateway = gateway_id(self.origin.member, resource_type, id);
        if is_hashed(&gateway) {
            self.hashed.insert(gateway.clone(), (resource_type.to_owned(), id.to_owned()));
        }
        Some(format!("{resource_type}/{gateway}"))
    }

    /// Replaces a scalar at `at`; says where it ended.
    fn replace(&mut self, at: usize, by: &str) -> usize {
        let bytes = self.json.as_bytes();
        let end = if bytes.get(at) == Some(&b'"') {
            string_end(bytes, at)
        } else {
            let stop = |b: &u8| matches!(b, b',' | b'}') || is_space(char::from(*b));
            bytes.iter().skip(at).position(stop).map_or(bytes.len(), |length| at + length)
        };
        self.splice(at, end, by);
        end
    }

    fn splice(&mut self, from: usize, to: usize, by: &str) {
        self.out.push_str(self.json.get(self.copied..from).unwrap_or_default());
        self.out.push_str(by);
        self.copied = to;
    }

    fn finish(mut self) -> Rewritten {
        self.out.push_str(self.json.get(self.copied..).unwrap_or_default());
        Rewritten { json: self.out, elements: self.elements, hashed: self.hashed }
    }
}

/// A JSON string.
pub(super) fn quoted(text: &str) -> String {
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
        let kind = Element::new(json).text_of("resourceType").expect("a type");
        let rewritten = rewrite(json, &Head::new(json), &kind, "m.1", &origin);
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
