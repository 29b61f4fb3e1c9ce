//! What a section says in words (FHIR R4 Narrative, XHTML).

use serde_json::{Value, json};

use super::sections::Found;
use crate::record::brief::Chart;

/// Lines of text.
pub(super) fn paragraphs(texts: &[String]) -> Value {
    let mut html = String::new();
    for text in texts {
        html.extend(["<p>", &escaped(text), "</p>"]);
    }
    div(&html)
}

/// A row for each entry: what it says, when it was, who says so and who says otherwise.
pub(super) fn table(chart: &Chart<'_>, columns: [&str; 2], found: &[Found]) -> Value {
    let [what, details] = columns;
    let mut html = String::from("<table><thead><tr>");
    for title in [what, details, "When", "According to", "Contradicted"] {
        html.extend(["<th>", &escaped(title), "</th>"]);
    }
    html.push_str("</tr></thead><tbody>");
    for one in found {
        let (sources, conflicts) = chart.standing(&one.resource);
        let conflicts: Vec<&str> = conflicts.iter().map(|conflict| conflict.text()).collect();
        html.push_str("<tr>");
        let cells =
            [&one.what, &one.details, &one.when, &sources.join(", "), &conflicts.join("; ")];
        for cell in cells {
            html.extend(["<td>", &escaped(cell), "</td>"]);
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table>");
    div(&html)
}

fn div(inside: &str) -> Value {
    json!({
        "status": "generated",
        "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{inside}</div>"),
    })
}

/// Text within XML; characters that XML has not become spaces.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
