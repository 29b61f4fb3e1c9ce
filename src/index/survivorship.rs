//! Which of several tellings survives into the golden view. Pure.
//!
//! - Birth date, sex, mother's maiden name: what most records say; among equals the latest told.
//!   A full birth date goes before a partial one.
//! - Names: the family and first given name that most records say, in its most complete telling;
//!   after it every other name, as told.
//! - Addresses, phones, e-mail: the latest told first; after it every other one, once.
//! - Identifiers: every one, once.
//! - Death, multiple birth, birth order: the latest record that says anything.
//!
//! Values are chosen, never mixed or mended: each survivor stands in a source record as it is here.

use std::{cmp::Reverse, hash::Hash};

use hashbrown::{HashMap, HashSet};

use crate::domain::{Demographics, Name, NameUse, PartialDate};

use super::Location;

/// Composes the golden demographics of one person's records.
pub(super) fn surviving(records: &[Location]) -> Demographics {
    let mut latest_first: Vec<&Location> = records.iter().collect();
    // Ties by key, so that the same records always give the same view.
    latest_first.sort_by(|a, b| b.told.cmp(&a.told).then_with(|| a.record.cmp(&b.record)));
    let told: Vec<&Demographics> =
        latest_first.iter().map(|location| &location.demographics).collect();
    Demographics {
        names: names(&told),
        birth_date: birth_date(&told),
        sex: most_told(told.iter().filter_map(|told| told.sex)),
        addresses: current_then_old(&told),
        phones: distinct(told.iter().flat_map(|told| &told.phones)),
        emails: distinct(told.iter().flat_map(|told| &told.emails)),
        identifiers: distinct(told.iter().flat_map(|told| &told.identifiers)),
        multiple_birth: told.iter().find_map(|told| told.multiple_birth),
        birth_order: told.iter().find_map(|told| told.birth_order),
        mothers_maiden_name: most_told(
            told.iter().filter_map(|told| told.mothers_maiden_name.as_ref()),
        )
        .cloned(),
        deceased: told.iter().find_map(|told| told.deceased),
        identity_unknown: told.iter().all(|told| told.identity_unknown),
    }
}

fn names(told: &[&Demographics]) -> Vec<Name> {
    let all = || told.iter().flat_map(|told| &told.names);
    let best = most_told(all().filter(|name| is_current(name)).map(name_key));
    let chosen = best.and_then(|best| {
        let tellings = all().filter(|name| is_current(name) && name_key(name) == best);
        // The first of the most complete: that of the latest record.
        tellings.min_by_key(|name| Reverse(completeness(name)))
    });
    distinct(chosen.into_iter().chain(all()))
}

fn is_current(name: &Name) -> bool {
    !matches!(name.name_use, NameUse::Old | NameUse::Maiden | NameUse::Anonymous)
}

/// What makes two tellings the same name: family and first given name, whatever the case.
fn name_key(name: &Name) -> (String, String) {
    let given = name.given.first().map_or("", String::as_str);
    let family = if name.family.is_empty() { &name.text } else { &name.family };
    (family.trim().to_lowercase(), given.trim().to_lowercase())
}

/// Parts that were told, then their letters: "Mary Jane" goes before "Mary J.", that before "Mary".
fn completeness(name: &Name) -> (usize, usize) {
    let parts = name.given.len() + name.prefixes.len() + name.suffixes.len();
    let letters = name.given.iter().chain([&name.family]).map(String::len).sum();
    (parts, letters)
}

fn birth_date(told: &[&Demographics]) -> Option<PartialDate> {
    let dates = || told.iter().filter_map(|told| told.birth_date);
    most_told(dates().filter(|date| date.is_full())).or_else(|| most_told(dates()))
}

fn current_then_old(told: &[&Demographics]) -> Vec<crate::domain::Address> {
    let all = || told.iter().flat_map(|told| &told.addresses);
    distinct(all().filter(|address| !address.old).chain(all().filter(|address| address.old)))
}

/// The value told most often; among equals the one that comes first.
fn most_told<T: Eq + Hash + Clone>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut counts: HashMap<T, (usize, usize)> = HashMap::new();
    for (at, value) in values.enumerate() {
        counts.entry(value).or_insert((0, at)).0 += 1;
    }
    counts.into_iter().max_by_key(|(_, (count, at))| (*count, Reverse(*at))).map(|(value, _)| value)
}

