//! The XHTML of narratives, which JSON carries as text and XML as elements.

use quick_xml::{
    Reader,
    escape::resolve_predefined_entity,
    events::{BytesStart, Event},
};

use super::{VERSION, XHTML_NAMESPACE};

/// How a narrative stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Div {
    /// As it should.
    Whole,
    /// One `div`, but its namespace is not told.
    WithoutNamespace,
}

/// A narrative that is no XML, or not one `div`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotOneDiv;

/// Whether a text is one well-formed `div`: no declarations, no entities but those of XML.
pub(super) fn check(text: &str) -> Result<Div, NotOneDiv> {
    if text.chars().any(|c| !is_legal(c)) {
        return Err(NotOneDiv);
    }
    let mut reader = Reader::from_str(text.trim());
    let (mut depth, mut told) = (0_usize, None);
    loop {
        match reader.read_event().map_err(|_| NotOneDiv)? {
            event @ (Event::Start(_) | Event::Empty(_)) => {
                let (Event::Start(tag) | Event::Empty(tag)) = &event else { return Err(NotOneDiv) };
                let namespace = namespace(tag)?;
                if depth == 0 {
                    if told.is_some() || tag.name().as_ref() != b"div" {
                        return Err(NotOneDiv);
                    }
                    told = Some(match namespace {
                        Some(true) => Div::Whole,
                        Some(false) => return Err(NotOneDiv),
                        None => Div::WithoutNamespace,
                    });
                }
                depth += usize::from(matches!(event, Event::Start(_)));
            }
            Event::End(_) => depth -= 1,
            Event::GeneralRef(entity) => {
                let name = entity.decode().map_err(|_| NotOneDiv)?;
                let predefined = resolve_predefined_entity(&name).is_some();
                let character = matches!(entity.resolve_char_ref(), Ok(Some(c)) if is_legal(c));
                if depth == 0 || !predefined && !character {
                    return Err(NotOneDiv);
                }
            }
            Event::Text(_) | Event::CData(_) if depth == 0 => return Err(NotOneDiv),
            Event::Text(_) | Event::CData(_) | Event::Comment(_) => {}
            Event::Eof if depth == 0 => return told.ok_or(NotOneDiv),
            Event::Decl(_) | Event::PI(_) | Event::DocType(_) | Event::Eof => {
                return Err(NotOneDiv);
            }
        }
    }
}

/// Whether a tag says that it is XHTML, or something else; an error where its names lean on
/// declarations that stand elsewhere.
fn namespace(tag: &BytesStart<'_>) -> Result<Option<bool>, NotOneDiv> {
    if tag.name().prefix().is_some() {
        return Err(NotOneDiv);
    }
    let mut namespace = None;
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|_| NotOneDiv)?;
        let value = attribute.normalized_value(VERSION).map_err(|_| NotOneDiv)?;
        let foreign = attribute.key.prefix().is_some_and(|prefix| prefix.as_ref() != b"xml");
        if foreign || attribute.value.contains(&b'<') {
            return Err(NotOneDiv);
        }
        if attribute.key.as_ref() == b"xmlns" {
            namespace = Some(value == XHTML_NAMESPACE);
        }
    }
    Ok(namespace)
}

/// A character that XML 1.0 may hold.
pub(super) fn is_legal(c: char) -> bool {
    !matches!(c, '\0'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_well_formed_div_is_taken() {
        let ns = format!("xmlns=\"{XHTML_NAMESPACE}\"");
        for good in [
            format!("<div {ns}><p class=\"a\">A &amp; B &#160;</p><br/></div>"),
            format!(" <div {ns}/> "),
        ] {
            assert_eq!(check(&good), Ok(Div::Whole), "{good}");
        }
        assert_eq!(check("<div>x</div>"), Ok(Div::WithoutNamespace));
        for bad in [
            String::new(),
            "plain".to_owned(),
            format!("<p {ns}/>"),
            format!("<div {ns}>"),
            format!("<div {ns}></p></div>"),
            format!("<div {ns}/><div {ns}/>"),
            format!("<div {ns}>&nbsp;</div>"),
            format!("<div {ns}></div></text><id value=\"x\"/>"),
            format!("<!DOCTYPE div><div {ns}/>"),
            "<div xmlns=\"urn:other\"/>".to_owned(),
            format!("<div {ns} a=1>x</div>"),
            format!("<div {ns}>\u{1}</div>"),
            format!("<div {ns}>&#1;</div>"),
            format!("<div {ns}>a & b</div>"),
            format!("<div {ns} title=\"a<b\"/>"),
            format!("<div {ns}><f:b/></div>"),
        ] {
            assert_eq!(check(&bad), Err(NotOneDiv), "{bad}");
        }
    }
}
