use csv::StringRecord;
use fastrand::Rng;
use time::Duration;

use crate::matching::nicknames;

use super::{
    dice::{Weighted, chance, one_of},
    person::{Person, Sex, at},
    places::{Delivery, Home, Places, STREET_TYPES, Street, StreetName, Unit},
    regime::{Regime, scaled},
    slips::{digit_slip, typo},
};

/// How many records a person has, by weight: 1.9 on average.
pub(super) const VISITS: [(usize, u32); 9] =
    [(1, 530), (2, 247), (3, 126), (4, 51), (5, 18), (6, 14), (7, 9), (8, 4), (9, 1)];

/// Numbers that a clerk types where there is none.
const DUMMY_SSNS: [&str; 5] = ["123456789", "999999999", "111111111", "000000000", "888888888"];
const DUMMY_PHONES: [&str; 4] = ["0000000000", "9999999999", "6125551212", "5555555555"];

/// The hospitals, and how each writes things down.
pub(super) struct Registry {
    sources: Weighted<usize>,
    regime: Regime,
}

/// One hospital's hand.
struct Hand {
    name: &'static str,
    capitals: bool,
    long_street: bool,
    ssn: Ssn,
    ssn_rate: f32,
    middle: Middle,
    email_rate: f32,
    phone: Phone,
}

#[derive(Clone, Copy)]
enum Ssn {
    Plain,
    Dashes,
    LastFour,
}

#[derive(Clone, Copy)]
enum Middle {
    Seldom,
    Initial,
    Full,
}

#[derive(Clone, Copy)]
enum Phone {
    Plain,
    Dashes,
    Brackets,
}

const HANDS: [(Hand, u32); 8] = [
    (hand("H0", false, false, Ssn::Plain, 0.6, Middle::Initial, 0.5, Phone::Dashes), 28),
    (hand("H1", true, true, Ssn::Dashes, 0.6, Middle::Initial, 0.6, Phone::Brackets), 20),
    (hand("H2", true, false, Ssn::Plain, 0.5, Middle::Seldom, 0.4, Phone::Plain), 14),
    (hand("H3", false, true, Ssn::LastFour, 0.3, Middle::Full, 0.5, Phone::Brackets), 11),
    (hand("H4", true, false, Ssn::Plain, 0.7, Middle::Initial, 0.4, Phone::Plain), 9),
    (hand("H5", true, true, Ssn::Dashes, 0.6, Middle::Full, 0.3, Phone::Dashes), 8),
    (hand("H6", false, false, Ssn::Plain, 0.4, Middle::Initial, 0.5, Phone::Plain), 6),
    (hand("H7", true, false, Ssn::LastFour, 0.4, Middle::Seldom, 0.6, Phone::Dashes), 4),
];

#[expect(clippy::too_many_arguments, reason = "a row of a table reads best on one line")]
const fn hand(
    name: &'static str,
    capitals: bool,
    long_street: bool,
    ssn: Ssn,
    ssn_rate: f32,
    middle: Middle,
    email_rate: f32,
    phone: Phone,
) -> Hand {
    Hand { name, capitals, long_street, ssn, ssn_rate, middle, email_rate, phone }
}

impl Registry {
    pub(super) fn new(regime: Regime) -> Self {
        let hands = HANDS.iter().enumerate().map(|(at, (_, weight))| (at, *weight));
        Self { sources: Weighted::new(hands), regime }
    }

    /// What a hospital writes down when this person comes, at a time of its own: every column but `record_id`.
    pub(super) fn record(&self, rng: &mut Rng, places: &Places, person: &Person) -> StringRecord {
        let (hand, regime) = (&HANDS[self.sources.draw(rng)].0, &self.regime);
        let when = rng.f32();
        // What the hospital has on file may be older than the visit.
        let known = if chance(rng, 0.06) { when * rng.f32() } else { when };
        let name = written_name(rng, (hand, regime), person, when, known);
        let home = at(&person.homes, known);
        let address =
            home.map(|home| written_address(rng, (hand, regime), places, home)).unwrap_or_default();
        let mut record = StringRecord::with_capacity(160, 16);
        record.push_field(hand.name);
        record.push_field(&format!("P{}", person.number));
        for field in [name.given, name.middle, name.family, name.suffix] {
            record.push_field(&cased(hand, field));
        }
        record.push_field(written_sex(rng, person.sex));
        record.push_field(&written_birth(rng, regime, person));
        record.push_field(&written_ssn(rng, (hand, regime), person));
        record.push_field(&written_phone(rng, (hand, regime), person, known));
        record.push_field(&written_email(rng, (hand, regime), person));
        for field in address {
            record.push_field(&cased(hand, field));
        }
        record.push_field(&format!("{}{:08}", hand.name, rng.u32(..100_000_000)));
        record
    }
}

