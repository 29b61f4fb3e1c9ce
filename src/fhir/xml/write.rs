//! FHIR JSON to FHIR XML.

use std::borrow::Cow;

use super::{
    FHIR_NAMESPACE, XHTML_NAMESPACE,
    json::{items, members, string},
    table::{Element, Kind, Type, plain_element, resource_type, type_at},
    xhtml::{self, Div},
};
use crate::fhir::{InvalidResource, check_nesting};

/// Writes a resource as FHIR XML. Its text has to be JSON; what is not nested within the bound, or is
/// of no type that R4 has, is refused.
///
/// What R4 does not know cannot be written: an unknown element, a value of another shape, an unknown
/// resource within. A comment stands in its place. So does U+FFFD for characters that XML forbids, and
/// the text of a narrative that is not well-formed for the narrative.
pub fn to_xml(json: &str) -> Result<String, InvalidResource> {
    check_nesting(json.as_bytes())?;
    let mut writer = Writer { out: String::with_capacity(json.len() + json.len() / 2) };
    writer.out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    let (told, kind) = head(json).ok_or(InvalidResource::Type)?;
    writer.resource(&told, kind, true);
    Ok(writer.out)
}

type Members<'a> = Vec<(Cow<'a, str>, &'a str)>;

/// The members of a resource and its type, where R4 has it.
fn head(json: &str) -> Option<(Members<'_>, &'static Type)> {
    let told = members(json)?;
    let (_, name) = told.iter().find(|(name, _)| name == "resourceType")?;
    let kind = resource_type(&string(name)?)?;
    Some((told, kind))
}

struct Writer {
    out: String,
}

impl Writer {
    fn resource(&mut self, told: &Members<'_>, kind: &'static Type, is_root: bool) {
        self.out.push('<');
        self.out.push_str(kind.name);
        if is_root {
            self.attribute("xmlns", FHIR_NAMESPACE);
        }
        self.out.push('>');
        self.children(told, kind);
        self.end(kind.name);
    }

    /// The elements of a type, in its order, each with the extension of a primitive beside it.
    fn children(&mut self, told: &Members<'_>, kind: &'static Type) {
        let mut placed: Vec<(usize, bool, &str)> = Vec::with_capacity(told.len());
        for (name, raw) in told {
            let (element, beside) =
                name.strip_prefix('_').map_or((&**name, false), |it| (it, true));
            match kind.place(element) {
                Some(_) if kind.is_attribute(element) => {}
                Some(place) => placed.push((place, beside, *raw)),
                None if name == "resourceType" && kind.is_resource => {}
                None => self.left_out(name),
            }
        }
        placed.sort_by_key(|(place, beside, _)| (*place, *beside));
        let mut rest = placed.as_slice();
        while let Some(&(place, beside, raw)) = rest.first() {
            let pair = rest.get(1).filter(|next| next.0 == place && next.1 && !beside);
            let (value, extension) = match pair {
                Some(next) => (Some(raw), Some(next.2)),
                None if beside => (None, Some(raw)),
                None => (Some(raw), None),
            };
            self.element(&kind.elements[place], value, extension);
            rest = &rest[1 + usize::from(pair.is_some())..];
        }
    }

    fn element(&mut self, element: &Element, value: Option<&str>, extension: Option<&str>) {
        let (values, extensions) = (value.and_then(items), extension.and_then(items));
        let repeats = [&values, &extensions].into_iter().flatten().map(Vec::len).max();
        let Some(repeats) = repeats else { return self.one(element, value, extension) };
        let (values, extensions) = (values.unwrap_or_default(), extensions.unwrap_or_default());
        for no in 0..repeats {
            self.one(element, values.get(no).copied(), extensions.get(no).copied());
        }
    }

