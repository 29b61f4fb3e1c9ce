//! The content of an element as it is compared: spellings aside, nothing rounded.

use std::{borrow::Cow, fmt};

use super::{
    clinical_time::ClinicalTime,
    code::{Code, agree, codes, folded},
    quantity::{Number, Quantity},
};
use crate::fhir::Element;

/// What an element says.
#[derive(Clone, Debug)]
pub(in crate::record) enum Value<'a> {
    /// A CodeableConcept or Coding: its known codes, and its text where it has none.
    Concept { codes: Vec<Code<'a>>, text: String },
    /// A Quantity or Money.
    Quantity(Quantity),
    /// Anything else, canonically written.
    Other(String),
}

impl<'a> Value<'a> {
    pub(in crate::record) fn of(element: Element<'a>) -> Self {
        let concepts = element.is_array() && element.items().all(is_concept);
        if concepts && element.items().next().is_some() {
            return Self::Concept { codes: codes(element), text: canonical(element) };
        }
        if element.is_object() {
            if is_concept(element) {
                return Self::Concept { codes: codes(element), text: words(element) };
            }
            if let Some(quantity) = Quantity::of(element) {
                return Self::Quantity(quantity);
            }
        }
        let mut text = String::new();
        write_canonical(element, &mut text);
        Self::Other(text)
    }

    /// What all elements of a repeating path say together; `None` where there is none.
    pub(in crate::record) fn of_all(elements: &[Element<'a>]) -> Option<Self> {
        match elements {
            [] => None,
            [one] => Some(Self::of(*one)),
            several => {
                let mut texts: Vec<String> = several.iter().copied().map(canonical).collect();
                texts.sort_unstable();
                Some(Self::Other(texts.join(",")))
            }
        }
    }

    /// Whether both say the same.
    pub(in crate::record) fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Concept { codes: a, text: x }, Self::Concept { codes: b, text: y }) => {
                if a.is_empty() && b.is_empty() { !x.is_empty() && x == y } else { agree(a, b) }
            }
            (Self::Quantity(a), Self::Quantity(b)) => a.agrees(b),
            (Self::Other(a), Self::Other(b)) => a == b,
            _ => false,
        }
    }
}

/// Writes content in one spelling: members and items sorted, codes and units canonical, moments in
/// UTC, decimals exact. Ids, references and display texts are left out, for they name and do not
/// say; so is the text of what is also said in structure.
pub(in crate::record) fn write_canonical(element: Element<'_>, out: &mut String) {
    if element.is_array() {
        let mut items: Vec<String> = element.items().map(canonical).collect();
        items.sort_unstable();
        out.push('[');
        out.push_str(&items.join(","));
        out.push(']');
    } else if element.is_object() {
        write_object(element, out);
    } else if let Some(text) = element.text() {
        match ClinicalTime::parse(&text) {
            Some(ClinicalTime::Moment { second, nanos, .. }) => {
                put(out, format_args!("@{second}.{}", nanos.unwrap_or_default()));
            }
            _ => put_quoted(out, &text),
        }
    } else {
        match Number::parse(element.raw()) {
            Some(number) => put(out, format_args!("{number}")),
            None => out.push_str(element.raw()),
        }
    }
}

