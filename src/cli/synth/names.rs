use fastrand::Rng;

use super::dice::{Weighted, chance, one_of, zipf_rank};
use super::person::Sex;

/// How many rarer family names there are beside the table: as in a country of many origins.
const RARE_FAMILY_NAMES: u32 = 160_000;
const RARE_GIVEN_NAMES: u32 = 6_000;

/// Names by how often they are met.
pub(super) struct Names {
    given_female: Heritages,
    given_male: Heritages,
    family: Heritages,
}

/// One table, apart for families that speak Spanish.
struct Heritages {
    spanish: Weighted<&'static str>,
    other: Weighted<&'static str>,
}

impl Names {
    pub(super) fn new() -> Self {
        Self {
            given_female: Heritages::parse(include_str!("tables/given_female.txt")),
            given_male: Heritages::parse(include_str!("tables/given_male.txt")),
            family: Heritages::parse(include_str!("tables/family.txt")),
        }
    }

    pub(super) fn given(&self, rng: &mut Rng, sex: Sex, spanish: bool) -> String {
        if chance(rng, 0.07) {
            return rare_given(zipf_rank(rng, RARE_GIVEN_NAMES, 40.0), sex);
        }
        let table = match sex {
            Sex::Female => &self.given_female,
            Sex::Male => &self.given_male,
        };
        table.of(spanish && chance(rng, 0.65)).draw(rng).to_owned()
    }

    pub(super) fn family(&self, rng: &mut Rng, spanish: bool) -> String {
        let rare = if spanish { 0.3 } else { 0.5 };
        if chance(rng, rare) {
            return rare_family(zipf_rank(rng, RARE_FAMILY_NAMES, 900.0), spanish);
        }
        self.family.of(spanish).draw(rng).to_owned()
    }
}

impl Heritages {
    fn parse(table: &'static str) -> Self {
        let rows = || {
            table.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
                let mut words = line.split_ascii_whitespace();
                let (name, weight) = (words.next()?, words.next()?.parse().ok()?);
                Some((name, weight, words.next() == Some("h")))
            })
        };
        let of = |spanish| rows().filter(move |row| row.2 == spanish).map(|row| (row.0, row.1));
        Self { spanish: Weighted::new(of(true)), other: Weighted::new(of(false)) }
    }

    fn of(&self, spanish: bool) -> &Weighted<&'static str> {
        if spanish { &self.spanish } else { &self.other }
    }
}

const STARTS: [&str; 56] = [
    "BAL", "BER", "BOR", "BRI", "CAR", "CHEM", "COR", "DAL", "DEM", "DOR", "DRE", "EBER", "FAL",
    "FEN", "FRI", "GAL", "GER", "GOR", "GRE", "HAR", "HEL", "HOL", "JAN", "KAL", "KER", "KOS",
    "KRAM", "LAN", "LEH", "LIND", "MAL", "MER", "MIK", "MOR", "NEU", "NOR", "OST", "PAL", "PEL",
    "POL", "RAD", "REI", "ROS", "SAL", "SCHAR", "SOL", "STAN", "STOL", "TAL", "THOR", "TOM", "VAL",
    "VER", "WAL", "WES", "ZAL",
];
const MIDDLES: [&str; 50] = [
    "A", "AB", "AN", "AR", "E", "EB", "EL", "EN", "ER", "I", "IK", "IL", "IN", "O", "OB", "OL",
    "ON", "OR", "U", "UL", "UN", "ANT", "END", "INT", "ALD", "ASK", "EST", "ING", "OFF", "OM",
    "ENK", "ARD", "EG", "IV", "OV", "IS", "AM", "EM", "IM", "UM", "ACH", "ECH", "ICH", "UCH", "ET",
    "AT", "IT", "OT", "AV", "EV",
];
const ENDS: [&str; 58] = [
    "SON", "SEN", "MAN", "MANN", "BERG", "STEIN", "FIELD", "TON", "WOOD", "LEY", "LAND", "SKI",
    "SKY", "OWSKI", "EWICZ", "OVIC", "ICH", "ENKO", "OV", "EV", "INI", "ETTI", "ELLI", "INO",
    "ANO", "ACCI", "IER", "ARD", "EAU", "ELLE", "ER", "ERS", "INGER", "BACH", "HOLT", "QUIST",
    "STROM", "GREN", "LUND", "DAHL", "WELL", "WORTH", "HAM", "FORD", "RIDGE", "DEN", "KE", "KA",
    "EK", "AK", "IAN", "YAN", "POULOS", "IDES", "AKIS", "WALA", "RAJU", "ATHAN",
];
const SPANISH_ENDS: [&str; 14] = [
    "EZ", "IDO", "ADO", "ERO", "ERA", "OSA", "ILLA", "ALES", "EDA", "ARES", "INO", "ANA", "ENTE",
    "UELA",
];

