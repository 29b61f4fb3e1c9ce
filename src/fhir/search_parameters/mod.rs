//! Which search parameters each resource type has, and what they read (FHIR R4, US Core 6.1.0).

mod table;

use std::borrow::Cow;

use super::{
    Element, Head,
    code_system::{canonical_code, known_system},
    dates::TimeRange,
    search::{Token, TokenSystem},
    subject::is_patient_data,
};
use table::{IDENTIFIER, OWN, PATIENT, SUBJECT, WITH_SUBJECT};

/// A search parameter on one resource type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// As FHIR names it.
    pub name: &'static str,
    /// How it compares.
    pub kind: ParameterKind,
    /// Elements that it reads, dots between them. Choices (`effective[x]`) are spelled out; an
    /// extension is named by its URL.
    paths: &'static [&'static str],
}

/// FHIR's type of a search parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the types of FHIR R4 search-param-type")]
pub enum ParameterKind {
    Token,
    Date,
    Text,
    /// A reference to a Patient.
    Patient,
    /// A reference to resources of these types.
    Reference {
        targets: &'static [&'static str],
    },
}

impl ParameterKind {
    /// `CapabilityStatement.rest.resource.searchParam.type`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Date => "date",
            Self::Text => "string",
            Self::Patient | Self::Reference { .. } => "reference",
        }
    }
}

/// What a parameter finds in one resource.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the parts of a Coding or Identifier")]
pub enum ReadValue<'a> {
    Token { system: Option<Cow<'a, str>>, code: Cow<'a, str> },
    Date(TimeRange),
    Text(Cow<'a, str>),
    Reference(Cow<'a, str>),
}

impl ReadValue<'_> {
    /// Whether a token means this value, however its code system is spelled.
    pub fn is_token(&self, token: &Token<'_>) -> bool {
        let Self::Token { system, code } = self else { return false };
        if token.matches(system.as_deref(), code) {
            return true;
        }
        let Some(known) = system.as_deref().and_then(known_system) else { return false };
        let in_system = match &token.system {
            TokenSystem::Any => true,
            TokenSystem::None => false,
            TokenSystem::Is(told) => known_system(told).is_some_and(|told| told == known),
        };
        let spelled = |code: &str| canonical_code(&known, Cow::Borrowed(code)).into_owned();
        in_system && token.code.as_ref().is_none_or(|told| spelled(told) == spelled(code))
    }
}

impl Parameter {
    const fn token(name: &'static str, paths: &'static [&'static str]) -> Self {
        Self { name, kind: ParameterKind::Token, paths }
    }

    const fn date(name: &'static str, paths: &'static [&'static str]) -> Self {
        Self { name, kind: ParameterKind::Date, paths }
    }

    const fn text(name: &'static str, paths: &'static [&'static str]) -> Self {
        Self { name, kind: ParameterKind::Text, paths }
    }

    const fn reference(
        name: &'static str,
        paths: &'static [&'static str],
        targets: &'static [&'static str],
    ) -> Self {
        Self { name, kind: ParameterKind::Reference { targets }, paths }
    }

    /// The types of resources that it may refer to.
    pub const fn targets(&self) -> &'static [&'static str] {
        match self.kind {
            ParameterKind::Reference { targets } => targets,
            _ => &[],
        }
    }

    /// Reads its values out of a resource. What has another shape than FHIR's is not found.
    pub fn read<'a>(&self, resource: Head<'a>) -> Vec<ReadValue<'a>> {
        let mut values = Vec::new();
        for element in self.elements(resource) {
            match self.kind {
                ParameterKind::Token => read_tokens(element, &mut values),
                ParameterKind::Date => values.extend(read_date(element).map(ReadValue::Date)),
                ParameterKind::Text => values.extend(element.text().map(ReadValue::Text)),
                ParameterKind::Patient | ParameterKind::Reference { .. } => {
                    // A canonical URL, or a Reference.
                    let told = element.text().or_else(|| element.text_of("reference"));
                    values.extend(told.map(ReadValue::Reference));
                }
            }
        }
        values
    }

    fn elements<'a>(&self, resource: Head<'a>) -> Vec<Element<'a>> {
        let mut found = Vec::new();
        for path in self.paths {
            if path.contains("://") {
                let extensions = resource.field("extension").into_iter().flat_map(Element::items);
                let named = extensions.filter(|one| one.text_of("url").as_deref() == Some(path));
                found.extend(named.filter_map(|one| one.field("valueDateTime")));
                continue;
            }
            for element in resource.at(path) {
                if element.is_array() {
                    found.extend(element.items());
                } else {
                    found.push(element);
                }
            }
        }
        found
    }
}