/// A name as written on one record.
struct WrittenName {
    given: String,
    middle: String,
    family: String,
    suffix: String,
}

fn written_name(
    rng: &mut Rng,
    (hand, regime): (&Hand, &Regime),
    person: &Person,
    when: f32,
    known: f32,
) -> WrittenName {
    let family = at(&person.families, known);
    let family = family.map(|name| family_form(rng, regime, name)).unwrap_or_default();
    let placeholder = person.placeholder.as_ref().filter(|(_, until)| when < *until);
    let mut name = WrittenName {
        given: match placeholder {
            Some((said, _)) => said.clone(),
            None => given_form(rng, regime, person),
        },
        middle: match hand.middle {
            Middle::Full if placeholder.is_none() && chance(rng, 0.8 * regime.middle) => {
                person.middle.clone()
            }
            Middle::Initial if placeholder.is_none() && chance(rng, 0.6 * regime.middle) => {
                person.middle.get(..1).unwrap_or("").to_owned()
            }
            _ => String::new(),
        },
        suffix: if chance(rng, 0.4) { person.suffix.to_owned() } else { String::new() },
        family,
    };
    let other_middle = regime.other_middle > 0.0 && !name.middle.is_empty();
    if other_middle && chance(rng, regime.other_middle) {
        name.middle = one_of(rng, &["ANN", "LEE", "MARIE", "JAMES", "R", "T", "LYNN", "J"]).into();
    }
    if !name.suffix.is_empty() && chance(rng, 0.15) {
        // The suffix hides in the family name.
        name.family = format!("{} {}", name.family, std::mem::take(&mut name.suffix));
    }
    if chance(rng, 0.004) && placeholder.is_none() {
        std::mem::swap(&mut name.given, &mut name.family);
    }
    name
}

fn given_form(rng: &mut Rng, regime: &Regime, person: &Person) -> String {
    let given = &person.given;
    let forms = |count| scaled(count, regime.other_forms);
    // How many of a thousand are told so; the others as they are.
    let told = [forms(45), forms(7), regime.slipped(20), forms(7), forms(7), forms(4)];
    let draw = rng.u32(..1_000);
    let mut end = 0;
    let told = told.iter().position(|count| {
        end += count;
        draw < end
    });
    match told {
        Some(0) => pet_name(rng, given),
        Some(1) => given.get(..1).unwrap_or("").to_owned(),
        Some(2) => typo(rng, given),
        Some(3) if !person.middle.is_empty() => person.middle.clone(),
        Some(4) if !person.middle.is_empty() => format!("{given} {}", person.middle),
        Some(5) => format!("{given}{}", one_of(rng, &[" MR", ".", " -"])),
        _ => given.clone(),
    }
}

/// A form of the given name out of the table, or one that no table knows.
fn pet_name(rng: &mut Rng, given: &str) -> String {
    let forms = nicknames::forms(given);
    if !forms.is_empty() && chance(rng, 0.9) {
        return one_of(rng, forms).to_owned();
    }
    let kept = given.get(..3.min(given.len())).unwrap_or(given);
    if rng.bool() { kept.to_owned() } else { format!("{kept}IE") }
}

fn family_form(rng: &mut Rng, regime: &Regime, family: &str) -> String {
    let parts: Vec<&str> = family.split([' ', '-']).collect();
    let draw = rng.u32(..1_000);
    let slips = regime.slipped(32);
    if draw < slips {
        return typo(rng, family);
    }
    // As in the usual regime, from here on.
    match (draw.max(32), parts.as_slice()) {
        (32..400, [first, last]) => match rng.u8(..5) {
            0 => (*last).to_owned(),
            1 | 2 => (*first).to_owned(),
            3 => format!("{first}{last}"),
            _ => format!("{first}-{last}"),
        },
        (32..42, _) => family.get(..family.len().min(10)).unwrap_or(family).to_owned(),
        _ => family.to_owned(),
    }
}