    fn one(&mut self, element: &Element, value: Option<&str>, extension: Option<&str>) {
        let value = value.filter(|raw| *raw != "null");
        let extension = extension.filter(|raw| *raw != "null");
        let told = match element.kind {
            Kind::Text | Kind::Number | Kind::Boolean => {
                self.primitive(element.name, value, extension)
            }
            Kind::Elements(place) => value.map_or(Some(()), |raw| {
                self.elements(element.name, type_at(place), &members(raw)?);
                Some(())
            }),
            Kind::Resource => value.map_or(Some(()), |raw| {
                let (told, kind) = head(raw)?;
                self.start(element.name);
                self.resource(&told, kind, false);
                self.end(element.name);
                Some(())
            }),
            Kind::Xhtml => value.map_or(Some(()), |raw| {
                self.xhtml(&string(raw)?);
                Some(())
            }),
        };
        if told.is_none() {
            self.left_out(element.name);
        }
    }

    fn elements(&mut self, name: &str, kind: &'static Type, told: &Members<'_>) {
        self.out.push('<');
        self.out.push_str(name);
        for (name, raw) in told {
            if kind.is_attribute(name)
                && let Some(text) = string(raw)
            {
                self.attribute(name, &text);
            }
        }
        self.out.push('>');
        let begun = self.out.len();
        self.children(told, kind);
        self.close(name, begun);
    }

    /// A primitive: its value as an attribute, its extensions within; `None` where it is another shape.
    fn primitive(
        &mut self,
        name: &str,
        value: Option<&str>,
        extension: Option<&str>,
    ) -> Option<()> {
        let value = match value {
            Some(raw) if raw.starts_with('"') => Some(string(raw)?),
            Some(raw) if raw.starts_with(['{', '[']) => return None,
            literal => literal.map(Cow::Borrowed),
        };
        let extension = extension.map_or(Some(Vec::new()), members)?;
        if value.is_none() && extension.is_empty() {
            return Some(());
        }
        self.out.push('<');
        self.out.push_str(name);
        let id = extension.iter().find(|(name, _)| name == "id").and_then(|(_, raw)| string(raw));
        if let Some(id) = id {
            self.attribute("id", &id);
        }
        if let Some(value) = value {
            self.attribute("value", &value);
        }
        self.out.push('>');
        let begun = self.out.len();
        self.children(&extension, plain_element());
        self.close(name, begun);
        Some(())
    }

    fn xhtml(&mut self, div: &str) {
        match xhtml::check(div) {
            Ok(Div::Whole) => self.out.push_str(div.trim()),
            Ok(Div::WithoutNamespace) => {
                self.out.push_str("<div xmlns=\"");
                self.out.push_str(XHTML_NAMESPACE);
                self.out.push('"');
                self.out.push_str(&div.trim()["<div".len()..]);
            }
            Err(_) => {
                self.out.push_str("<div");
                self.attribute("xmlns", XHTML_NAMESPACE);
                self.out.push_str("><pre>");
                self.escape(div);
                self.out.push_str("</pre></div>");
            }
        }
    }

    fn start(&mut self, name: &str) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push('>');
    }

    fn end(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    /// Ends an element whose start tag ended at `begun`: as an empty one where nothing is within.
    fn close(&mut self, name: &str, begun: usize) {
        if self.out.len() == begun {
            self.out.truncate(begun - 1);
            self.out.push_str("/>");
        } else {
            self.end(name);
        }
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        self.escape(value);
        self.out.push('"');
    }

    fn escape(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '"' => self.out.push_str("&quot;"),
                // A reader would make spaces of them.
                '\t' => self.out.push_str("&#9;"),
                '\n' => self.out.push_str("&#10;"),
                '\r' => self.out.push_str("&#13;"),
                other if !xhtml::is_legal(other) => self.out.push('\u{FFFD}'),
                other => self.out.push(other),
            }
        }
    }

    /// Says that something is not there that JSON has.
    fn left_out(&mut self, name: &str) {
        let legal = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        let name: String = name.chars().filter(legal).take(64).collect();
        self.out.push_str("<!-- not of FHIR R4, and left out: ");
        self.out.push_str(&name);
        self.out.push_str(" -->");
    }
}