/// The rare family name of a rank: always the same one, so that few are common and many are met once.
fn rare_family(rank: u32, spanish: bool) -> String {
    let ends: &[&str] = if spanish { &SPANISH_ENDS } else { &ENDS };
    // Neighboring ranks shall not sound alike: spread them by a multiplier prime to the range.
    let spread = u64::from(rank) * 48_271 % u64::from(RARE_FAMILY_NAMES);
    spell(spread as usize, ends)
}

fn spell(number: usize, ends: &[&str]) -> String {
    let start = STARTS[number % STARTS.len()];
    let rest = number / STARTS.len();
    let middle = MIDDLES[rest % MIDDLES.len()];
    format!("{start}{middle}{}", ends[rest / MIDDLES.len() % ends.len()])
}

fn rare_given(rank: u32, sex: Sex) -> String {
    const OPENINGS: [&str; 24] = [
        "SHA", "LA", "KA", "DE", "JA", "TA", "MAR", "AL", "ZE", "RO", "NA", "BRE", "KEN", "DAR",
        "AN", "EL", "JO", "TRE", "QUI", "RAY", "SA", "MI", "ADE", "OLU",
    ];
    const MIDS: [&str; 12] = ["L", "N", "R", "V", "ND", "T", "M", "D", "QU", "SH", "K", "LL"];
    const FEMALE: [&str; 12] =
        ["ISHA", "ELLE", "ANA", "ITA", "INE", "IQUA", "ETTE", "EESE", "ONA", "IA", "YNN", "ANI"];
    const MALE: [&str; 12] =
        ["ON", "AN", "EL", "ELL", "IUS", "ONTE", "ARIO", "IN", "ARD", "EON", "US", "IAN"];
    let number = (u64::from(rank) * 2_741 % u64::from(RARE_GIVEN_NAMES)) as usize;
    let ends = match sex {
        Sex::Female => &FEMALE,
        Sex::Male => &MALE,
    };
    let opening = OPENINGS[number % OPENINGS.len()];
    let rest = number / OPENINGS.len();
    format!("{opening}{}{}", MIDS[rest % MIDS.len()], ends[rest / MIDS.len() % ends.len()])
}

/// A twin's given name that sounds like the other's: the same beginning, another end.
pub(super) fn twin_given(rng: &mut Rng, other: &str, sex: Sex) -> String {
    let ends: &[&str] = match sex {
        Sex::Female => &["A", "IA", "ANNE", "ELLE", "INA", "YN", "IE"],
        Sex::Male => &["ON", "EN", "AN", "IN", "EL", "US", "Y"],
    };
    let kept = other.len().saturating_sub(2).max(2);
    let stem = other.get(..kept).unwrap_or(other);
    let given = format!("{stem}{}", one_of(rng, ends));
    if given == other { format!("{given}NA") } else { given }
}

/// A twin's given name that rhymes with the other's: one consonant is another.
pub(super) fn rhyming_given(rng: &mut Rng, other: &str) -> String {
    const CONSONANTS: &[u8] = b"BCDFGHJKLMNPRSTV";
    let mut letters = other.as_bytes().to_vec();
    let places: Vec<usize> =
        (0..letters.len()).filter(|&i| CONSONANTS.contains(&letters[i])).collect();
    if places.is_empty() {
        return format!("{other}NA");
    }
    // Mostly the first sound.
    let at = if rng.bool() { places[0] } else { one_of(rng, &places) };
    while letters[at] == other.as_bytes()[at] {
        letters[at] = one_of(rng, CONSONANTS);
    }
    String::from_utf8(letters).unwrap_or_else(|_| other.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn the_commonest_family_name_is_well_below_two_percent_and_many_are_met_once() {
        let (names, mut rng) = (Names::new(), Rng::with_seed(1));
        let mut met: HashMap<String, u32> = HashMap::new();
        for _ in 0..50_000 {
            *met.entry(names.family(&mut rng, false)).or_default() += 1;
        }
        assert!(met.values().all(|&times| times < 1_000));
        let once = met.values().filter(|&&times| times == 1).count();
        assert!(once > 4_000, "{once} of {}", met.len());
    }

    #[test]
    fn rare_names_of_different_ranks_differ() {
        let family: std::collections::HashSet<String> =
            (0..10_000).map(|rank| rare_family(rank, false)).collect();
        assert!(family.len() > 9_900, "{}", family.len());
    }

    #[test]
    fn a_twin_has_another_name_of_the_same_beginning() {
        let mut rng = Rng::with_seed(1);
        for given in ["MARIA", "JAYDEN", "ANA", "AL"] {
            let twin = twin_given(&mut rng, given, Sex::Female);
            assert_ne!(twin, given);
            assert_eq!(twin[..2], given[..2]);
            let rhyme = rhyming_given(&mut rng, given);
            assert_eq!(strsim::osa_distance(&rhyme, given), 1, "{rhyme}");
        }
    }
}