fn written_sex(rng: &mut Rng, sex: Sex) -> &'static str {
    let (told, other) = match sex {
        Sex::Female => ("F", "M"),
        Sex::Male => ("M", "F"),
    };
    match rng.u32(..1_000) {
        0..5 => other,
        5..8 => "U",
        8..16 => "",
        _ => told,
    }
}

fn written_birth(rng: &mut Rng, regime: &Regime, person: &Person) -> String {
    let (year, month, day) =
        (person.birth.year(), u8::from(person.birth.month()), person.birth.day());
    if regime.other_dates > 0.0 && chance(rng, regime.other_dates) {
        return match rng.u8(..4) {
            0 => format!("{year:04}-{:02}-{day:02}", rng.u8(1..13)),
            1 => format!("{year:04}-{month:02}-{:02}", rng.u8(1..29)),
            2 => (person.birth + Duration::days(one_of(rng, &[-3, -2, -1, 1, 2, 3]))).to_string(),
            _ => format!("{:04}-{month:02}-{day:02}", year + one_of(rng, &[-5, -3, -2, 2, 3, 5])),
        };
    }
    let draw = rng.u32(..10_000);
    // The usual 250 are spread over as many more, or fewer.
    let slips = regime.slipped(250);
    match if draw < slips { draw * 250 / slips } else { 250 } {
        0..70 => String::new(),
        70..85 => "1900-01-01".to_owned(),
        85..110 => format!("{year:04}-01-01"),
        110..120 => format!("{year:04}"),
        120..150 if day <= 12 => format!("{year:04}-{day:02}-{month:02}"),
        150..180 => format!("{:04}-{month:02}-{day:02}", year + one_of(rng, &[-1, 1, -10, 10])),
        180..250 => digit_slip(rng, &person.birth.to_string()),
        _ => format!("{year:04}-{month:02}-{day:02}"),
    }
}

fn written_ssn(rng: &mut Rng, (hand, regime): (&Hand, &Regime), person: &Person) -> String {
    if !chance(rng, hand.ssn_rate * regime.ssn) {
        return String::new();
    }
    let digits = match (&person.guarantor_ssn, rng.u32(..1_000)) {
        (Some(other), 0..700) => other.clone(),
        (_, 700..712) => one_of(rng, &DUMMY_SSNS).to_owned(),
        (_, 712..728) => digit_slip(rng, &person.ssn),
        _ => person.ssn.clone(),
    };
    match hand.ssn {
        Ssn::Plain => digits,
        Ssn::Dashes => format!("{}-{}-{}", &digits[..3], &digits[3..5], &digits[5..]),
        Ssn::LastFour => digits[5..].to_owned(),
    }
}

fn written_phone(
    rng: &mut Rng,
    (hand, regime): (&Hand, &Regime),
    person: &Person,
    known: f32,
) -> String {
    let own = at(&person.phones, known);
    let missing = scaled(130, regime.phone_missing);
    let (dummy, slip) = (missing + 7, missing + 7 + regime.slipped(18));
    let line = missing + 7 + scaled(1_000, regime.shared_line);
    let digits = match (&person.landline, own, rng.u32(..1_000)) {
        (_, _, draw) if draw < missing => return String::new(),
        (_, _, draw) if draw < dummy => one_of(rng, &DUMMY_PHONES).to_owned(),
        (Some(shared), _, draw) if draw < line => shared.clone(),
        (_, Some(own), draw) if draw < slip => digit_slip(rng, own),
        (_, Some(own), _) => own.clone(),
        (_, None, _) => return String::new(),
    };
    let (area, exchange, line) = (&digits[..3], &digits[3..6], &digits[6..]);
    match hand.phone {
        Phone::Plain => digits,
        Phone::Dashes => format!("{area}-{exchange}-{line}"),
        Phone::Brackets => format!("({area}) {exchange}-{line}"),
    }
}

