use csv::StringRecord;
use fastrand::Rng;
use time::{Date, Duration, Month};

use super::{
    dice::{Weighted, chance},
    names::{Names, rhyming_given, twin_given},
    person::{Person, Sex},
    places::{Home, Places},
    regime::Regime,
    visit::{Registry, VISITS},
};

/// Telephone numbers given up, of which some are given to strangers again.
const FREED_PHONES_MAX: usize = 256;

/// Draws one household after another, with the records of everybody in it.
pub(super) struct Population {
    rng: Rng,
    names: Names,
    places: Places,
    registry: Registry,
    visits: Weighted<usize>,
    freed_phones: Vec<String>,
    persons: u64,
    regime: Regime,
}

/// Who lives together.
#[derive(Clone, Copy)]
enum Kind {
    Single,
    Couple,
    Family,
    OneParent,
    Siblings,
    ThreeGenerations,
}

impl Population {
    pub(super) fn new(seed: u64, records: u64, regime: Regime) -> Self {
        let mut rng = Rng::with_seed(seed);
        Self {
            names: Names::new(),
            places: Places::new(&mut rng, records),
            registry: Registry::new(regime),
            visits: Weighted::new(VISITS),
            freed_phones: Vec::new(),
            persons: 0,
            regime,
            rng,
        }
    }

    /// The records of the next household's members, all of them, person by person.
    pub(super) fn next_household(&mut self) -> Vec<StringRecord> {
        let persons = self.household();
        let mut records = Vec::new();
        for person in &persons {
            for _ in 0..self.visits.draw(&mut self.rng) {
                records.push(self.registry.record(&mut self.rng, &self.places, person));
            }
        }
        records
    }

    fn household(&mut self) -> Vec<Person> {
        let kinds = Weighted::new([
            (Kind::Single, 30),
            (Kind::Couple, 25),
            (Kind::Family, 26),
            (Kind::OneParent, 11),
            (Kind::Siblings, 3),
            (Kind::ThreeGenerations, 5),
        ]);
        let kind = kinds.draw(&mut self.rng);
        let institution = matches!(kind, Kind::Single) && chance(&mut self.rng, 0.03);
        let home = if institution {
            self.places.institution(&mut self.rng)
        } else {
            self.places.home(&mut self.rng, None)
        };
        let spanish = chance(&mut self.rng, 0.2);
        let family = self.names.family(&mut self.rng, spanish);
        let mut house = Household {
            spanish,
            landline: chance(&mut self.rng, 0.5).then(|| self.phone(&home)),
            home,
            persons: Vec::new(),
        };
        self.settle(kind, &mut house, &family);
        if chance(&mut self.rng, 0.33 * self.regime.moves) {
            self.move_together(&mut house);
        }
        house.persons
    }

    fn settle(&mut self, kind: Kind, house: &mut Household, family: &str) {
        match kind {
            Kind::Single => {
                let (sex, age) = (self.sex(), self.rng.u32(18..95));
                self.adult(house, sex, age, family);
            }
            Kind::Couple => {
                let age = self.rng.u32(22..90);
                self.couple(house, age, family);
            }
            Kind::Family => {
                let age = self.rng.u32(24..56);
                self.couple(house, age, family);
                self.children(house, age, family);
            }
            Kind::OneParent => {
                let age = self.rng.u32(20..52);
                self.adult(house, Sex::Female, age, family);
                self.children(house, age, family);
            }
            Kind::Siblings => {
                let age = self.rng.u32(20..70);
                for gap in [0, self.rng.u32(1..6)] {
                    let sex = self.sex();
                    self.adult(house, sex, age + gap, family);
                }
                if chance(&mut self.rng, 0.25) {
                    grown_twin(house);
                }
            }
            Kind::ThreeGenerations => {
                let age = self.rng.u32(26..50);
                self.couple(house, age, family);
                self.children(house, age, family);
                let sex = self.sex();
                let elder = age + self.rng.u32(20..36);
                self.adult(house, sex, elder, family);
            }
        }
    }

    fn couple(&mut self, house: &mut Household, age: u32, family: &str) {
        let husband = house.persons.len();
        self.adult(house, Sex::Male, age, family);
        let gap = self.rng.u32(0..6);
        let spanish = house.spanish && chance(&mut self.rng, 0.8);
        let maiden = self.names.family(&mut self.rng, spanish);
        self.adult(house, Sex::Female, (age + 2).saturating_sub(gap).max(19), &maiden);
        let wife = husband + 1;
        if chance(&mut self.rng, 0.78) {
            // Married long ago, or within the years that the records span.
            let wed = if chance(&mut self.rng, 0.4) { self.rng.f32() } else { -1.0 };
            let married = if chance(&mut self.rng, 0.06) {
                format!("{maiden}-{family}")
            } else {
                family.into()
            };
            house.persons[wife].families.push((wed, married));
            if wed > 0.0 {
                let before = self.places.home(&mut self.rng, Some(&house.home));
                let homes = vec![(0.0, before), (wed, house.home.clone())];
                house.persons[wife].homes = homes;
            }
        }
        if chance(&mut self.rng, self.regime.couple_email) {
            let shared = house.persons[husband].email.clone();
            house.persons[wife].email = shared;
        }
    }