fn distinct<'a, T: Eq + Hash + Clone + 'a>(values: impl Iterator<Item = &'a T>) -> Vec<T> {
    let mut seen = HashSet::new();
    values.filter(|value| seen.insert(*value)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::domain::{Address, LocalId, MemberCode, RecordKey, Sex};

    fn location(hour: u8, demographics: Demographics) -> Location {
        let told = datetime!(2026-03-05 00:00 UTC) + time::Duration::hours(hour.into());
        let local_id = LocalId::parse("urn:x", &hour.to_string()).expect("a legal identifier");
        let member = MemberCode::parse("north").expect("a legal code");
        let record = RecordKey { member, local_id };
        Location { record, since: told, told, demographics, in_doubt: false, discovered: None }
    }

    fn name(family: &str, given: &[&str]) -> Name {
        Name {
            family: family.to_owned(),
            given: given.iter().map(|&given| given.to_owned()).collect(),
            ..Name::default()
        }
    }

    fn named(names: Vec<Name>) -> Demographics {
        Demographics { names, ..Demographics::default() }
    }

    #[test]
    fn the_name_most_told_survives_in_its_most_complete_telling() {
        let golden = surviving(&[
            location(1, named(vec![name("Reyes", &["Maria"])])),
            location(2, named(vec![name("REYES", &["Maria", "Luz"])])),
            location(3, named(vec![name("Cruz", &["Maria"])])),
        ]);
        let families: Vec<_> = golden.names.iter().map(|name| name.family.as_str()).collect();
        assert_eq!(families, ["REYES", "Cruz", "Reyes"], "no telling is lost");
        assert_eq!(golden.names[0].given, ["Maria", "Luz"]);
    }

    #[test]
    fn a_maiden_name_never_comes_first() {
        let maiden = Name { name_use: NameUse::Maiden, ..name("Young", &["Eve"]) };
        let golden = surviving(&[
            location(1, named(vec![maiden.clone()])),
            location(2, named(vec![maiden.clone(), name("Adams", &["Eve"])])),
        ]);
        assert_eq!(golden.names, [name("Adams", &["Eve"]), maiden]);
    }

    #[test]
    fn the_latest_address_and_phone_come_first() {
        let at = |city: &str, old| Address { city: city.to_owned(), old, ..Address::default() };
        let living = |addresses, phone: &str| Demographics {
            addresses,
            phones: vec![phone.to_owned()],
            ..Demographics::default()
        };
        let golden = surviving(&[
            location(1, living(vec![at("Salem", false)], "1")),
            location(3, living(vec![at("Lynn", true), at("Boston", false)], "3")),
            location(2, living(vec![at("Salem", false)], "1")),
        ]);
        let cities: Vec<_> = golden.addresses.iter().map(|a| a.city.as_str()).collect();
        assert_eq!(cities, ["Boston", "Salem", "Lynn"]);
        assert_eq!(golden.phones, ["3", "1"]);
    }

    #[test]
    fn most_records_decide_and_then_the_latest() {
        let born = |date: &str, sex| Demographics {
            birth_date: PartialDate::parse(date).ok(),
            sex,
            ..Demographics::default()
        };
        let golden = surviving(&[
            location(1, born("1984-03-05", Some(Sex::Female))),
            location(2, born("1984-03-05", Some(Sex::Female))),
            location(3, born("1984-05-03", Some(Sex::Male))),
            location(4, born("1984", None)),
        ]);
        assert_eq!(golden.birth_date, PartialDate::parse("1984-03-05").ok());
        assert_eq!(golden.sex, Some(Sex::Female));
        let tie = surviving(&[
            location(1, born("1984-03-05", None)),
            location(2, born("1984-05-03", None)),
            location(3, born("1984", None)),
        ]);
        assert_eq!(tie.birth_date, PartialDate::parse("1984-05-03").ok(), "full, then latest");
    }

    #[test]
    fn the_latest_word_on_death_survives() {
        let dead = |deceased| Demographics { deceased, ..Demographics::default() };
        let golden = surviving(&[
            location(1, dead(Some(true))),
            location(2, dead(Some(false))),
            location(3, dead(None)),
        ]);
        assert_eq!(golden.deceased, Some(false));
        assert!(!golden.identity_unknown);
    }
}