fn write_object(element: Element<'_>, out: &mut String) {
    if is_concept(element) {
        let known = codes(element);
        if known.is_empty() {
            put_quoted(out, &words(element));
        }
        for code in known {
            out.extend([&*code.system, "|", &*code.code, ";"]);
        }
        return;
    }
    if let Some(quantity) = Quantity::of(element) {
        put(out, format_args!("{quantity}"));
        return;
    }
    let mut members: Vec<(Cow<'_, str>, String)> = element
        .fields()
        .filter(|(name, _)| !NAMING.contains(&name.as_ref()))
        .map(|(name, value)| {
            let said = if name == "text" { value.text().map(|text| folded(&text)) } else { None };
            (name, said.unwrap_or_else(|| canonical(value)))
        })
        .collect();
    // A dosage is often told in words and in structure; then the structure is compared.
    if members.iter().any(|(name, _)| name == "doseAndRate") {
        members.retain(|(name, _)| name != "text");
    }
    members.sort_unstable();
    out.push('{');
    for (name, value) in members {
        out.extend([&*name, ":", &value, ","]);
    }
    out.push('}');
}

const NAMING: &[&str] = &["id", "reference", "display", "meta"];

fn put(out: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = fmt::Write::write_fmt(out, text);
}

/// A text between quotes; what has quotes of its own is told apart by its escapes.
fn put_quoted(out: &mut String, text: &str) {
    if text.contains(['"', '\\']) {
        put(out, format_args!("{text:?}"));
    } else {
        out.extend(["\"", text, "\""]);
    }
}

fn canonical(element: Element<'_>) -> String {
    let mut text = String::new();
    write_canonical(element, &mut text);
    text
}

fn is_concept(element: Element<'_>) -> bool {
    let (mut coding, mut text, mut system, mut code, mut others) =
        (false, false, false, false, false);
    for (name, _) in element.fields() {
        match name.as_ref() {
            "coding" => coding = true,
            "text" => text = true,
            "system" => system = true,
            "code" => code = true,
            "id" | "display" | "version" | "userSelected" | "extension" => {}
            _ => others = true,
        }
    }
    let bare_text = text && !system && !code;
    let bare_coding = system && code && !text;
    coding || (!others && (bare_text || bare_coding))
}

/// What a concept without known codes says: its text, else its local codes.
fn words(element: Element<'_>) -> String {
    if let Some(text) = element.text_of("text") {
        return folded(&text);
    }
    let mut local: Vec<String> = element
        .at("coding")
        .into_iter()
        .flat_map(Element::items)
        .chain(std::iter::once(element))
        .filter_map(|coding| {
            Some(format!("{}|{}", coding.text_of("system")?.trim(), coding.text_of("code")?.trim()))
        })
        .collect();
    local.sort_unstable();
    local.join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(a: &str, b: &str, agrees: bool) {
        let (x, y) = (Value::of(Element::new(a)), Value::of(Element::new(b)));
        assert_eq!(x.agrees(&y), agrees, "{a} {b}");
        assert_eq!(y.agrees(&x), agrees, "{b} {a}");
    }

    #[test]
    fn content_is_compared_and_spelling_is_not() {
        check(
            r#"{"value":3.10,"unit":"MG/DL","system":"http://unitsofmeasure.org","code":"mg/dL"}"#,
            r#"{"code":"mg/dL","value":3.1,"unit":"mg/dL"}"#,
            true,
        );
        check(r#"{"value":3.1,"comparator":"<","code":"g"}"#, r#"{"value":3.1,"code":"g"}"#, false);
        check(
            r#"[{"c":"x","v":{"value":1,"code":"g/L"}}]"#,
            r#"[{"c":"x","v":{"value":100,"code":"mg/dL"}}]"#,
            true,
        );
        check(r#""2020-01-01T00:00:00Z""#, r#""2019-12-31T19:00:00-05:00""#, true);
        check(r#"[{"x":1,"y":"a"},{"x":2}]"#, r#"[{"x":2.0},{"y":"a","x":1.0}]"#, true);
        check(r#"[{"x":1},{"x":1}]"#, r#"[{"x":1}]"#, false);
        check("true", "false", false);
        check(r#"{"text":"Never  Smoker"}"#, r#"{"text":"NEVER SMOKER"}"#, true);
        check(r#"{"text":"a"}"#, r#"{"text":"b"}"#, false);
    }

    #[test]
    fn a_dose_in_words_counts_where_no_structure_tells_it() {
        let words =
            |text: &str| format!(r#"[{{"sequence":1,"text":"{text}","timing":{{"x":1}}}}]"#);
        check(&words("one tablet"), &words("ONE TABLET"), true);
        check(&words("one tablet"), &words("two tablets"), false);
        let both = |text: &str, dose: u8| {
            format!(
                r#"[{{"text":"{text}","doseAndRate":[{{"doseQuantity":{{"value":{dose}}}}}]}}]"#
            )
        };
        check(&both("one tablet", 1), &both("1 tbl.", 1), true);
        check(&both("as told", 1), &both("as told", 2), false);
    }

    #[test]
    fn references_and_displays_say_nothing() {
        check(
            r#"{"code":{"coding":[{"system":"http://loinc.org","code":"1","display":"A"}],"text":"A"},"by":{"reference":"X/1"}}"#,
            r#"{"code":{"coding":[{"system":"urn:oid:2.16.840.1.113883.6.1","code":"1"}]},"by":{"reference":"X/2"}}"#,
            true,
        );
    }
}