    fn children(&mut self, house: &mut Household, parent_age: u32, family: &str) {
        let mut age = self.rng.u32(..(parent_age - 18).min(22));
        for _ in 0..Weighted::new([(1, 38), (2, 38), (3, 17), (4, 7)]).draw(&mut self.rng) {
            let sex = self.sex();
            let child = self.child(house, sex, age, family);
            if chance(&mut self.rng, 0.018 * self.regime.twins) {
                self.twin_of(house, child);
            }
            let gap = self.rng.u32(1..5);
            let Some(younger) = age.checked_sub(gap) else { break };
            age = younger;
        }
        self.name_after_father(house);
    }

    fn child(&mut self, house: &mut Household, sex: Sex, age: u32, family: &str) -> usize {
        let mut child = self.person(house, sex, age, family);
        child.email = None;
        if self.regime.guardian_email > 0.0 && chance(&mut self.rng, self.regime.guardian_email) {
            child.email.clone_from(&house.persons[0].email);
        }
        if age < 13 {
            child.phones.clone_from(&house.persons[0].phones);
        }
        if chance(&mut self.rng, 0.03) {
            child.guarantor_ssn = Some(house.persons[0].ssn.clone());
        }
        if age == 0 && chance(&mut self.rng, self.regime.unnamed) {
            let said = match (sex, self.rng.u8(..4)) {
                (_, 0) => "NEWBORN",
                (Sex::Male, 1) => "BABY BOY",
                (Sex::Male, _) => "BABYBOY",
                (Sex::Female, 1) => "BABY GIRL",
                (Sex::Female, _) => "BABYGIRL",
            };
            child.placeholder = Some((said.to_owned(), self.rng.f32()));
        }
        house.persons.push(child);
        house.persons.len() - 1
    }

    fn twin_of(&mut self, house: &mut Household, first: usize) {
        let sex = if chance(&mut self.rng, 0.66) { house.persons[first].sex } else { self.sex() };
        let family = house.persons[first].families[0].1.clone();
        let second = self.child(house, sex, 1, &family);
        let (head, tail) = house.persons.split_at_mut(second);
        let (elder, twin) = (&mut head[first], &mut tail[0]);
        twin.birth = elder.birth;
        twin.phones.clone_from(&elder.phones);
        if chance(&mut self.rng, self.regime.alike_twins) {
            let rhyming = self.regime.rhyming_twins;
            let rhymes = rhyming > 0.0 && chance(&mut self.rng, rhyming);
            twin.given = if rhymes {
                rhyming_given(&mut self.rng, &elder.given)
            } else {
                twin_given(&mut self.rng, &elder.given, sex)
            };
        }
        if let Some((said, until)) = &mut elder.placeholder {
            twin.placeholder = Some((format!("{said} B"), *until));
            said.push_str(" A");
        }
    }

    fn name_after_father(&mut self, house: &mut Household) {
        if !chance(&mut self.rng, 0.07) || house.persons[0].sex != Sex::Male {
            return;
        }
        let (father, rest) = house.persons.split_at_mut(1);
        let father = &mut father[0];
        let son = rest.iter_mut().find(|p| p.sex == Sex::Male && p.birth > father.birth);
        let Some(son) = son else { return };
        son.given.clone_from(&father.given);
        if chance(&mut self.rng, 0.7) {
            son.middle.clone_from(&father.middle);
        }
        son.suffix = "JR";
        father.suffix = "SR";
    }

    fn adult(&mut self, house: &mut Household, sex: Sex, age: u32, family: &str) {
        let mut person = self.person(house, sex, age, family);
        if chance(&mut self.rng, 0.3 * self.regime.moves) && person.homes.len() == 1 {
            // Lived elsewhere before joining.
            let before = self.places.home(&mut self.rng, Some(&house.home));
            person.homes = vec![(0.0, before), (self.rng.f32(), house.home.clone())];
        }
        house.persons.push(person);
    }

    fn person(&mut self, house: &Household, sex: Sex, age: u32, family: &str) -> Person {
        self.persons += 1;
        let rng = &mut self.rng;
        let given = self.names.given(rng, sex, house.spanish);
        let middle = self.names.given(rng, sex, house.spanish);
        let family = if house.spanish && chance(rng, 0.22) {
            format!("{family} {}", self.names.family(rng, true))
        } else {
            family.to_owned()
        };
        let birth = birth_date(rng, age);
        let ssn = ssn(rng);
        let email = (age > 13 && chance(rng, 0.5)).then(|| email(rng, &given, &family, birth));
        let first_phone = self.phone(&house.home);
        let mut phones = vec![(0.0, first_phone)];
        while chance(&mut self.rng, 0.2) && phones.len() < 4 {
            let next = self.phone(&house.home);
            let freed = phones[phones.len() - 1].1.clone();
            self.free_phone(freed);
            phones.push((self.rng.f32(), next));
        }
        phones.sort_by(|a, b| a.0.total_cmp(&b.0));
        Person {
            number: self.persons,
            sex,
            birth,
            given,
            middle: if chance(&mut self.rng, 0.85) { middle } else { String::new() },
            families: vec![(-2.0, family)],
            suffix: "",
            ssn,
            homes: vec![(0.0, house.home.clone())],
            phones,
            landline: house.landline.clone(),
            email,
            guarantor_ssn: None,
            placeholder: None,
        }
    }

