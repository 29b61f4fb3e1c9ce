//! FHIR XML to FHIR JSON.

use quick_xml::{
    events::{BytesStart, Event},
    name::{Namespace, ResolveResult},
    reader::NsReader,
};
use thiserror::Error;

use super::{
    FHIR_NAMESPACE, VERSION,
    table::{Element, Kind, Type, plain_element, resource_type, type_at},
    xhtml::{self, Div},
};
use crate::fhir::NESTING_MAX;

/// Why XML is not taken. Tells the place and the rule, never a value.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the XML {problem}, at line {line}")]
pub struct InvalidXml {
    /// What is wrong with it.
    pub problem: &'static str,
    /// In which line, from 1.
    pub line: usize,
}

/// Reads a resource from FHIR XML, as JSON. Values keep the text that they have; a narrative its bytes.
///
/// Refused: what is not well-formed or no UTF-8, a document type declaration, any element, attribute
/// or text that R4 does not have there, numbers and truth values that are none, and what is nested
/// deeper than JSON may be.
pub fn to_json(xml: &[u8]) -> Result<String, InvalidXml> {
    let text = std::str::from_utf8(xml);
    let text = text.map_err(|_| InvalidXml { problem: "is no UTF-8", line: 1 })?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let mut reader = NsReader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut reading = Reading { reader, text, depth: 0 };
    let json = reading.document();
    json.map_err(|problem| {
        let at = usize::try_from(reading.reader.buffer_position()).unwrap_or(0).min(text.len());
        let line = 1 + text.get(..at).unwrap_or(text).matches('\n').count();
        InvalidXml { problem, line }
    })
}

type Problem = &'static str;
const MALFORMED: Problem = "is not well-formed";
const UNKNOWN: Problem = "holds an element that FHIR R4 does not have there";
const FOREIGN_ATTRIBUTE: Problem = "has an attribute that FHIR does not have there";

struct Reading<'a> {
    reader: NsReader<&'a [u8]>,
    text: &'a str,
    depth: usize,
}

/// What stands next, comments and white space passed over.
enum Next<'a> {
    Start { tag: BytesStart<'a>, is_fhir: bool, at: usize },
    End,
    Eof,
}

/// One occurrence of an element, as JSON.
struct Told {
    place: usize,
    value: Option<String>,
    /// The extension of a primitive.
    beside: Option<String>,
}

impl<'a> Reading<'a> {
    fn document(&mut self) -> Result<String, Problem> {
        let Next::Start { tag, is_fhir, .. } = self.next()? else {
            return Err("holds no resource");
        };
        let json = self.resource(&tag, is_fhir)?;
        match self.next()? {
            Next::Eof => Ok(json),
            _ => Err("holds more than one resource"),
        }
    }

    fn next(&mut self) -> Result<Next<'a>, Problem> {
        loop {
            let at = self.reader.buffer_position() as usize;
            let (namespace, event) = self.reader.read_resolved_event().map_err(|_| MALFORMED)?;
            let is_fhir = matches!(namespace,
                ResolveResult::Bound(Namespace(name)) if name == FHIR_NAMESPACE.as_bytes());
            match event {
                Event::Start(tag) => {
                    self.depth += 1;
                    if self.depth > NESTING_MAX {
                        return Err("is nested too deep");
                    }
                    return Ok(Next::Start { tag, is_fhir, at });
                }
                Event::End(_) => {
                    self.depth -= 1;
                    return Ok(Next::End);
                }
                Event::Eof if self.depth == 0 => return Ok(Next::Eof),
                Event::Eof | Event::Empty(_) => return Err(MALFORMED),
                Event::DocType(_) => return Err("has a document type declaration"),
                Event::Text(text) if text.iter().all(u8::is_ascii_whitespace) => {}
                Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) => {
                    return Err("holds text where FHIR has none");
                }
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
            }
        }
    }

    /// A resource whose start tag was read.
    fn resource(&mut self, tag: &BytesStart<'_>, is_fhir: bool) -> Result<String, Problem> {
        let name = tag.local_name();
        let name = std::str::from_utf8(name.as_ref()).map_err(|_| MALFORMED)?;
        let kind = resource_type(name).filter(|_| is_fhir);
        let kind = kind.ok_or("holds a resource of no type of FHIR R4, or of another namespace")?;
        if !attributes(tag)?.is_empty() {
            return Err(FOREIGN_ATTRIBUTE);
        }
        let told = self.children(kind)?;
        let mut json = format!("{{\"resourceType\":\"{}\"", kind.name);
        write(&mut json, kind, told)?;
        json.push('}');
        Ok(json)
    }

    /// The elements up to the end tag.
    fn children(&mut self, kind: &'static Type) -> Result<Vec<Told>, Problem> {
        let mut all = Vec::new();
        loop {
            match self.next()? {
                Next::End => return Ok(all),
                Next::Eof => return Err(MALFORMED),
                Next::Start { tag, is_fhir, at } => {
                    let name = tag.local_name();
                    let name = std::str::from_utf8(name.as_ref()).map_err(|_| MALFORMED)?;
                    let place = kind.place(name).filter(|_| !kind.is_attribute(name));
                    let place = place.ok_or(UNKNOWN)?;
                    let element = &kind.elements[place];
                    // XHTML stands in a namespace of its own.
                    if !is_fhir && element.kind != Kind::Xhtml {
                        return Err(UNKNOWN);
                    }
                    let (value, beside) = self.element(element, &tag, at)?;
                    all.push(Told { place, value, beside });
                }
            }
        }
    }

    fn element(
        &mut self,
        element: &Element,
        tag: &BytesStart<'_>,
        at: usize,
    ) -> Result<(Option<String>, Option<String>), Problem> {
        match element.kind {
            Kind::Elements(place) => Ok((Some(self.elements(type_at(place), tag)?), None)),
            Kind::Text | Kind::Number | Kind::Boolean => self.primitive(element.kind, tag),
            Kind::Xhtml => Ok((Some(self.xhtml(at)?), None)),
            Kind::Resource => {
                let Next::Start { tag: inner, is_fhir, .. } = self.next()? else {
                    return Err("has a place for a resource that holds none");
                };
                let json = self.resource(&inner, is_fhir)?;
                match self.next()? {
                    Next::End => Ok((Some(json), None)),
                    _ => Err("has a place for one resource that holds several"),
                }
            }
        }
    }

    fn elements(&mut self, kind: &'static Type, tag: &BytesStart<'_>) -> Result<String, Problem> {
        let mut told = Vec::new();
        for (name, value) in attributes(tag)? {
            let place = kind.place(name).filter(|_| kind.is_attribute(name));
            let place = place.ok_or(FOREIGN_ATTRIBUTE)?;
            told.push(Told { place, value: Some(text(&value)), beside: None });
        }
        told.extend(self.children(kind)?);
        let mut json = "{".to_owned();
        write(&mut json, kind, told)?;
        json.push('}');
        Ok(json)
    }

    /// A primitive's value and its extension.
    fn primitive(
        &mut self,
        kind: Kind,
        tag: &BytesStart<'_>,
    ) -> Result<(Option<String>, Option<String>), Problem> {
        let (mut value, mut told) = (None, Vec::new());
        let plain = plain_element();
        for (name, it) in attributes(tag)? {
            match (name, plain.place(name)) {
                ("value", _) => value = Some(literal(kind, &it)?),
                ("id", Some(place)) => {
                    told.push(Told { place, value: Some(text(&it)), beside: None });
                }
                _ => return Err(FOREIGN_ATTRIBUTE),
            }
        }
        told.extend(self.children(plain)?);
        if told.is_empty() {
            let value = value.ok_or("has an element with neither value nor extension")?;
            return Ok((Some(value), None));
        }
        let mut json = "{".to_owned();
        write(&mut json, plain, told)?;
        json.push('}');
        Ok((value, Some(json)))
    }

    /// The narrative, from its start tag on, byte for byte.
    fn xhtml(&mut self, at: usize) -> Result<String, Problem> {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.reader.read_event().map_err(|_| MALFORMED)? {
                Event::Start(_) => depth += 1,
                Event::End(_) => depth -= 1,
                Event::Eof => return Err(MALFORMED),
                Event::DocType(_) => return Err("has a document type declaration"),
                _ => {}
            }
        }
        self.depth -= 1;
        let end = self.reader.buffer_position() as usize;
        let div = self.text.get(at..end).ok_or(MALFORMED)?;
        match xhtml::check(div) {
            Ok(Div::Whole) => Ok(text(div)),
            _ => Err("has a narrative that is not one well-formed div in the namespace of XHTML"),
        }
    }
}

