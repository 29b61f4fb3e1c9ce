use proptest::prelude::*;

use super::{
    table::{Element, Kind, Type, plain_element, resource_type, resource_types, type_at},
    *,
};

fn there_and_back(json: &str) -> String {
    let xml = to_xml(json).expect("written");
    to_json(xml.as_bytes()).unwrap_or_else(|error| panic!("{error}: {xml}"))
}

fn check_same(json: &str) {
    assert_eq!(there_and_back(json), json);
}

#[test]
fn a_resource_is_written_as_the_standard_has_it() {
    let xml = to_xml(
        r#"{"name":[{"given":["Ada","B."],"_given":[null,{"extension":[{"url":"urn:x","valueBoolean":true}]}],
        "family":"O\"Neil & <Co>"}],"_birthDate":{"id":"b1"},"birthDate":"1984-03","resourceType":"Patient",
        "id":"p1","multipleBirthInteger":2,"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">A&amp;B</div>"},
        "contained":[{"resourceType":"Organization","id":"o","active":true}]}"#,
    );
    let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
        <Patient xmlns=\"http://hl7.org/fhir\"><id value=\"p1\"/><text><status value=\"generated\"/>\
        <div xmlns=\"http://www.w3.org/1999/xhtml\">A&amp;B</div></text>\
        <contained><Organization><id value=\"o\"/><active value=\"true\"/></Organization></contained>\
        <name><family value=\"O&quot;Neil &amp; &lt;Co&gt;\"/><given value=\"Ada\"/>\
        <given value=\"B.\"><extension url=\"urn:x\"><valueBoolean value=\"true\"/></extension></given>\
        </name><birthDate id=\"b1\" value=\"1984-03\"/><multipleBirthInteger value=\"2\"/></Patient>";
    assert_eq!(xml.as_deref(), Ok(expected));
}

#[test]
fn decimals_white_space_and_signs_survive() {
    check_same(
        r#"{"resourceType":"Observation","status":"final","code":{"text":" a\t\nb  \"'<>&é😀 "},"valueQuantity":{"value":3.10},"component":[{"code":{"text":"c"},"valueQuantity":{"value":1.0e-7}}]}"#,
    );
}

#[test]
fn xml_is_taken_with_prefixes_declarations_and_white_space() {
    let xml = "\u{FEFF}<?xml version=\"1.0\"?>\n<!-- hello -->\n<f:Patient xmlns:f=\"http://hl7.org/fhir\" \
        xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:schemaLocation=\"a b\">\n  \
        <f:active value=\" true \"></f:active>\n  <f:gender value='female'/>\n</f:Patient>\n";
    let expected = r#"{"resourceType":"Patient","active":true,"gender":"female"}"#;
    assert_eq!(to_json(xml.as_bytes()).as_deref(), Ok(expected));
}

