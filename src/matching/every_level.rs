//! Every comparison level, each with a pair of records that hits exactly it: whoever
//! changes a rule learns here whom it concerns.

use std::collections::BTreeSet;

use super::{
    Attribute, FlatRecord, Model, NormalizedRecord,
    columns::{Columns, Local, View},
    comparison::{Comparison, compare},
    counts::Counts,
    levels::{MISSING, Pattern},
    model::Class,
    scoring::Scorer,
    term_frequency::TermWeights,
};

pub(super) type Row = FlatRecord<'static>;

pub(super) const NOBODY: Row = Row {
    given: "",
    middle: "",
    family: "",
    suffix: "",
    sex: "",
    birth_date: "",
    ssn: "",
    phone: "",
    email: "",
    address_line: "",
    city: "",
    postal_code: "",
    record_number: "",
};

/// People of one telephone, of whom no two sound alike.
const HOUSEMATES: [&str; 8] =
    ["Bertram", "Clement", "Dorothea", "Frieda", "Ludwig", "Mathilde", "Norbert", "Rupert"];

/// A population in which some values are common, some shared by many, and most neither.
pub(super) struct Town {
    columns: Columns,
    terms: TermWeights,
}

impl Town {
    pub(super) fn new() -> Self {
        let mut columns = Columns::default();
        for number in 0..4_000_u32 {
            let (given, family) = (invented(number), invented(number + 10_000));
            // One day in 28 months of 12 over 40 years; one record in ten has the over-frequent one.
            let birth_date = if number % 10 == 0 {
                "1970-06-15".to_owned()
            } else {
                format!("{}-{:02}-{:02}", 1950 + number % 40, 1 + number % 12, 1 + number % 28)
            };
            let row = FlatRecord {
                given: match number {
                    0..100 => "Mary",
                    100..110 => "Rosalind",
                    110 => "Zenobia",
                    200..208 => HOUSEMATES[number as usize - 200],
                    _ => &given,
                },
                family: match number {
                    0..100 => "Smith",
                    100..110 => "Quimby",
                    110 => "Zylka",
                    _ => &family,
                },
                birth_date: &birth_date,
                phone: if (200..208).contains(&number) { "317-341-0999" } else { "" },
                address_line: if (300..312).contains(&number) { "100 Shelter Way" } else { "" },
                city: "Dover",
                ..FlatRecord::default()
            };
            columns.push(&NormalizedRecord::from_flat(&row));
        }
        let counts = Counts::of_population(&columns);
        let terms = TermWeights::derive(&counts, &Model::default_model().shipped(0.0));
        Self { columns, terms }
    }

    pub(super) fn compare(&self, a: &NormalizedRecord, b: &NormalizedRecord) -> Comparison {
        let mut local = Local::default();
        let (left, right) = (self.columns.probe(a, &mut local), self.columns.probe(b, &mut local));
        let view = View::with_local(&self.columns, &local);
        let (a, b) = (view.side(&left), view.side(&right));
        let forth = compare(view, &self.terms, a, b);
        let back = compare(view, &self.terms, b, a);
        assert_eq!((forth.pattern, forth.vetoes), (back.pattern, back.vetoes), "symmetric");
        forth
    }

    fn level(&self, attribute: Attribute, a: &Row, b: &Row) -> &'static str {
        let comparison =
            self.compare(&NormalizedRecord::from_flat(a), &NormalizedRecord::from_flat(b));
        match comparison.pattern.level(attribute) {
            MISSING => "missing",
            level => attribute.levels()[usize::from(level)],
        }
    }
}

/// A name that no other number has.
fn invented(number: u32) -> String {
    let letter = |place: u32| char::from(b'A' + (number / 26_u32.pow(place) % 26) as u8);
    format!("X{}{}{}Q", letter(0), letter(1), letter(2))
}

