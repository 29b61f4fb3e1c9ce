//! Patients by chance, for numbers: drifting demographics, and some facts told twice.

use std::{collections::HashSet, ops::RangeInclusive};

use fastrand::Rng;
use serde_json::Value;

use super::{
    Person, Site,
    charts::{Chart, Charts},
    facts::{
        Analyte, Code, allergy, blood_pressure, cvx, encounter, immunization, laboratory, loinc,
        prescription, problem, procedure, rxnorm, snomed, vital_sign,
    },
};

/// Of ten facts, how many a second member was told too.
const TOLD_TWICE_OF_TEN: u32 = 2;

/// Tells `count` patients; the same seed tells the same ones.
pub(super) fn tell(charts: &mut Charts, count: usize, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let mut born = HashSet::new();
    for number in 0..count {
        // Two strangers of one name and one birthday would be a story, not chance.
        let person = loop {
            let person = somebody(&mut rng, number);
            let key = (person.given[0].clone(), person.family.clone(), person.born.clone());
            if born.insert(key) {
                break person;
            }
        };
        let mut sites = Site::ALL;
        rng.shuffle(&mut sites);
        let sites = &sites[..rng.usize(1..=3)];
        let mut chart = charts.chart(&format!("generated-{number:05}"));
        for (index, site) in sites.iter().enumerate() {
            let told = if index == 0 { person.clone() } else { drifted(&mut rng, &person) };
            chart.registered(*site, &told);
        }
        facts(&mut rng, &mut chart, sites);
    }
}

const GIVEN_FEMALE: [&str; 32] = [
    "Abigail",
    "Beatrice",
    "Camila",
    "Charlotte",
    "Dorothy",
    "Edith",
    "Fatima",
    "Frances",
    "Grace",
    "Hannah",
    "Imani",
    "Ingrid",
    "Jasmine",
    "Josephine",
    "Katherine",
    "Leila",
    "Lorraine",
    "Margaret",
    "Naomi",
    "Nicole",
    "Olivia",
    "Patricia",
    "Rebecca",
    "Rosalind",
    "Samantha",
    "Shirley",
    "Tamara",
    "Theresa",
    "Vanessa",
    "Victoria",
    "Wilhelmina",
    "Yolanda",
];
const GIVEN_MALE: [&str; 32] = [
    "Abraham",
    "Alejandro",
    "Benjamin",
    "Carlos",
    "Clarence",
    "Desmond",
    "Dmitri",
    "Edward",
    "Francis",
    "Gabriel",
    "Gregory",
    "Hassan",
    "Isaac",
    "Jerome",
    "Jonathan",
    "Kenneth",
    "Lawrence",
    "Leonard",
    "Malcolm",
    "Matthew",
    "Nathaniel",
    "Nikolai",
    "Oliver",
    "Patrick",
    "Raymond",
    "Reginald",
    "Samuel",
    "Stephen",
    "Terrence",
    "Timothy",
    "Vincent",
    "Zachary",
];
const FAMILY: [&str; 48] = [
    "Abernathy",
    "Aldridge",
    "Bergstrom",
    "Blackwood",
    "Castillo",
    "Chaudhary",
    "Crawford",
    "Delacroix",
    "Donnelly",
    "Eriksen",
    "Fairbanks",
    "Fitzgerald",
    "Galloway",
    "Gutierrez",
    "Haddad",
    "Hendricks",
    "Holloway",
    "Ibrahim",
    "Jankowski",
    "Johansen",
    "Kaminski",
    "Kirkland",
    "Lancaster",
    "Livingston",
    "MacGregor",
    "Marchetti",
    "Montgomery",
    "Nakagawa",
    "Nguyen",
    "Obermeyer",
    "Okonkwo",
    "Pemberton",
    "Petrova",
    "Quigley",
    "Rasmussen",
    "Robertson",
    "Sandoval",
    "Sinclair",
    "Stanfield",
    "Takahashi",
    "Thornton",
    "Underwood",
    "Vandenberg",
    "Villanueva",
    "Whitfield",
    "Wozniak",
    "Yamamoto",
    "Zimmerman",
];
const STREETS: [&str; 16] = [
    "Ash Street",
    "Bridge Road",
    "Cedar Lane",
    "Chapel Hill",
    "Dogwood Drive",
    "Front Street",
    "Garden Terrace",
    "Harbor View",
    "Hickory Court",
    "Linden Avenue",
    "Market Street",
    "Old Mill Road",
    "Prospect Avenue",
    "River Road",
    "Sycamore Street",
    "Walnut Way",
];
const TOWNS: [(&str, &str); 5] = [
    ("Marlow", "45751"),
    ("Benton Falls", "45760"),
    ("Port Amity", "45770"),
    ("Galena Springs", "45781"),
    ("Westerhope", "45792"),
];

