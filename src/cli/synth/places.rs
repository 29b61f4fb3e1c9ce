use fastrand::Rng;

use super::dice::{Weighted, chance, one_of, zipf_rank};

/// About how many records one city has, so that a larger population has more cities.
const RECORDS_PER_CITY: u64 = 6_000;
const BUILDINGS_MAX: usize = 512;

/// Where people live: cities with their ZIP codes and area codes, and the blocks of flats already built.
pub(super) struct Places {
    cities: Vec<City>,
    buildings: Vec<Home>,
}

/// A city.
pub(super) struct City {
    pub(super) name: String,
    pub(super) state: &'static str,
    area_codes: &'static [u16],
    zip_first: u32,
    zips: u32,
}

/// A place to live: a house, a flat, or an institution that many share.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) city: usize,
    pub(super) zip: u32,
    pub(super) delivery: Delivery,
}

/// The delivery line of an address, in parts, since each hospital writes it in its own hand.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Delivery {
    /// House number, street and perhaps a unit.
    Street { number: u32, street: Street, unit: Option<Unit> },
    /// A post office box.
    Box(u32),
    /// An institution, or no fixed address.
    Shared(&'static str),
}

/// A street name with its direction and its type, an index into [`STREET_TYPES`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Street {
    pub(super) direction: &'static str,
    pub(super) name: StreetName,
    pub(super) kind: usize,
}

/// A street's name proper.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum StreetName {
    /// Such as OAK HILL.
    Words(&'static str, &'static str),
    /// Such as 42ND.
    Numbered(u8),
}

/// A flat within a building.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) kind: &'static str,
    pub(super) number: u16,
    pub(super) letter: &'static str,
}

/// Street types, short and long (USPS Publication 28, appendix C).
pub(super) const STREET_TYPES: [(&str, &str); 9] = [
    ("ST", "STREET"),
    ("AVE", "AVENUE"),
    ("RD", "ROAD"),
    ("DR", "DRIVE"),
    ("LN", "LANE"),
    ("CT", "COURT"),
    ("CIR", "CIRCLE"),
    ("BLVD", "BOULEVARD"),
    ("WAY", "WAY"),
];

const STATES: [(&str, u32, &[u16]); 3] = [
    ("MN", 55_001, &[612, 651, 507, 218, 763, 952]),
    ("WI", 53_001, &[414, 608, 715, 920]),
    ("IA", 50_001, &[515, 319, 563, 641]),
];
const CITY_NAMES: [&str; 40] = [
    "MAPLETON",
    "RIVERDALE",
    "STILLWATER",
    "ASHBY",
    "FAIRMONT",
    "OAKDALE",
    "LAKEVIEW",
    "HOLLAND",
    "NORTHFIELD",
    "GLENWOOD",
    "HARTLEY",
    "PINE CITY",
    "CLEARBROOK",
    "MILLBROOK",
    "SUMMIT",
    "BELMOND",
    "EASTON",
    "KINGSTON",
    "WESTFIELD",
    "CEDAR FALLS",
    "BRIGHTON",
    "HAMPTON",
    "GRANITE",
    "WINDOM",
    "LANCASTER",
    "PRESCOTT",
    "SHELDON",
    "ARCADIA",
    "CLINTON",
    "MARION",
    "NEWTON",
    "AUBURN",
    "DOVER",
    "ELGIN",
    "FRANKLIN",
    "GREENFIELD",
    "HUDSON",
    "MONROE",
    "OXFORD",
    "SALEM",
];
const STREET_FIRST: [&str; 30] = [
    "OAK",
    "PINE",
    "MAPLE",
    "CEDAR",
    "ELM",
    "WALNUT",
    "BIRCH",
    "SPRUCE",
    "WILLOW",
    "HICKORY",
    "LAKE",
    "RIVER",
    "HILL",
    "MEADOW",
    "SUNSET",
    "PARK",
    "CHURCH",
    "MILL",
    "SPRING",
    "HIGHLAND",
    "FOREST",
    "WASHINGTON",
    "LINCOLN",
    "JEFFERSON",
    "MADISON",
    "FRANKLIN",
    "JACKSON",
    "ADAMS",
    "COLLEGE",
    "PRAIRIE",
];
const STREET_SECOND: [&str; 8] = ["", "", "", "", "HILL", "CREEK", "RIDGE", "VIEW"];
const INSTITUTIONS: [&str; 6] = [
    "GENERAL DELIVERY",
    "UNDOMICILED",
    "1 HARBOR LIGHT SHELTER WAY",
    "1200 SUNSET MANOR NURSING HOME DR",
    "77 COUNTY JAIL RD",
    "400 RECOVERY HOUSE LN",
];

