//! Addresses: number, street without type and direction, unit, city and postal code kept apart.
//!
//! Abbreviations after USPS Publication 28, appendix C.

use super::{names::fold, placeholders};

/// One address, ready to compare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NormalizedPlace {
    pub(crate) number: String,
    pub(crate) street: String,
    pub(crate) unit: String,
    pub(crate) city: String,
    pub(crate) postal_code: String,
}

/// Normalizes street lines, city and postal code. A line may hold several parts between commas.
pub(crate) fn normalize_place(lines: &[&str], city: &str, postal_code: &str) -> NormalizedPlace {
    let mut place = NormalizedPlace {
        city: normalize_city(city),
        postal_code: normalize_postal_code(postal_code),
        ..Default::default()
    };
    let mut words = Vec::new();
    for segment in lines.iter().flat_map(|line| line.split(',')) {
        let folded = fold(segment);
        let first = words.is_empty() || words.iter().all(|w: &String| is_digits(w));
        let found: Vec<String> = segment_words(&folded);
        if first {
            words.extend(found);
        } else if found.len() <= 2 && place.unit.is_empty() {
            place.unit = found.into_iter().next_back().unwrap_or_default();
        }
    }
    if !words.is_empty() && !placeholders::street(&words.concat()) {
        split_street(&mut place, words);
    }
    if placeholders::street(&place.unit) || is_unit_word(&place.unit) {
        place.unit.clear();
    }
    place
}

fn normalize_city(told: &str) -> String {
    let city: String = fold(told).chars().filter(char::is_ascii_alphanumeric).collect();
    if placeholders::city(&city) { String::new() } else { city }
}

fn normalize_postal_code(told: &str) -> String {
    let mut code: String = fold(told).chars().filter(char::is_ascii_alphanumeric).collect();
    if code.len() == 9 && is_digits(&code) {
        code.truncate(5);
    }
    if placeholders::postal_code(&code) {
        code.clear();
    }
    code
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

fn segment_words(folded: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut end = |word: &mut String| {
        if !word.is_empty() {
            words.push(std::mem::take(word));
        }
    };
    for c in folded.chars() {
        match c {
            'A'..='Z' | '0'..='9' => word.push(c),
            '#' => {
                end(&mut word);
                word.push('#');
                end(&mut word);
            }
            // Periods and apostrophes vanish inside a word: ST. JOHN'S.
            '.' | '\'' => {}
            _ => end(&mut word),
        }
    }
    end(&mut word);
    words
}

fn is_unit_word(word: &str) -> bool {
    const UNITS: &[&str] = &[
        "APT",
        "UNIT",
        "#",
        "LOT",
        "STE",
        "SUITE",
        "RM",
        "ROOM",
        "FL",
        "APARTMENT",
        "TRLR",
        "SPC",
        "BLDG",
        "FLOOR",
        "NO",
    ];
    UNITS.contains(&word)
}

fn split_street(place: &mut NormalizedPlace, words: Vec<String>) {
    let words = post_office_box(words);
    let mut kept: Vec<String> = Vec::with_capacity(words.len());
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        if !kept.is_empty() && is_unit_word(&word) {
            while words.next_if(|next| next == "#").is_some() {}
            if let Some(unit) = words.next() {
                place.unit = unit;
                continue;
            }
        }
        if word != "#" {
            kept.push(standard_word(word));
        }
    }
    // What kind of street and which end of it: often left out, seldom telling.
    let typed = kept.len() > 1 && kept.last().is_some_and(|w| is_street_type(w));
    if typed {
        kept.pop();
    }
    // "145 ST" is a street by number; a lone number is a house.
    let numbered = kept.len() > 1 || !typed;
    if numbered && kept.first().is_some_and(|w| w.starts_with(|c: char| c.is_ascii_digit())) {
        place.number = kept.remove(0);
    }
    if kept.iter().any(|w| !is_direction(w)) {
        kept.retain(|w| !is_direction(w));
    }
    place.street = kept.concat();
}

/// `PO BOX 12` becomes number 12 of the street POBOX.
fn post_office_box(words: Vec<String>) -> Vec<String> {
    let text: Vec<&str> = words.iter().map(String::as_str).collect();
    let number = match text.as_slice() {
        ["PO" | "POST", "BOX", number]
        | ["P", "O", "BOX", number]
        | ["POBOX", number]
        | ["POST", "OFFICE", "BOX", number] => *number,
        _ => return words,
    };
    vec![number.to_owned(), "POBOX".to_owned()]
}