fn somebody(rng: &mut Rng, number: usize) -> Person {
    let female = rng.bool();
    let given = if female { pick(rng, &GIVEN_FEMALE) } else { pick(rng, &GIVEN_MALE) };
    let middle = if female { pick(rng, &GIVEN_FEMALE) } else { pick(rng, &GIVEN_MALE) };
    let family = pick(rng, &FAMILY);
    let born = format!("{}-{:02}-{:02}", rng.u32(1932..2020), rng.u32(1..=12), rng.u32(1..=28));
    let sex = if female { "female" } else { "male" };
    let (town, zip) = pick(rng, &TOWNS);
    let phone = format!("(740) 555-{:04}", 1000 + number % 9000);
    let email = format!("{}.{number}@example.org", family.to_lowercase());
    // Areas 740 to 749 were never assigned by region.
    let ssn = format!("{}-{:02}-{:04}", rng.u32(740..750), rng.u32(1..100), rng.u32(1..10_000));
    Person::new(&format!("{given} {middle}"), family, sex, &born)
        .ssn(&ssn)
        .reached(&phone, &email)
        .at_home(&format!("{} {}", rng.u32(1..1000), pick(rng, &STREETS)), town, "OH", zip)
}

/// The same person as another member wrote them down: one thing may differ.
fn drifted(rng: &mut Rng, person: &Person) -> Person {
    let mut told = person.clone();
    match rng.u32(..9) {
        0 => told.family = with_typing_error(rng, &told.family),
        1 => told.given[0].truncate(3),
        2 => told.given.truncate(1),
        3 => {
            told.old_home.clone_from(&told.home);
            let (town, zip) = pick(rng, &TOWNS);
            told = told.at_home(
                &format!("{} {}", rng.u32(1..1000), pick(rng, &STREETS)),
                town,
                "OH",
                zip,
            );
        }
        4 => told.ssn = None,
        5 => told.phone = None,
        6 => told.email = None,
        7 => told.born = told.born.map(|born| one_day_off(rng, &born)),
        _ => {}
    }
    told
}

/// A slip on the keyboard: the next day, or the one before.
fn one_day_off(rng: &mut Rng, born: &str) -> String {
    let (month, day) = born.split_at(8);
    let day: u32 = day.parse().expect("born on a day");
    let day = if rng.bool() { day + 1 } else { day - 1 };
    // Nobody is born after the 28th, see `somebody`.
    format!("{month}{:02}", day.clamp(1, 28))
}

/// Two neighboring letters change places.
fn with_typing_error(rng: &mut Rng, name: &str) -> String {
    let mut letters: Vec<char> = name.chars().collect();
    let at = rng.usize(1..letters.len() - 1);
    letters.swap(at, at + 1);
    letters.into_iter().collect()
}

const PROBLEMS: [Code; 10] = [
    snomed("38341003", "Hypertensive disorder"),
    snomed("44054006", "Diabetes mellitus type 2"),
    snomed("195967001", "Asthma"),
    snomed("55822004", "Hyperlipidemia"),
    snomed("40930008", "Hypothyroidism"),
    snomed("35489007", "Depressive disorder"),
    snomed("235595009", "Gastroesophageal reflux disease"),
    snomed("396275006", "Osteoarthritis"),
    snomed("37796009", "Migraine"),
    snomed("13645005", "Chronic obstructive lung disease"),
];
const DRUGS: [(Code, &str); 8] = [
    (rxnorm("314076", "lisinopril 10 MG Oral Tablet"), "10 mg once a day"),
    (rxnorm("861007", "metformin hydrochloride 500 MG Oral Tablet"), "500 mg twice a day"),
    (rxnorm("617310", "atorvastatin 20 MG Oral Tablet"), "20 mg at bedtime"),
    (rxnorm("197361", "amlodipine 5 MG Oral Tablet"), "5 mg once a day"),
    (rxnorm("198051", "omeprazole 20 MG Delayed Release Oral Capsule"), "20 mg before breakfast"),
    (rxnorm("310798", "hydrochlorothiazide 25 MG Oral Tablet"), "25 mg in the morning"),
    (rxnorm("312941", "sertraline 50 MG Oral Tablet"), "50 mg once a day"),
    (rxnorm("313988", "furosemide 40 MG Oral Tablet"), "40 mg in the morning"),
];
const ALLERGIES: [Code; 4] = [
    snomed("91936005", "Allergy to penicillin"),
    snomed("91939003", "Allergy to sulfonamide"),
    snomed("91935009", "Allergy to peanut"),
    snomed("300916003", "Latex allergy"),
];
const ANALYTES: [Analyte; 5] = [
    Analyte {
        code: loinc("2823-3", "Potassium [Moles/volume] in Serum or Plasma"),
        unit: "mmol/L",
        normal: (3.5, 5.1),
        critical: (2.5, 6.5),
    },
    Analyte {
        code: loinc("2160-0", "Creatinine [Mass/volume] in Serum or Plasma"),
        unit: "mg/dL",
        normal: (0.6, 1.2),
        critical: (0.2, 5.0),
    },
    Analyte {
        code: loinc("2345-7", "Glucose [Mass/volume] in Serum or Plasma"),
        unit: "mg/dL",
        normal: (70.0, 99.0),
        critical: (45.0, 400.0),
    },
    Analyte {
        code: loinc("718-7", "Hemoglobin [Mass/volume] in Blood"),
        unit: "g/dL",
        normal: (12.0, 17.0),
        critical: (7.0, 20.0),
    },
    Analyte {
        code: loinc("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"),
        unit: "%",
        normal: (4.0, 5.6),
        critical: (2.0, 14.0),
    },
];
const VACCINES: [Code; 4] = [
    cvx("115", "Tdap"),
    cvx("141", "Influenza, seasonal, injectable"),
    cvx("33", "Pneumococcal polysaccharide PPV23"),
    cvx("187", "Zoster recombinant"),
];
const PROCEDURES: [Code; 3] = [
    snomed("80146002", "Appendectomy"),
    snomed("73761001", "Colonoscopy"),
    snomed("38102005", "Cholecystectomy"),
];