impl Places {
    pub(super) fn new(rng: &mut Rng, records: u64) -> Self {
        let count = (records / RECORDS_PER_CITY).clamp(10, 400) as usize;
        let states = Weighted::new([(0, 60), (1, 28), (2, 12)]);
        let mut zips_taken = [0; STATES.len()];
        let cities = (0..count)
            .map(|rank| {
                let state = states.draw(rng);
                let (code, zip_base, area_codes) = STATES[state];
                // The first cities are large: a dozen ZIP codes, later ones a single one.
                let zips = (12 / (rank as u32 + 1)).max(1) + rng.u32(..2);
                let zip_first = zip_base + zips_taken[state];
                zips_taken[state] = (zips_taken[state] + zips) % 950;
                City { name: city_name(rank), state: code, area_codes, zip_first, zips }
            })
            .collect();
        Self { cities, buildings: Vec::new() }
    }

    pub(super) fn city(&self, home: &Home) -> &City {
        &self.cities[home.city]
    }

    /// A home for a household, in a city chosen by size or near an earlier home.
    pub(super) fn home(&mut self, rng: &mut Rng, near: Option<&Home>) -> Home {
        if near.is_none() && chance(rng, 0.4) && !self.buildings.is_empty() {
            return self.flat(rng);
        }
        let city = match near {
            Some(home) if chance(rng, 0.6) => home.city,
            _ => zipf_rank(rng, self.cities.len() as u32, 3.0) as usize,
        };
        let zip = self.zip(rng, city);
        if chance(rng, 0.02) {
            return Home { city, zip, delivery: Delivery::Box(rng.u32(1..2_500)) };
        }
        let delivery =
            Delivery::Street { number: house_number(rng), street: street(rng), unit: None };
        let home = Home { city, zip, delivery };
        if !chance(rng, 0.08) {
            return home;
        }
        // A new block of flats; the oldest one is full.
        if self.buildings.len() == BUILDINGS_MAX {
            let oldest = rng.usize(..BUILDINGS_MAX);
            self.buildings.swap_remove(oldest);
        }
        self.buildings.push(home);
        self.flat(rng)
    }

    /// An institution that many people give as their address.
    pub(super) fn institution(&self, rng: &mut Rng) -> Home {
        // Only the large cities have them.
        let city = rng.usize(..3);
        let zip = self.cities[city].zip_first;
        Home { city, zip, delivery: Delivery::Shared(one_of(rng, &INSTITUTIONS)) }
    }

    /// A telephone number as ten digits, valid in the North American plan.
    pub(super) fn phone(&self, rng: &mut Rng, home: &Home) -> String {
        let area = one_of(rng, self.cities[home.city].area_codes);
        let mut exchange = rng.u16(200..1_000);
        if exchange % 100 == 11 || exchange == 555 {
            exchange += 1;
        }
        format!("{area}{exchange}{:04}", rng.u16(..10_000))
    }

    fn flat(&self, rng: &mut Rng) -> Home {
        let mut home = self.buildings[rng.usize(..self.buildings.len())].clone();
        if let Delivery::Street { unit, .. } = &mut home.delivery {
            *unit = Some(Unit {
                kind: one_of(rng, &["APT", "APT", "APT", "UNIT", "STE", "LOT"]),
                number: rng.u16(1..=60),
                letter: one_of(rng, &["", "", "", "A", "B", "C"]),
            });
        }
        home
    }

    fn zip(&self, rng: &mut Rng, city: usize) -> u32 {
        let city = &self.cities[city];
        city.zip_first + rng.u32(..city.zips)
    }
}

fn city_name(rank: usize) -> String {
    const BEFORE: [&str; 10] =
        ["", "NORTH ", "NEW ", "SOUTH ", "LAKE ", "FORT ", "SAINT ", "EAST ", "MOUNT ", "WEST "];
    let name = CITY_NAMES[rank % CITY_NAMES.len()];
    format!("{}{name}", BEFORE[rank / CITY_NAMES.len() % BEFORE.len()])
}

fn house_number(rng: &mut Rng) -> u32 {
    if chance(rng, 0.6) { rng.u32(1..1_000) } else { rng.u32(1_000..10_000) }
}

fn street(rng: &mut Rng) -> Street {
    let name = if chance(rng, 0.25) {
        StreetName::Numbered(rng.u8(1..99))
    } else {
        StreetName::Words(one_of(rng, &STREET_FIRST), one_of(rng, &STREET_SECOND))
    };
    let direction = one_of(rng, &["", "", "", "", "N", "S", "E", "W"]);
    Street { direction, name, kind: rng.usize(..STREET_TYPES.len()) }
}