/// The attributes, without declarations of namespaces and hints to schemas.
fn attributes<'t>(tag: &'t BytesStart<'_>) -> Result<Vec<(&'t str, String)>, Problem> {
    let mut all = Vec::new();
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|_| MALFORMED)?;
        let value = attribute.normalized_value(VERSION).map_err(|_| MALFORMED)?;
        let name = std::str::from_utf8(attribute.key.0).map_err(|_| MALFORMED)?;
        if attribute.value.contains(&b'<') || value.chars().any(|c| !xhtml::is_legal(c)) {
            return Err(MALFORMED);
        }
        let declares = name == "xmlns" || name.starts_with("xmlns:");
        if !declares && !name.ends_with(":schemaLocation") {
            all.push((name, value.into_owned()));
        }
    }
    Ok(all)
}

/// A primitive as JSON writes it.
fn literal(kind: Kind, value: &str) -> Result<String, Problem> {
    let value_only = value.trim();
    match kind {
        Kind::Number if is_number(value_only) => Ok(value_only.to_owned()),
        Kind::Number => Err("has a number that is none"),
        Kind::Boolean if matches!(value_only, "true" | "false") => Ok(value_only.to_owned()),
        Kind::Boolean => Err("has a value that is neither true nor false"),
        _ => Ok(text(value)),
    }
}

/// Whether JSON would take it for a number.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let mantissa = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent
            .is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

fn text(value: &str) -> String {
    serde_json::to_string(value).expect("a string is always JSON")
}

/// Writes the members of an object, in the order of the type, each beginning with a comma but the first.
fn write(json: &mut String, kind: &'static Type, mut told: Vec<Told>) -> Result<(), Problem> {
    told.sort_by_key(|one| one.place);
    for same in told.chunk_by(|a, b| a.place == b.place) {
        let Element { name, many, .. } = &kind.elements[same[0].place];
        if same.len() > 1 && !many {
            return Err("repeats an element that FHIR has once");
        }
        for (mark, pick) in [("", Told::value as Pick), ("_", Told::beside as Pick)] {
            if same.iter().all(|one| pick(one).is_none()) {
                continue;
            }
            if !json.ends_with('{') {
                json.push(',');
            }
            json.push('"');
            json.push_str(mark);
            json.push_str(name);
            json.push_str("\":");
            let values = same.iter().map(|one| pick(one).unwrap_or("null"));
            if *many {
                json.push('[');
                json.push_str(&values.collect::<Vec<_>>().join(","));
                json.push(']');
            } else {
                values.for_each(|value| json.push_str(value));
            }
        }
    }
    Ok(())
}

type Pick = fn(&Told) -> Option<&str>;

impl Told {
    fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    fn beside(&self) -> Option<&str> {
        self.beside.as_deref()
    }
}