fn written_email(rng: &mut Rng, (hand, regime): (&Hand, &Regime), person: &Person) -> String {
    match &person.email {
        Some(email) if chance(rng, hand.email_rate * regime.email) => {
            // The other address: nothing of the first is in it.
            if regime.second_email > 0.0 && chance(rng, regime.second_email) {
                return format!("{}@mail.org", person.number * 7_919 % 1_000_003);
            }
            if chance(rng, 0.01 * regime.slips) { typo(rng, email) } else { email.clone() }
        }
        _ => String::new(),
    }
}

/// Address line, city, state and postal code as written.
fn written_address(
    rng: &mut Rng,
    (hand, regime): (&Hand, &Regime),
    places: &Places,
    home: &Home,
) -> [String; 4] {
    let city = places.city(home);
    if chance(rng, 0.03 * regime.address_missing) {
        return [const { String::new() }; 4];
    }
    let mut line = match &home.delivery {
        Delivery::Street { number, street, unit } => {
            street_line(rng, hand, *number, *street, unit.as_ref())
        }
        Delivery::Box(number) => format!("PO BOX {number}"),
        Delivery::Shared(line) => (*line).to_owned(),
    };
    if chance(rng, 0.025 * regime.slips) {
        line = typo(rng, &line);
    }
    let zip = match rng.u32(..1_000) {
        0..25 => String::new(),
        25..30 => digit_slip(rng, &home.zip.to_string()),
        30..100 => format!("{}-{:04}", home.zip, home.zip % 9_000 + 101),
        _ => home.zip.to_string(),
    };
    let city_line = match rng.u32(..1_000) {
        0..25 => String::new(),
        25..40 => typo(rng, &city.name),
        _ => city.name.clone(),
    };
    [line, city_line, city.state.to_owned(), zip]
}

fn street_line(
    rng: &mut Rng,
    hand: &Hand,
    number: u32,
    street: Street,
    unit: Option<&Unit>,
) -> String {
    let mut line = number.to_string();
    let mut push = |word: &str| {
        if !word.is_empty() {
            line.push(' ');
            line.push_str(word);
        }
    };
    if !chance(rng, 0.08) {
        push(street.direction);
    }
    match street.name {
        StreetName::Words(first, second) => {
            push(first);
            push(second);
        }
        StreetName::Numbered(number) => push(&ordinal(number)),
    }
    let (short, long) = STREET_TYPES[street.kind];
    if !chance(rng, 0.06) {
        push(if hand.long_street { long } else { short });
    }
    if let Some(unit) = unit.filter(|_| !chance(rng, 0.07)) {
        let kind = if chance(rng, 0.25) { "#" } else { unit.kind };
        push(&format!("{kind} {}{}", unit.number, unit.letter));
    }
    line
}

fn ordinal(number: u8) -> String {
    let ending = match (number % 10, number / 10) {
        (1, tens) if tens != 1 => "ST",
        (2, tens) if tens != 1 => "ND",
        (3, tens) if tens != 1 => "RD",
        _ => "TH",
    };
    format!("{number}{ending}")
}

/// Capitals, or a capital for each word; codes of a state stay capitals.
fn cased(hand: &Hand, text: String) -> String {
    if hand.capitals || text.len() <= 2 {
        return text;
    }
    let mut start = true;
    text.chars()
        .map(|letter| {
            let cased = if start { letter } else { letter.to_ascii_lowercase() };
            start = !letter.is_ascii_alphanumeric();
            cased
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_read_as_spoken() {
        for (number, text) in [(1, "1ST"), (2, "2ND"), (11, "11TH"), (12, "12TH"), (23, "23RD")] {
            assert_eq!(ordinal(number), text);
        }
    }

    #[test]
    fn a_hand_that_writes_small_keeps_state_codes_large() {
        let small = &HANDS[0].0;
        assert_eq!(cased(small, "NORTH OAK ST # 4B".into()), "North Oak St # 4b");
        assert_eq!(cased(small, "MN".into()), "MN");
        assert_eq!(cased(&HANDS[1].0, "OAK".into()), "OAK");
    }

    #[test]
    fn about_1_9_records_a_person() {
        let weights: u32 = VISITS.iter().map(|(_, weight)| weight).sum();
        let records: u32 = VISITS.iter().map(|(count, weight)| *count as u32 * weight).sum();
        assert!((1.85..1.95).contains(&(f64::from(records) / f64::from(weights))));
    }
}