#[test]
fn xml_that_is_not_fhir_is_refused_by_line_and_rule() {
    let patient =
        |within: &str| format!("<Patient xmlns=\"http://hl7.org/fhir\">\n{within}</Patient>");
    for (xml, words) in [
        (String::new(), "holds no resource"),
        ("plain".to_owned(), "text"),
        ("<Patient/>".to_owned(), "no type"),
        ("<Patient xmlns=\"urn:other\"/>".to_owned(), "no type"),
        ("<HumanName xmlns=\"http://hl7.org/fhir\"/>".to_owned(), "no type"),
        (patient(""), ""),
        (patient("<gender value=\"male\">"), "not well-formed"),
        (patient("<shoe value=\"42\"/>"), "does not have there"),
        (patient("<gender value=\"male\" code=\"m\"/>"), "attribute"),
        (patient("<gender>male</gender>"), "text"),
        (patient("<gender/>"), "neither value nor extension"),
        (patient("<gender value=\"male\"/><gender value=\"female\"/>"), "repeats"),
        (patient("<active value=\"yes\"/>"), "neither true nor false"),
        (patient("<multipleBirthInteger value=\"+2\"/>"), "number"),
        (patient("<multipleBirthInteger value=\"02\"/>"), "number"),
        (patient("<gender value=\"&nbsp;\"/>"), "not well-formed"),
        (patient("<gender value=\"a\" value=\"b\"/>"), "not well-formed"),
        (patient("<gender xmlns=\"urn:other\" value=\"male\"/>"), "does not have there"),
        (patient("<contained/>"), "holds none"),
        (patient("<text><div>x</div></text>"), "XHTML"),
        (format!("{}{}", patient("<active value=\"true\"/>"), patient("")), "more than one"),
        (format!("<!DOCTYPE x [<!ENTITY a \"b\">]>{}", patient("")), "document type"),
        (patient(&"<extension url=\"a\">".repeat(70)), "too deep"),
    ] {
        match to_json(xml.as_bytes()) {
            Ok(json) => assert!(words.is_empty(), "{xml}: {json}"),
            Err(error) => {
                assert!(error.problem.contains(words) && !words.is_empty(), "{error}: {xml}");
            }
        }
    }
    assert_eq!(to_json(b"\xFF").expect_err("refused").problem, "is no UTF-8");
    let late = to_json(patient("\n\n<shoe/>").as_bytes()).expect_err("refused");
    assert_eq!(late.line, 4);
    assert!(!late.to_string().contains("shoe"));
}

