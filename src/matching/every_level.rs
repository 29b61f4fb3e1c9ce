//! Every comparison level and every veto, each with a pair of records that hits exactly it: whoever
//! changes a rule learns here whom it concerns.

use std::collections::BTreeSet;

use super::{
    Attribute, FlatRecord, Model, NormalizedRecord, Veto,
    columns::{Columns, Local, View},
    comparison::{Comparison, compare},
    counts::Counts,
    levels::MISSING,
    term_frequency::TermWeights,
};
use crate::domain::{Demographics, Identifier, IdentifierKind, IdentifierUse};

type Row = FlatRecord<'static>;

const NOBODY: Row = Row {
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

/// A population in which some values are common, some shared by many, and most neither.
struct Town {
    columns: Columns,
    terms: TermWeights,
}

impl Town {
    fn new() -> Self {
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

    fn compare(&self, a: &NormalizedRecord, b: &NormalizedRecord) -> Comparison {
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

/// A name that no other number has and that sounds like no other.
fn invented(number: u32) -> String {
    let letter = |place: u32| char::from(b'A' + (number / 26_u32.pow(place) % 26) as u8);
    format!("X{}{}{}Q", letter(0), letter(1), letter(2))
}

/// Each attribute with pairs and the level that they compare at.
type Cases = Vec<(&'static str, Row, Row)>;

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

#[test]
fn every_level_of_given_names() {
    let case = |level, (a, b): (Row, Row)| (level, a, b);
    check(
        &Town::new(),
        Attribute::GivenName,
        &vec![
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
    );
}

#[test]
fn every_level_of_sex() {
    let sexed = |given, sex| Row { given, family: "Fox", sex, ..NOBODY };
    check(
        &Town::new(),
        Attribute::Sex,
        &vec![
            ("conflict (given names agree)", sexed("Rosalind", "F"), sexed("Rosalynd", "M")),
            ("same (given names agree)", sexed("Rosalind", "F"), sexed("Rosalind", "F")),
            ("conflict (given names differ)", sexed("Rosalind", "F"), sexed("Humphrey", "M")),
            ("same (given names differ)", sexed("Rosalind", "F"), sexed("Rosalva", "F")),
            ("conflict (no given name)", sexed("", "F"), sexed("Humphrey", "M")),
            ("same (no given name)", sexed("", "F"), sexed("Rosalind", "F")),
            ("missing", sexed("Rosalind", ""), sexed("Rosalind", "F")),
        ],
    );
}

#[test]
fn every_level_of_middle_names() {
    let with = |given, middle| named(given, middle, "Fox");
    check(
        &Town::new(),
        Attribute::MiddleName,
        &vec![
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
    );
}

#[test]
fn every_level_of_surnames() {
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
    check(&Town::new(), Attribute::FamilyName, &cases);
}

#[test]
fn every_level_of_suffixes() {
    let with = |suffix| Row { suffix, ..named("Ann", "", "Fox") };
    let case = |level, a, b| (level, with(a), with(b));
    check(
        &Town::new(),
        Attribute::Suffix,
        &vec![
            case("conflict", "Jr", "Sr"),
            case("conflict", "Jr", "II"),
            case("conflict", "III", "IV"),
            case("one-sided", "Jr", ""),
            case("same", "Jr", "Junior"),
            case("none", "", ""),
        ],
    );
}

#[test]
fn every_level_of_birth_dates() {
    let born = |birth_date| Row { birth_date, ..NOBODY };
    let case = |level, a, b| (level, born(a), born(b));
    check(
        &Town::new(),
        Attribute::BirthDate,
        &vec![
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
    );
}

#[test]
fn every_level_of_numbers() {
    let town = Town::new();
    let with = |ssn| Row { ssn, ..NOBODY };
    let case = |level, a, b| (level, with(a), with(b));
    check(
        &town,
        Attribute::SocialSecurity,
        &vec![
            case("same", "871-27-2195", "871272195"),
            case("near", "871-27-2195", "871-27-2915"),
            case("near", "871-27-2195", "871-27-2196"),
            case("only last four same", "871-27-2195", "302-44-2195"),
            case("last four same", "871-27-2195", "2195"),
            case("last four different", "871-27-2195", "2194"),
            case("different", "871-27-2195", "302-44-9981"),
            case("missing", "871-27-2195", "999-99-9999"),
        ],
    );
    // A taxpayer's number is an identifier, no social security number.
    check(
        &town,
        Attribute::Identifier,
        &vec![
            case("same", "912-75-8812", "912758812"),
            case("different", "912-75-8812", "955-80-7306"),
            case("missing", "912-75-8812", "871-27-2195"),
        ],
    );
    let numbered = |record_number| Row { record_number, ..NOBODY };
    check(
        &town,
        Attribute::RecordNumber,
        &vec![
            ("same", numbered("h-1"), numbered("H1")),
            ("different", numbered("H1"), numbered("H2")),
            ("missing", numbered("H1"), numbered("")),
        ],
    );
}

#[test]
fn every_level_of_contacts() {
    let town = Town::new();
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
    check(&town, Attribute::Phone, &cases);
    let mailed = |email| Row { email, ..NOBODY };
    let case = |level, a, b| (level, mailed(a), mailed(b));
    check(
        &town,
        Attribute::Email,
        &vec![
            case("same", "RQuimby@mail.org", "rquimby@mail.org"),
            case("near", "rquimby@mail.org", "rquimby@other.com"),
            case("near", "rquimby@mail.org", "rquimbi@mail.org"),
            case("near", "rosalindquimby@mail.org", "rosalindquimbyyy@other.com"),
            case("different", "rqui@mail.org", "rquii@other.com"),
            case("different", "rquimby@mail.org", "hfox@mail.org"),
            case("missing", "", "hfox@mail.org"),
        ],
    );
}

#[test]
fn every_level_of_locations() {
    let place = |address_line, city, postal_code| Row { address_line, city, postal_code, ..NOBODY };
    let home = place("217 Forest St Apt 4", "Salem", "46210");
    let case = |level, line, city, code| (level, home, place(line, city, code));
    check(
        &Town::new(),
        Attribute::Location,
        &vec![
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
    );
}

/// Two people of one home who differ in what a veto asks for.
fn twins() -> (Row, Row) {
    let one = Row {
        given: "Rosalind",
        family: "Quimby",
        sex: "F",
        birth_date: "1984-03-05",
        ssn: "871-27-2195",
        address_line: "217 Forest St",
        city: "Salem",
        ..NOBODY
    };
    (one, Row { given: "Humphrey", sex: "M", ssn: "302-44-9981", ..one })
}

fn parent() -> (Row, Row) {
    let (one, _) = twins();
    (one, Row { suffix: "Sr", birth_date: "1951-11-30", ssn: "302-44-9981", ..one })
}

fn vetoes(town: &Town, a: &Row, b: &Row) -> Vec<Veto> {
    let (a, b) = (NormalizedRecord::from_flat(a), NormalizedRecord::from_flat(b));
    town.compare(&a, &b).vetoes.iter().collect()
}

#[test]
fn every_veto_and_what_lifts_it() {
    let town = Town::new();
    let check = |expected: &[Veto], a: Row, b: Row| {
        assert_eq!(vetoes(&town, &a, &b), expected, "{a:?} {b:?}");
    };
    let (one, _) = twins();
    let with = |suffix| Row { suffix, ..one };
    check(&[], one, one);
    check(&[Veto::SuffixConflict], with("Jr"), with("Sr"));
    check(&[], with("Jr"), with("Jr"));
    check(&[], with("Jr"), one);
    let baby = |given, birth_date| Row { given, birth_date, ..NOBODY };
    check(&[Veto::NewbornConflict], baby("Baby A", "2024-03-05"), baby("Baby B", "2024-03-05"));
    check(&[Veto::NewbornConflict], baby("Babyboy", "2024-03-05"), baby("Babygirl", ""));
    check(&[], baby("Baby A", "2024-03-05"), baby("Baby A", "2024-03-05"));
    check(&[], baby("Baby A", "2024-03-05"), baby("Baby B", "2019-11-20"));
    check(&[], baby("Baby A", "2024-03-05"), baby("Baby B", "1996-03-05"));
    let (a, b) = twins();
    check(&[Veto::TwinConflict], a, b);
    let phoned = |row: Row| Row { address_line: "", city: "", phone: "317-341-0388", ..row };
    check(&[Veto::TwinConflict], phoned(a), phoned(b));
    check(&[], phoned(a), Row { phone: "317-341-0389", ..phoned(b) });
    check(&[], a, Row { sex: "F", ..b });
    check(&[], a, Row { ssn: "871-27-2195", ..b });
    check(&[], a, Row { ssn: "", ..b });
    check(&[], a, Row { given: "Rosalynd", ..b });
    check(&[], a, Row { birth_date: "1984-03-06", ..b });
    check(&[], a, Row { address_line: "9 Elm St", ..b });
    let (a, b) = parent();
    check(&[Veto::ParentConflict], a, b);
    check(&[Veto::ParentConflict], a, Row { birth_date: "1951-03-05", ..b });
    check(&[Veto::ParentConflict], a, Row { birth_date: "1951", ..b });
    check(&[], a, Row { suffix: "", ..b });
    check(&[], a, Row { ssn: "871-27-2195", ..b });
    check(&[], a, Row { birth_date: "1984-03-05", ..b });
    check(&[], a, Row { given: "Rosalva", ..b });
    check(&[], a, Row { address_line: "9 Elm St", ..b });
}

#[test]
fn birth_orders_and_taxpayers_are_told_by_feeds() {
    let town = Town::new();
    let born = |order| {
        let told = Demographics { birth_order: Some(order), ..Demographics::default() };
        NormalizedRecord::from_demographics(&told)
    };
    let vetoes = |a: &NormalizedRecord, b: &NormalizedRecord| -> Vec<Veto> {
        town.compare(a, b).vetoes.iter().collect()
    };
    assert_eq!(vetoes(&born(1), &born(2)), [Veto::BirthOrderConflict]);
    assert_eq!(vetoes(&born(2), &born(2)), []);
    assert_eq!(vetoes(&born(1), &NormalizedRecord::default()), []);
    let insured = |numbers: &[(IdentifierKind, &str)]| {
        let identifiers = numbers.iter().map(|(kind, value)| Identifier {
            kind: *kind,
            system: "urn:payer".to_owned(),
            value: (*value).to_owned(),
            identifier_use: IdentifierUse::Current,
        });
        let told = Demographics { identifiers: identifiers.collect(), ..Demographics::default() };
        NormalizedRecord::from_demographics(&told)
    };
    let level = |a: &NormalizedRecord, b: &NormalizedRecord| {
        town.compare(a, b).pattern.level(Attribute::Identifier)
    };
    let (member, subscriber) = (IdentifierKind::Member, IdentifierKind::Subscriber);
    let own = insured(&[(member, "W1-01"), (subscriber, "W1")]);
    let same = super::levels::number::SAME;
    assert_eq!(level(&own, &own), same);
    // Without a suffix of its own a member number is the policy holder's, and names the family.
    let holders = insured(&[(member, "W-1"), (subscriber, "W1")]);
    assert_eq!(level(&holders, &holders), MISSING);
}