fn standard_word(word: String) -> String {
    let standard = match word.as_str() {
        "STREET" | "STRT" | "STR" | "SAINT" => "ST",
        "AVENUE" | "AV" | "AVEN" => "AVE",
        "ROAD" => "RD",
        "DRIVE" | "DRV" => "DR",
        "LANE" => "LN",
        "COURT" | "CRT" => "CT",
        "BOULEVARD" | "BL" | "BOUL" => "BLVD",
        "PLACE" => "PL",
        "CIRCLE" | "CRCL" => "CIR",
        "CRESCENT" => "CRES",
        "TERRACE" => "TER",
        "PARKWAY" | "PKY" => "PKWY",
        "HIGHWAY" => "HWY",
        "SQUARE" => "SQ",
        "TRAIL" => "TRL",
        "EXPRESSWAY" => "EXPY",
        "TURNPIKE" => "TPKE",
        "PLAZA" => "PLZ",
        "HEIGHTS" => "HTS",
        "NORTH" => "N",
        "SOUTH" => "S",
        "EAST" => "E",
        "WEST" => "W",
        "MOUNT" => "MT",
        "FORT" => "FT",
        "FIRST" => "1",
        "SECOND" => "2",
        "THIRD" => "3",
        "FOURTH" => "4",
        "FIFTH" => "5",
        "SIXTH" => "6",
        "SEVENTH" => "7",
        "EIGHTH" => "8",
        "NINTH" => "9",
        "TENTH" => "10",
        _ => return cardinal(word),
    };
    standard.to_owned()
}

/// 145TH becomes 145: files write both.
fn cardinal(mut word: String) -> String {
    let digits = word.len().saturating_sub(2);
    if digits > 0
        && is_digits(&word[..digits])
        && matches!(&word[digits..], "ST" | "ND" | "RD" | "TH")
    {
        word.truncate(digits);
    }
    word
}

fn is_street_type(word: &str) -> bool {
    const TYPES: &[&str] = &[
        "ST", "AVE", "RD", "DR", "LN", "CT", "BLVD", "PL", "CIR", "WAY", "CRES", "TER", "PKWY",
        "HWY", "SQ", "TRL", "CLOSE", "CL", "COVE", "LOOP", "EXPY", "TPKE", "PLZ",
    ];
    TYPES.contains(&word)
}

fn is_direction(word: &str) -> bool {
    matches!(word, "N" | "S" | "E" | "W" | "NE" | "NW" | "SE" | "SW")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], number: &str, street: &str, unit: &str) {
        let place = normalize_place(lines, "", "");
        let got = (place.number.as_str(), place.street.as_str(), place.unit.as_str());
        assert_eq!(got, (number, street, unit), "{lines:?}");
    }

    #[test]
    fn number_street_and_unit_are_kept_apart() {
        check(&["217 Forest St"], "217", "FOREST", "");
        check(&["217 Forest Street Apt #4B"], "217", "FOREST", "4B");
        check(&["159 E 43rd St", "PH"], "159", "43", "PH");
        check(&["75 BARUCH DR", "Unit 9B"], "75", "BARUCH", "9B");
        check(&["5112 145th st"], "5112", "145", "");
        check(&["145TH ST"], "", "145", "");
        check(&["6 tullaroop street, willaroo"], "6", "TULLAROOP", "WILLAROO");
        check(&["PO Box 12"], "12", "POBOX", "");
        check(&["12", "Main St"], "12", "MAIN", "");
        check(&["North Ave"], "", "N", "");
        check(&["UNDOMICILED"], "", "", "");
        check(&["1 Main St", "Apt"], "1", "MAIN", "");
    }

    #[test]
    fn postal_codes_keep_five_digits() {
        for (told, code) in
            [("10002-1234", "10002"), ("10002", "10002"), ("00000", ""), ("SW1A 1AA", "SW1A1AA")]
        {
            assert_eq!(normalize_place(&[], "New York", told).postal_code, code);
        }
        assert_eq!(normalize_place(&[], "New  York", "").city, "NEWYORK");
    }
}