#[test]
fn what_r4_does_not_know_is_named_where_it_stood() {
    let xml = to_xml(
        r#"{"resourceType":"Patient","shoe-- >Size":42,"gender":{"x":1},"active":true,
        "contained":[{"resourceType":"Shoe"}]}"#,
    )
    .expect("written");
    for name in ["shoeSize", "gender", "contained"] {
        assert!(xml.contains(&format!("<!-- not of FHIR R4, and left out: {name} -->")), "{xml}");
    }
    let back = to_json(xml.as_bytes()).expect("still FHIR");
    assert_eq!(back, r#"{"resourceType":"Patient","active":true}"#);
    assert!(to_xml(r#"{"resourceType":"Shoe"}"#).is_err() && to_xml("[]").is_err());
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    assert!(to_xml(&format!(r#"{{"resourceType":"Patient","x":{deep}}}"#)).is_err());
}

#[test]
fn a_narrative_that_is_no_xml_is_shown_as_its_text() {
    let json = |div: &str| {
        let div = serde_json::to_string(div).expect("a string");
        format!(r#"{{"resourceType":"Patient","text":{{"status":"generated","div":{div}}}}}"#)
    };
    check_same(&json(
        "<div xmlns=\"http://www.w3.org/1999/xhtml\"> <p>1 &lt; 2</p><br/>\r\n</div>",
    ));
    let evil = to_xml(&json("<div></text><active value=\"false\"/><text></div>")).expect("written");
    assert!(evil.contains("<pre>&lt;div&gt;&lt;/text&gt;"), "{evil}");
    assert!(to_json(evil.as_bytes()).is_ok());
    let untold = to_xml(&json("<div>x</div>")).expect("written");
    assert!(untold.contains("<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"), "{untold}");
}

/// Throws the same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % sides as u64) as usize
    }
}

/// Some resource of a type, in the order of the table, without white space.
fn invent(kind: &'static Type, dice: &mut Dice, depth: usize) -> String {
    let mut members = Vec::new();
    if kind.is_resource {
        members.push(format!("\"resourceType\":\"{}\"", kind.name));
    }
    for element in &kind.elements {
        let wanted = dice.below(kind.elements.len().max(2)) < 4;
        let recursive = !matches!(element.kind, Kind::Text | Kind::Number | Kind::Boolean);
        if wanted && (depth > 0 || !recursive) {
            invent_element(element, kind, dice, depth, &mut members);
        }
    }
    format!("{{{}}}", members.join(","))
}

fn invent_element(
    element: &Element,
    kind: &Type,
    dice: &mut Dice,
    depth: usize,
    members: &mut Vec<String>,
) {
    let primitive = matches!(element.kind, Kind::Text | Kind::Number | Kind::Boolean);
    let plain = !primitive || kind.is_attribute(element.name) || depth == 0;
    let repeats = if element.many { 1 + dice.below(3) } else { 1 };
    let (mut values, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..repeats {
        let told = plain || dice.below(4) > 0;
        values.push(if told { invent_value(element.kind, dice, depth) } else { "null".to_owned() });
        let id = r#"{"id":"e1","extension":[{"url":"urn:x","valueCode":"a"}]}"#;
        let extended = !told || !plain && dice.below(3) == 0;
        beside.push(if extended { id.to_owned() } else { "null".to_owned() });
    }
    for (mark, all) in [("", values), ("_", beside)] {
        if all.iter().any(|one| one != "null") {
            let all = all.join(",");
            let all = if element.many { format!("[{all}]") } else { all };
            members.push(format!("\"{mark}{}\":{all}", element.name));
        }
    }
}

fn invent_value(kind: Kind, dice: &mut Dice, depth: usize) -> String {
    const TEXTS: [&str; 6] =
        ["a", "", " b\n\t\r", "<&>\"'", "Zoë 😀", "2024-02-03T04:05:06.700+01:00"];
    const NUMBERS: [&str; 6] = ["0", "-1.50", "3.10", "1.0E-7", "12345678901234567890.0", "7"];
    match kind {
        Kind::Text => {
            serde_json::to_string(TEXTS[dice.below(TEXTS.len())]).expect("a string is JSON")
        }
        Kind::Number => NUMBERS[dice.below(NUMBERS.len())].to_owned(),
        Kind::Boolean => ["true", "false"][dice.below(2)].to_owned(),
        Kind::Xhtml => {
            r#""<div xmlns=\"http://www.w3.org/1999/xhtml\"><b class='x'>é &amp; </b>\n</div>""#
                .to_owned()
        }
        Kind::Resource => {
            let kinds = ["Patient", "Observation", "Basic", "Binary"];
            let kind = resource_type(kinds[dice.below(kinds.len())]).expect("a resource");
            invent(kind, dice, depth.saturating_sub(1))
        }
        Kind::Elements(place) => invent(type_at(place), dice, depth - 1),
    }
}

#[test]
fn every_type_of_r4_survives_both_ways() {
    assert_eq!(plain_element().elements.len(), 2);
    for (seed, kind) in resource_types().enumerate() {
        for round in 0..3 {
            let mut dice = Dice((seed * 100 + round) as u64);
            check_same(&invent(kind, &mut dice, 4));
        }
    }
}

proptest! {
    #[test]
    fn any_text_survives_but_for_what_xml_forbids(text in "\\PC{0,20}[\\t\\n\\r]{0,3}\\PC{0,20}") {
        let text = serde_json::to_string(&text).expect("a string");
        check_same(&format!(r#"{{"resourceType":"Patient","name":[{{"family":{text}}}]}}"#));
    }

    #[test]
    fn nothing_makes_the_reader_panic(xml in "(<|>|/|Patient|name| |value=|\"|x|&amp;|&|div|xmlns=\"http://hl7.org/fhir\"|!--|--|\\]\\]>|!DOCTYPE){0,40}") {
        let _ = to_json(xml.as_bytes());
        let within = format!("<Patient xmlns=\"http://hl7.org/fhir\"><text>{xml}</text></Patient>");
        let _ = to_json(within.as_bytes());
    }

    #[test]
    fn nothing_makes_the_writer_panic(json in "(\\{|\\}|\\[|\\]|\"|:|,|resourceType|Patient|name|\\\\|1|null){0,40}") {
        let _ = to_xml(&json);
        let _ = to_xml(&format!("{{\"resourceType\":\"Patient\",{json}}}"));
    }
}