    fn move_together(&mut self, house: &mut Household) {
        let next = self.places.home(&mut self.rng, Some(&house.home));
        let when = self.rng.f32();
        for person in &mut house.persons {
            person.homes.retain(|(from, _)| *from < when);
            person.homes.push((when, next.clone()));
        }
    }

    /// A new telephone number, now and then one that a stranger had before.
    fn phone(&mut self, home: &Home) -> String {
        if !self.freed_phones.is_empty() && chance(&mut self.rng, 0.02) {
            let chosen = self.rng.usize(..self.freed_phones.len());
            return self.freed_phones.swap_remove(chosen);
        }
        self.places.phone(&mut self.rng, home)
    }

    fn free_phone(&mut self, phone: String) {
        if self.freed_phones.len() == FREED_PHONES_MAX {
            let oldest = self.rng.usize(..FREED_PHONES_MAX);
            self.freed_phones.swap_remove(oldest);
        }
        self.freed_phones.push(phone);
    }

    fn sex(&mut self) -> Sex {
        if self.rng.bool() { Sex::Female } else { Sex::Male }
    }
}

/// People under one roof, while they are being made.
struct Household {
    home: Home,
    spanish: bool,
    landline: Option<String>,
    persons: Vec<Person>,
}

/// Adult twins: the siblings of a household, born on one day.
fn grown_twin(house: &mut Household) {
    let Some((first, rest)) = house.persons.split_first_mut() else { return };
    for other in rest {
        other.birth = first.birth;
    }
}

fn birth_date(rng: &mut Rng, age: u32) -> Date {
    // The population is as of 2026: a fixed day, so that a seed means the same next year.
    let today = Date::from_calendar_date(2026, Month::January, 1).unwrap_or(Date::MIN);
    today - Duration::days(i64::from(age * 365 + age / 4 + rng.u32(1..366)))
}

/// Nine digits of a number that could have been given out: no area 000, 666 or 9xx, no zero parts.
fn ssn(rng: &mut Rng) -> String {
    let area = match rng.u16(1..900) {
        666 => 667,
        area => area,
    };
    format!("{area:03}{:02}{:04}", rng.u8(1..100), rng.u16(1..10_000))
}

fn email(rng: &mut Rng, given: &str, family: &str, birth: Date) -> String {
    let domain = ["gmail.com", "yahoo.com", "icloud.com", "outlook.com"][rng.usize(..4)];
    let given = given.to_ascii_lowercase();
    let family: String =
        family.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase();
    let number = if rng.bool() { birth.year() % 100 } else { rng.i32(1..100) };
    match rng.u8(..3) {
        0 => format!("{given}.{family}{number}@{domain}"),
        1 => format!("{}{family}{number}@{domain}", given.get(..1).unwrap_or("")),
        _ => format!("{family}{}{number}@{domain}", given.get(..1).unwrap_or("")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::synth::RegimeName;

    #[test]
    fn a_number_could_have_been_given_out() {
        let mut rng = Rng::with_seed(1);
        for _ in 0..5_000 {
            let number = ssn(&mut rng);
            assert_eq!(number.len(), 9);
            assert!(&number[..3] != "000" && &number[..3] != "666" && !number.starts_with('9'));
            assert!(&number[3..5] != "00" && &number[5..] != "0000");
        }
    }

    #[test]
    fn the_son_named_after_his_father_is_younger_and_shares_the_name() {
        let mut population = Population::new(1, 10_000, RegimeName::Usual.regime());
        let juniors: Vec<_> = (0..4_000)
            .map(|_| population.household())
            .filter(|persons| persons.iter().any(|person| person.suffix == "JR"))
            .collect();
        assert!(juniors.len() > 20, "{}", juniors.len());
        for house in juniors {
            let son = house.iter().find(|person| person.suffix == "JR").expect("filtered for it");
            let father = house.iter().find(|person| person.suffix == "SR").expect("his father");
            assert!(son.given == father.given && son.birth > father.birth);
        }
    }

    #[test]
    fn twins_share_birthday_and_roof_but_no_number() {
        let mut population = Population::new(1, 10_000, RegimeName::Usual.regime());
        let mut twins = 0;
        for _ in 0..4_000 {
            let house = population.household();
            for (at, one) in house.iter().enumerate() {
                for other in house[at + 1..].iter().filter(|other| other.birth == one.birth) {
                    twins += 1;
                    assert_ne!(one.ssn, other.ssn);
                    assert_ne!(one.number, other.number);
                }
            }
        }
        assert!(twins > 30, "{twins}");
    }
}
