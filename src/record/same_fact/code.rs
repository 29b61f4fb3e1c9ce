//! Codes, whoever wrote them: one spelling for each code system and each code.

use std::borrow::Cow;

pub(in crate::record) use crate::fhir::code_system::{LOINC, SNOMED, known_system};
use crate::fhir::{Element, code_system::canonical_code};

/// A code in a known system, both in their canonical spelling.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::record) struct Code<'a> {
    pub(in crate::record) system: Cow<'a, str>,
    pub(in crate::record) code: Cow<'a, str>,
}

/// One `Coding`, where its system is known.
pub(in crate::record) fn coding(element: Element<'_>) -> Option<Code<'_>> {
    let told = element.text_of("system")?;
    let system = match told {
        Cow::Borrowed(told) => known_system(told)?,
        Cow::Owned(told) => Cow::Owned(known_system(&told)?.into_owned()),
    };
    let code = canonical_code(&system, element.text_of("code")?);
    (!code.is_empty()).then_some(Code { system, code })
}

/// The known codes of a CodeableConcept, a Coding, or a list of either; sorted.
pub(in crate::record) fn codes(element: Element<'_>) -> Vec<Code<'_>> {
    let mut found = Vec::new();
    for item in element.items() {
        match item.field("coding") {
            Some(list) => found.extend(list.items().filter_map(coding)),
            None => found.extend(coding(item)),
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether two concepts are one: they share a code, and disagree in no system that both speak.
pub(in crate::record) fn agree(a: &[Code<'_>], b: &[Code<'_>]) -> bool {
    let shared = |code: &Code<'_>| b.contains(code);
    a.iter().any(shared)
        && a.iter().all(|code| {
            let spoken = b.iter().any(|other| other.system == code.system);
            !spoken || a.iter().filter(|own| own.system == code.system).any(shared)
        })
}

/// Free text as it is compared where it is the statement itself: case and spacing aside.
pub(in crate::record) fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn concept(json: &str) -> Vec<Code<'_>> {
        codes(Element::new(json))
    }

    #[test]
    fn concepts_agree_by_code_and_never_by_display() {
        let a = concept(r#"{"coding":[{"system":"http://loinc.org","code":"1","display":"X"}]}"#);
        let b = concept(
            r#"{"coding":[{"system":"urn:oid:2.16.840.1.113883.6.1","code":"1","display":"Y"},{"system":"local","code":"9"}]}"#,
        );
        let c = concept(r#"{"coding":[{"system":"http://loinc.org","code":"2","display":"X"}]}"#);
        let none = concept(r#"{"coding":[{"system":"local","code":"9"}],"text":"X"}"#);
        assert!(agree(&a, &b) && !agree(&a, &c) && !agree(&none, &none));
    }

    #[test]
    fn concepts_that_disagree_in_one_system_are_two() {
        let both = |sct: &str| {
            format!(
                r#"{{"coding":[{{"system":"http://loinc.org","code":"1"}},{{"system":"http://snomed.info/sct","code":"{sct}"}}]}}"#
            )
        };
        assert!(!agree(&concept(&both("5")), &concept(&both("6"))));
    }

    #[test]
    fn codes_have_one_spelling() {
        let icd = |code: &str| {
            format!(r#"{{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"{code}"}}"#)
        };
        assert_eq!(concept(&icd("e11.9")), concept(&icd("E119")));
    }
}