/// Each attribute with pairs and the level that they compare at.
type Cases = Vec<(&'static str, Row, Row)>;
type Tables = Vec<(Attribute, Cases)>;

fn tables() -> Tables {
    [
        given_names(),
        sexes(),
        middle_names(),
        surnames(),
        suffixes(),
        birth_dates(),
        numbers(),
        contacts(),
        locations(),
    ]
    .concat()
}

#[test]
fn every_level_has_pairs_that_hit_it() {
    let town = Town::new();
    let tables = tables();
    for attribute in Attribute::ALL {
        assert!(tables.iter().any(|(told, _)| *told == attribute), "{attribute:?} has no table");
    }
    for (attribute, cases) in &tables {
        check(&town, *attribute, cases);
    }
}

#[test]
fn the_table_would_notice_any_level_taken_for_another() {
    for (attribute, cases) in tables() {
        for &level in attribute.levels() {
            // As if comparing gave something else wherever it gives this level.
            let noticed = cases.iter().any(|(expected, ..)| *expected == level);
            assert!(noticed, "{attribute:?}: {level}");
        }
        // As if something were told where nothing is; whether there is a suffix is always known.
        let silent = cases.iter().any(|(expected, ..)| *expected == "missing");
        assert!(silent || attribute == Attribute::Suffix, "{attribute:?}");
    }
}

#[test]
fn every_level_weighs_in_every_kind_of_pair() {
    let model = Model::default_model();
    let expected = |model: &Model, pattern| Scorer::of_classes(model).ln_expected(pattern, 0.0);
    for attribute in Attribute::ALL {
        for level in 0..attribute.levels().len() {
            let pattern = Pattern::EMPTY.with(attribute, level as u8);
            let usual = expected(&model, pattern);
            for class in Class::ALL {
                let mut altered = model.clone();
                let table = &mut altered.classes[class as usize].probabilities;
                table[attribute as usize][level] *= 0.5;
                let now = expected(&altered, pattern);
                for other in Class::ALL {
                    let change = now[other as usize] - usual[other as usize];
                    let half = if other == class { 0.5_f32.ln() } else { 0.0 };
                    assert!((change - half).abs() < 1e-3, "{attribute:?} {level} {class:?}");
                }
            }
        }
    }
}

#[test]
fn a_level_that_agrees_speaks_for_one_person_and_one_that_differs_against() {
    let model = Model::default_model();
    let weight = |attribute: Attribute, name: &str| {
        let level = attribute.levels().iter().position(|level| *level == name);
        let level = level.expect("a level's name");
        let p = |class: Class| model.classes[class as usize].at(attribute)[level];
        (p(Class::Match) / p(Class::Stranger)).log2()
    };
    for (attribute, differs, agrees) in [
        (Attribute::GivenName, "different", "same"),
        (Attribute::Sex, "conflict (given names agree)", "same (given names agree)"),
        (Attribute::MiddleName, "different (given names agree)", "same (given names agree)"),
        (Attribute::FamilyName, "different", "same"),
        (Attribute::Suffix, "conflict", "same"),
        (Attribute::BirthDate, "different", "same"),
        (Attribute::SocialSecurity, "different", "same"),
        (Attribute::SocialSecurity, "last four different", "two edits"),
        (Attribute::Phone, "different", "same"),
        (Attribute::Email, "different", "same"),
        (Attribute::Location, "different", "same"),
        (Attribute::RecordNumber, "different", "same"),
        (Attribute::Identifier, "different", "same"),
    ] {
        let (against, in_favor) = (weight(attribute, differs), weight(attribute, agrees));
        assert!(against < 0.0 && 0.0 < in_favor, "{attribute:?}: {against} {in_favor}");
    }
}

fn check(town: &Town, attribute: Attribute, cases: &Cases) {
    for (expected, a, b) in cases {
        assert_eq!(town.level(attribute, a, b), *expected, "{attribute:?}: {a:?} {b:?}");
    }
    let told: BTreeSet<&str> = cases.iter().map(|case| case.0).collect();
    let missed: Vec<_> = attribute.levels().iter().filter(|name| !told.contains(*name)).collect();
    assert!(missed.is_empty(), "{attribute:?} has no pair for {missed:?}");
    let all = attribute.levels().iter().copied().chain(["missing"]).collect::<BTreeSet<&str>>();
    assert!(told.is_subset(&all));
}

fn named(given: &'static str, middle: &'static str, family: &'static str) -> Row {
    Row { given, middle, family, ..NOBODY }
}

fn given(a: &'static str, b: &'static str) -> (Row, Row) {
    (named(a, "", "Fox"), named(b, "", "Fox"))
}

fn given_names() -> Tables {
    let case = |level, (a, b): (Row, Row)| (level, a, b);
    vec![(
        Attribute::GivenName,
        vec![
            case("same, rare", given("Zenobia", "ZENOBIA")),
            case("same", given("Rosalind", "Rosalind")),
            case("same, common", given("Mary", "mary")),
            case("one edit", given("Rosalind", "Rosalynd")),
            case("one edit", given("Rosalind", "Rsoalind")),
            case("one edit", given("Zoa", "Zora")),
            case("weakly similar", given("Jo", "Jon")),
            case("similar", given("Rosalind", "Rosalyndd")),
            case("weakly similar", given("Rosalind", "Rosalva")),
            case("nickname", given("William", "Bill")),
            case("initial", given("R", "Rosalind")),
            case("different", given("R", "Humphrey")),
            case("different", given("Rosalind", "Humphrey")),
            (
                "is the other's middle name",
                named("Ruth", "", "Fox"),
                named("Humphrey", "Ruth", "Fox"),
            ),
            (
                "begins like the other's middle name",
                named("Ruth", "", "Fox"),
                named("Humphrey", "R", "Fox"),
            ),
            (
                "begins like the other's middle name",
                named("Ruth", "H", "Fox"),
                named("Humphrey", "R", "Fox"),
            ),
            ("different", named("Ruth", "Z", "Fox"), named("Humphrey", "R", "Fox")),
            ("weakly similar", named("R", "", "Fox"), named("Humphrey", "Ruth", "Fox")),
            (
                "swapped with family name",
                named("Rosalind", "", "Quimby"),
                named("Quimby", "", "Rosalind"),
            ),
            (
                "swapped with family name",
                named("Rosalind", "", "Quimby"),
                named("Quimbi", "", "Rosalind"),
            ),
            (
                "half swapped with family name",
                named("Rosalind", "", "Quimby"),
                named("Quimby", "", "Fox"),
            ),
            ("different", named("Rosalind", "", "Quimby"), named("Quimby", "", "Quimby")),
            ("different", named("Baby A", "", "Fox"), named("Baby B", "", "Fox")),
            ("missing", named("Baby A", "", "Fox"), named("Baby", "", "Fox")),
            ("missing", named("", "", "Fox"), named("Rosalind", "", "Fox")),
        ],
    )]
}

fn sexes() -> Tables {
    let sexed = |given, sex| Row { given, family: "Fox", sex, ..NOBODY };
    vec![(
        Attribute::Sex,
        vec![
            ("conflict (given names agree)", sexed("Rosalind", "F"), sexed("Rosalynd", "M")),
            ("same (given names agree)", sexed("Rosalind", "F"), sexed("Rosalind", "F")),
            ("conflict (given names differ)", sexed("Rosalind", "F"), sexed("Humphrey", "M")),
            ("same (given names differ)", sexed("Rosalind", "F"), sexed("Rosalva", "F")),
            ("conflict (no given name)", sexed("", "F"), sexed("Humphrey", "M")),
            ("same (no given name)", sexed("", "F"), sexed("Rosalind", "F")),
            ("missing", sexed("Rosalind", ""), sexed("Rosalind", "F")),
        ],
    )]
}

fn middle_names() -> Tables {
    let with = |given, middle| named(given, middle, "Fox");
    vec![(
        Attribute::MiddleName,
        vec![
            ("same (given names agree)", with("Rosalind", "Jane"), with("Rosalind", "Jane")),
            ("near (given names agree)", with("Rosalind", "Jane"), with("Rosalind", "Jame")),
            ("near (given names agree)", with("Rosalind", "William"), with("Rosalind", "Bill")),
            (
                "near (given names agree)",
                with("Rosalind", "Margaretha"),
                with("Rosalind", "Margarethxy"),
            ),
            ("initial (given names agree)", with("Rosalind", "J"), with("Rosalind", "Jane")),
            ("different (given names agree)", with("Rosalind", "R"), with("Rosalind", "Jane")),
            ("different (given names agree)", with("Rosalind", "Jane"), with("Rosalind", "Ruth")),
            ("same (given names differ)", with("Rosalind", "Jane"), with("Humphrey", "Jane")),
            ("near (given names differ)", with("Rosalind", "Jane"), with("Humphrey", "Jame")),
            ("initial (given names differ)", with("Rosalind", "J"), with("Humphrey", "Jane")),
            ("different (given names differ)", with("Rosalind", "Jane"), with("Humphrey", "Ruth")),
            // What made the given names agree is not told twice.
            ("missing", named("Ruth", "Ann", "Fox"), named("Humphrey", "Ruth", "Fox")),
            ("missing", named("Ruth", "H", "Fox"), named("Humphrey", "R", "Fox")),
            ("missing", named("Rosalind", "Ann", "Quimby"), named("Quimby", "Ann", "Rosalind")),
            ("missing", with("Rosalind", ""), with("Rosalind", "Ruth")),
        ],
    )]
}

fn surnames() -> Tables {
    let mut cases: Cases = vec![
        ("same, rare", named("Ann", "", "Zylka"), named("Ann", "", "Zylka")),
        ("same", named("Ann", "", "Quimby"), named("Ann", "", "Quimby")),
        ("same, common", named("Ann", "", "Smith"), named("Ann", "", "Smith")),
        ("near", named("Ann", "", "Quimby"), named("Ann", "", "Quimbi")),
        ("near", named("Ann", "", "Quimbyhagen"), named("Ann", "", "Quimbyhaegn")),
        ("near", named("Ann", "", "Christophersen"), named("Ann", "", "Christophersonn")),
        ("a part in common", named("Ann", "", "Quimby"), named("Ann", "", "Quimby-Okafor")),
        ("a part in common", named("Ann", "", "Quimby"), named("Ann", "", "Quimbystein")),
        ("weakly similar", named("Ann", "", "Q"), named("Ann", "", "Quimby")),
        ("weakly similar", named("Ann", "", "Johnson"), named("Ann", "", "Johanssen")),
        ("different", named("Ann", "", "Q"), named("Ann", "", "Okafor")),
        ("different", named("Ann", "", "Quimby"), named("Ann", "", "Okafor")),
        ("in the given name's place", named("", "", "Ann"), named("Ann", "", "Quimby")),
        ("in the given name's place", named("", "", "Quimby Ann"), named("Ann", "", "Fox")),
        ("missing", named("Rosalind", "", "Quimby"), named("Quimby", "", "Rosalind")),
        ("missing", named("Rosalind", "", "Quimby"), named("Quimby", "", "Fox")),
        ("missing", named("Ann", "", ""), named("Ann", "", "Quimby")),
    ];
    let names = Attribute::FamilyName.levels();
    let women: Cases = cases
        .iter()
        .map(|(level, a, b)| {
            let place = names.iter().position(|name| name == level);
            let level = place.map_or("missing", |place| names[place + 8]);
            (level, Row { sex: "F", ..*a }, Row { sex: "F", ..*b })
        })
        .collect();
    cases.extend(women);
    // One woman alone is not two.
    let woman = Row { sex: "F", ..named("Ann", "", "Quimby") };
    cases.push(("same", woman, Row { sex: "M", ..woman }));
    vec![(Attribute::FamilyName, cases)]
}

fn suffixes() -> Tables {
    let with = |suffix| Row { suffix, ..named("Ann", "", "Fox") };
    let case = |level, a, b| (level, with(a), with(b));
    vec![(
        Attribute::Suffix,
        vec![
            case("conflict", "Jr", "Sr"),
            case("conflict", "Jr", "II"),
            case("conflict", "III", "IV"),
            case("one-sided", "Jr", ""),
            case("same", "Jr", "Junior"),
            case("none", "", ""),
        ],
    )]
}

fn birth_dates() -> Tables {
    let born = |birth_date| Row { birth_date, ..NOBODY };
    let case = |level, a, b| (level, born(a), born(b));
    vec![(
        Attribute::BirthDate,
        vec![
            case("same", "1984-03-05", "1984-03-05"),
            case("same, over-frequent date", "1970-06-15", "1970-06-15"),
            case("day and month swapped", "1984-03-05", "1984-05-03"),
            case("one digit", "1984-03-05", "1984-03-06"),
            case("one digit", "1984-03-05", "1948-03-05"),
            case("one digit", "1963-03-05", "1993-03-05"),
            case("same month and day", "1984-03-05", "1977-03-05"),
            case("same month and day", "1984-03-05", "1971-03-05"),
            case("same month and day, a generation apart", "1984-03-05", "1970-03-05"),
            case("same month and day, a generation apart", "1984-03-05", "1957-03-05"),
            case("a few days apart", "1984-03-31", "1984-04-03"),
            case("a few days apart", "1983-12-31", "1984-01-02"),
            case("two of three parts", "1984-03-31", "1984-03-05"),
            case("two of three parts", "1984-03-12", "1984-10-12"),
            case("same year", "1984-03-30", "1984-04-03"),
            case("same year, one on 1 January", "1984-03-25", "1984-01-01"),
            case("within a year", "1984-03-25", "1983-11-02"),
            case("different", "1984-03-25", "1982-11-02"),
            case("different", "1984-03-25", "1931-11-20"),
            case("partial, agrees", "1984", "1984-03-05"),
            case("partial, agrees", "1984-03", "1984-03-05"),
            case("partial, differs", "1984-04", "1984-03-05"),
            case("partial, differs", "1985", "1984-03-05"),
            case("missing", "", "1984-03-05"),
            case("missing", "1900-01-01", "1984-03-05"),
        ],
    )]
}

fn numbers() -> Tables {
    let with = |ssn| Row { ssn, ..NOBODY };
    let case = |level, a, b| (level, with(a), with(b));
    let social_security = vec![
        case("same", "871-27-2195", "871272195"),
        case("near", "871-27-2195", "871-27-2915"),
        case("near", "871-27-2195", "871-27-2196"),
        case("near", "871-27-2195", "871-72-2195"),
        case("two edits", "871-27-2195", "871-27-2184"),
        case("two edits", "871-27-2195", "817-27-2915"),
        case("two edits", "871-27-2195", "817-28-2195"),
        case("only last four same", "871-27-2195", "302-44-2195"),
        case("last four same", "871-27-2195", "2195"),
        case("last four different", "871-27-2195", "2194"),
        case("different", "871-27-2195", "302-44-9981"),
        case("missing", "871-27-2195", "999-99-9999"),
    ];
    // A taxpayer's number is an identifier, no social security number.
    let identifiers = vec![
        case("same", "912-75-8812", "912758812"),
        case("different", "912-75-8812", "955-80-7306"),
        case("missing", "912-75-8812", "871-27-2195"),
    ];
    let numbered = |record_number| Row { record_number, ..NOBODY };
    let record_numbers = vec![
        ("same", numbered("h-1"), numbered("H1")),
        ("different", numbered("H1"), numbered("H2")),
        ("missing", numbered("H1"), numbered("")),
    ];
    vec![
        (Attribute::SocialSecurity, social_security),
        (Attribute::Identifier, identifiers),
        (Attribute::RecordNumber, record_numbers),
    ]
}

fn contacts() -> Tables {
    let at = |phone, address_line, city| Row { phone, address_line, city, ..NOBODY };
    let (home, away) = ("217 Forest St", "9 Elm St");
    let mut cases = Cases::new();
    for (context, a, b) in [
        ("", ("", ""), ("", "")),
        (" (another location)", (home, "Salem"), (away, "Dover")),
        (" (another location)", (home, "Salem"), ("9 Forest St", "Salem")),
        (" (same location)", (home, "Salem"), (home, "Salem")),
        (" (same location)", (home, "Salem"), ("271 Forest St", "Salem")),
    ] {
        for (agreement, x, y) in [
            ("same", "317-341-0388", "(317) 341-0388"),
            ("same, shared by many", "317-341-0999", "317-341-0999"),
            ("near", "317-341-0388", "317-341-0389"),
            ("different", "317-341-0388", "812-555-0143"),
        ] {
            let name = format!("{agreement}{context}");
            let levels = Attribute::Phone.levels();
            let level = levels.iter().find(|level| **level == name).expect("a level's name");
            cases.push((level, at(x, a.0, a.1), at(y, b.0, b.1)));
        }
    }
    cases.push(("missing", at("", home, "Salem"), at("317-341-0388", home, "Salem")));
    let mailed = |email| Row { email, ..NOBODY };
    let case = |level, a, b| (level, mailed(a), mailed(b));
    let emails = vec![
        case("same", "RQuimby@mail.org", "rquimby@mail.org"),
        case("near", "rquimby@mail.org", "rquimby@other.com"),
        case("near", "rquimby@mail.org", "rquimbi@mail.org"),
        case("near", "rosalindquimby@mail.org", "rosalindquimbyyy@other.com"),
        case("different", "rqui@mail.org", "rquii@other.com"),
        case("different", "rquimby@mail.org", "hfox@mail.org"),
        case("missing", "", "hfox@mail.org"),
    ];
    vec![(Attribute::Phone, cases), (Attribute::Email, emails)]
}

fn locations() -> Tables {
    let place = |address_line, city, postal_code| Row { address_line, city, postal_code, ..NOBODY };
    let home = place("217 Forest St Apt 4", "Salem", "46210");
    let case = |level, line, city, code| (level, home, place(line, city, code));
    vec![(
        Attribute::Location,
        vec![
            case("same", "217 Forest Street #4", "Salem", "46210"),
            (
                "same, shared by many",
                place("100 Shelter Way", "Dover", ""),
                place("100 Shelter Way", "Dover", ""),
            ),
            case("same building, unit missing", "217 Forest St", "Salem", "46210"),
            case("same building, other unit", "217 Forest St Apt 5", "Salem", "46210"),
            case("near", "217 Forrest St Apt 4", "Salem", "46210"),
            case("near", "217 Forestview St Apt 4", "Salem", "46210"),
            case("near", "271 Forest St Apt 4", "Salem", "46210"),
            case("near", "217 Forest St", "Dover", "99211"),
            case("same street", "9 Forest St", "Salem", "46210"),
            case("same postal code", "9 Elm St", "Dover", "46210"),
            case("same city", "9 Elm St", "Salem", "99211"),
            case("different", "9 Elm St", "Dover", "99211"),
            case("different", "9 Forest St", "Dover", "99211"),
            case("missing", "", "", ""),
        ],
    )]
}