fn read_tokens<'a>(element: Element<'a>, values: &mut Vec<ReadValue<'a>>) {
    if let Some(code) = element.text() {
        values.push(ReadValue::Token { system: None, code });
    } else if matches!(element.raw(), "true" | "false") {
        values.push(ReadValue::Token { system: None, code: Cow::Borrowed(element.raw()) });
    } else if element.is_object() {
        for coding in element.field("coding").into_iter().flat_map(Element::items) {
            read_tokens(coding, values);
        }
        // A Coding has a code, an Identifier or ContactPoint a value.
        if let Some(code) = element.text_of("code").or_else(|| element.text_of("value")) {
            values.push(ReadValue::Token { system: element.text_of("system"), code });
        }
    }
}

fn read_date(element: Element<'_>) -> Option<TimeRange> {
    if let Some(text) = element.text() {
        return TimeRange::parse(&text).ok();
    }
    let (start, end) = (element.text_of("start"), element.text_of("end"));
    if start.is_none() && end.is_none() {
        return None;
    }
    TimeRange::period(start.as_deref(), end.as_deref()).ok()
}

/// Without case and accents, as string parameters compare.
pub fn fold(text: &str) -> String {
    any_ascii::any_ascii(text).to_ascii_lowercase()
}

/// The parameters of a type beside `_id` and `_lastUpdated`, as R4 names them.
pub fn parameters_of(resource_type: &str) -> impl Iterator<Item = Parameter> + use<> {
    let patient = is_patient_data(resource_type).then_some(PATIENT);
    let subject = WITH_SUBJECT.contains(&resource_type).then_some(SUBJECT);
    patient.into_iter().chain(subject).chain(own_parameters(resource_type).iter().copied())
}

/// The parameter of a type by its name.
pub fn parameter(resource_type: &str, name: &str) -> Option<Parameter> {
    parameters_of(resource_type).find(|parameter| parameter.name == name)
}

/// The date by which resources of a type are told in order: when it was, or was written.
pub fn main_date(resource_type: &str) -> Option<Parameter> {
    parameters_of(resource_type).find(|parameter| parameter.kind == ParameterKind::Date)
}

/// The types that have parameters of their own here.
pub fn described_types() -> impl Iterator<Item = &'static str> {
    OWN.iter().map(|(resource_type, _)| *resource_type)
}

fn own_parameters(resource_type: &str) -> &'static [Parameter] {
    let row = OWN.iter().find(|(own, _)| *own == resource_type);
    row.map_or(&[IDENTIFIER], |(_, parameters)| parameters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::Resource;

    fn check(json: &str, name: &str, expected: &[ReadValue<'_>]) {
        let resource = Resource::parse(json.as_bytes()).expect("a resource");
        let parameter = parameter(resource.resource_type(), name).expect("defined");
        assert_eq!(parameter.read(resource.head()), expected, "{name}");
    }

    fn token<'a>(system: Option<&'a str>, code: &'a str) -> ReadValue<'a> {
        ReadValue::Token { system: system.map(Cow::Borrowed), code: Cow::Borrowed(code) }
    }

    #[test]
    fn tokens_are_read_from_codes_concepts_and_identifiers() {
        let observation = r#"{"resourceType":"Observation","status":"final",
            "identifier":[{"system":"urn:x","value":"1"}],
            "code":{"coding":[{"system":"http://loinc.org","code":"8480-6"},{"code":"BP"}]}}"#;
        check(observation, "status", &[token(None, "final")]);
        check(observation, "identifier", &[token(Some("urn:x"), "1")]);
        let loinc = token(Some("http://loinc.org"), "8480-6");
        check(observation, "code", &[loinc, token(None, "BP")]);
        check(r#"{"resourceType":"Patient","active":true}"#, "active", &[token(None, "true")]);
    }

    #[test]
    fn dates_are_read_from_each_choice() {
        let at = |more: &str, found: bool| {
            let day = ReadValue::Date(TimeRange::parse("2024-03-01").expect("a date"));
            let expected = if found { vec![day] } else { vec![] };
            check(&format!(r#"{{"resourceType":"Procedure",{more}}}"#), "date", &expected);
        };
        at(r#""performedDateTime":"2024-03-01""#, true);
        at(r#""performedPeriod":{"start":"2024-03-01","end":"2024-03-01"}"#, true);
        at(r#""performedPeriod":{}"#, false);
        at(r#""performedDateTime":7"#, false);
        at(r#""performedDateTime":"2019-02-30""#, false);
    }

    #[test]
    fn a_date_is_read_from_its_extension() {
        let condition = r#"{"resourceType":"Condition","extension":[{"url":"http://x","valueDateTime":"2020"},
            {"url":"http://hl7.org/fhir/StructureDefinition/condition-assertedDate","valueDateTime":"2024"}]}"#;
        let year = TimeRange::parse("2024").expect("a date");
        check(condition, "asserted-date", &[ReadValue::Date(year)]);
    }

    #[test]
    fn no_type_names_a_parameter_twice() {
        let types: std::collections::BTreeSet<_> = described_types().collect();
        assert_eq!(types.len(), described_types().count(), "a type stands in the table twice");
        for resource_type in described_types() {
            let mut names: Vec<_> = parameters_of(resource_type).map(|p| p.name).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{resource_type}");
        }
    }
}
