//! XAD and XTN: addresses, telephones and e-mail.

use super::{Part, Segment, Timestamp, Told};
use crate::domain::{Address, PartialDate};

/// PID-11.
pub(super) fn addresses(field: Part<'_>, today: PartialDate) -> Told<Vec<Address>> {
    if field.is_null() {
        return Told::Deleted;
    }
    let told: Vec<Address> = field
        .repetitions()
        .map(|xad| address(xad, today))
        .filter(|told| !told.is_empty())
        .collect();
    if told.is_empty() { Told::Nothing } else { Told::Value(told) }
}

fn address(xad: Part<'_>, today: PartialDate) -> Address {
    let text = |number| xad.component(number).text().into_owned();
    let ended = Timestamp::parse(&xad.component(14).text()).map(Timestamp::date);
    let kind = text(7).to_ascii_uppercase();
    Address {
        lines: [street(xad), text(2)].into_iter().filter(|line| !line.is_empty()).collect(),
        city: text(3),
        state: text(4),
        postal_code: text(5),
        country: text(6),
        // Bad, of birth, of residence at birth: nobody lives there now.
        old: ended.is_some_and(|day| day < today)
            || matches!(kind.as_str(), "BA" | "N" | "BDL" | "BR"),
    }
}

/// SAD: the whole line, or a street and a number apart.
fn street(xad: Part<'_>) -> String {
    let sad = |number| xad.subcomponent(number).text();
    let (line, street, number) = (sad(1), sad(2), sad(3));
    if line.is_empty() {
        format!("{number} {street}").trim().to_owned()
    } else if line.to_lowercase().contains(&street.to_lowercase()) {
        line.into_owned()
    } else {
        format!("{line} {street}")
    }
}

/// PID-13, PID-14 and PID-40, which are one list of numbers and one of e-mail addresses here: a
/// message that tells any of them replaces both.
pub(super) fn telecom(pid: Segment<'_>) -> (Told<Vec<String>>, Told<Vec<String>>) {
    let fields = [13, 14, 40].map(|number| pid.field(number));
    let (mut phones, mut emails) = (Vec::new(), Vec::new());
    for xtn in fields.iter().filter(|field| !field.is_null()).flat_map(Part::repetitions) {
        let text = |number| xtn.component(number).text().into_owned();
        let email = [text(4), text(1)].into_iter().find(|told| told.contains('@'));
        let equipment = text(3).to_ascii_uppercase();
        if let Some(email) = email {
            push(&mut emails, email);
        }
        if !matches!(equipment.as_str(), "FX" | "BP" | "MD" | "INTERNET" | "X.400") {
            push(&mut phones, number(xtn));
        }
    }
    let any = fields.iter().any(|field| !field.is_empty());
    let told = |list: Vec<String>| match (any, list.is_empty()) {
        (false, _) => Told::Nothing,
        (true, true) => Told::Deleted,
        (true, false) => Told::Value(list),
    };
    (told(phones), told(emails))
}

/// The number as one: as it was told in one piece, or from its parts.
fn number(xtn: Part<'_>) -> String {
    let text = |number| xtn.component(number).text().into_owned();
    let whole =
        [text(1), text(12)].into_iter().find(|told| !told.is_empty() && !told.contains('@'));
    whole.unwrap_or_else(|| {
        let country = text(5);
        let country = if country.is_empty() { country } else { format!("+{country} ") };
        let (area, local) = (text(6), text(7));
        if local.is_empty() { String::new() } else { format!("{country}{area}{local}") }
    })
}

fn push(list: &mut Vec<String>, value: String) {
    if !value.is_empty() && !list.contains(&value) {
        list.push(value);
    }
}