/// A handful of facts of each kind; within a kind no two of one code or one day, so that the truth
/// about what is one fact is sure.
fn facts(rng: &mut Rng, chart: &mut Chart<'_>, sites: &[Site]) {
    for code in some(rng, &PROBLEMS, 1..=3) {
        let onset = chart.days_ago(rng.i64(100..6000));
        tell_one(rng, chart, sites, &problem(code, "active", onset));
    }
    for (drug, dose) in some(rng, &DRUGS, 0..=3) {
        let authored = chart.days_ago(rng.i64(5..300));
        tell_one(rng, chart, sites, &prescription(drug, dose, "active", authored));
    }
    for substance in some(rng, &ALLERGIES, 0..=1) {
        let recorded = chart.days_ago(rng.i64(200..4000));
        let reaction = Some((snomed("271807003", "Eruption of skin"), "mild"));
        tell_one(rng, chart, sites, &allergy(substance, "low", reaction, recorded));
    }
    for analyte in some(rng, &ANALYTES, 1..=4) {
        for month in 0..rng.i64(1..4) {
            let at = chart.days_ago(month * 90 + rng.i64(2..80));
            let (low, high) = analyte.normal;
            let value = low * 0.8 + (high * 1.4 - low * 0.8) * rng.f64();
            tell_one(rng, chart, sites, &laboratory(analyte, (value * 10.0).round() / 10.0, at));
        }
    }
    for vaccine in some(rng, &VACCINES, 0..=3) {
        let at = chart.days_ago(rng.i64(20..2500));
        tell_one(rng, chart, sites, &immunization(vaccine, at));
    }
    for code in some(rng, &PROCEDURES, 0..=1) {
        let at = chart.days_ago(rng.i64(300..5000));
        tell_one(rng, chart, sites, &procedure(code, at));
    }
    for visit in 0..rng.i64(1..4) {
        let at = chart.days_ago(visit * 200 + rng.i64(3..180));
        let site = [sites[rng.usize(..sites.len())]];
        let reason = pick(rng, &PROBLEMS);
        let check_up = snomed("185349003", "Encounter for check up");
        chart
            .told(&site, &encounter("AMB", check_up, reason, at, 1))
            .told(&site, &blood_pressure(rng.u32(100..170), rng.u32(60..100), at));
        let rate = f64::from(rng.u32(55..105));
        chart.told(&site, &vital_sign(loinc("8867-4", "Heart rate"), rate, "/min", at));
    }
}

fn tell_one(rng: &mut Rng, chart: &mut Chart<'_>, sites: &[Site], fact: &Value) {
    let first = rng.usize(..sites.len());
    if sites.len() > 1 && rng.u32(..10) < TOLD_TWICE_OF_TEN {
        let second = (first + 1 + rng.usize(..sites.len() - 1)) % sites.len();
        chart.told(&[sites[first], sites[second]], fact);
    } else {
        chart.told(&[sites[first]], fact);
    }
}

fn pick<T: Copy>(rng: &mut Rng, list: &[T]) -> T {
    list[rng.usize(..list.len())]
}

fn some<T: Copy>(rng: &mut Rng, list: &[T], count: RangeInclusive<usize>) -> Vec<T> {
    let count = rng.usize(count);
    rng.choose_multiple(list.iter().copied(), count)
}
