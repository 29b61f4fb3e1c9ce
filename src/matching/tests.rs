//! Levels, symmetry, monotonicity and the live population, over the room's whole path.

use std::sync::Arc;

use proptest::prelude::*;

use super::{
    Attribute, FlatRecord, MatchGrade, Model, NormalizedRecord, PairVerdict, Population,
    bulk::Batch,
    columns::{Columns, Local, View},
    comparison::compare,
    levels::MISSING,
    term_frequency::TermWeights,
};

const BASE: FlatRecord<'static> = FlatRecord {
    given: "Rosalind",
    middle: "Jane",
    family: "Quimby",
    suffix: "",
    sex: "M",
    birth_date: "1984-03-05",
    ssn: "871-27-2195",
    phone: "317-341-0388",
    email: "rquimby@mail.org",
    address_line: "217 Forest St Apt 4",
    city: "Salem",
    postal_code: "46210",
    record_number: "H1",
};

fn level(a: &FlatRecord<'_>, b: &FlatRecord<'_>, attribute: Attribute) -> &'static str {
    let columns = Columns::default();
    let mut local = Local::default();
    let left = columns.probe(&NormalizedRecord::from_flat(a), &mut local);
    let right = columns.probe(&NormalizedRecord::from_flat(b), &mut local);
    let view = View::with_local(&columns, &local);
    let terms = TermWeights::default();
    let (a, b) = (view.side(&left), view.side(&right));
    let forth = compare(view, &terms, a, b).pattern;
    assert_eq!(forth, compare(view, &terms, b, a).pattern, "comparison is symmetric");
    match forth.level(attribute) {
        MISSING => "missing",
        level => attribute.levels()[usize::from(level)],
    }
}

fn check(attribute: Attribute, other: FlatRecord<'_>, expected: &str) {
    assert_eq!(level(&BASE, &other, attribute), expected, "{other:?}");
}

#[test]
fn given_name_levels() {
    let given = |given, expected| {
        check(Attribute::GivenName, FlatRecord { given, ..BASE }, expected);
    };
    given("R.", "initial");
    given("Rosalynd", "one edit");
    given("Rosalyndd", "similar");
    given("Rosalva", "weakly similar");
    given("Jane", "is the other's middle name");
    given("Humphrey", "different");
    given("Unknown", "missing");
    let named = |given, family, expected| {
        check(Attribute::GivenName, FlatRecord { given, family, ..BASE }, expected);
    };
    named("Quimby", "Rosalind", "swapped with family name");
    named("Quimby", "Fox", "half swapped with family name");
    let with = |given, middle, other_given, other_middle, expected| {
        let a = FlatRecord { given, middle, ..BASE };
        let b = FlatRecord { given: other_given, middle: other_middle, ..BASE };
        assert_eq!(level(&a, &b, Attribute::GivenName), expected);
    };
    with("William", "", "Bill", "", "nickname");
    with("Victoria", "C", "Humphrey", "", "different");
    with("Victoria", "C", "Carol", "", "begins like the other's middle name");
    with("Victoria", "C", "Carol", "V", "begins like the other's middle name");
    with("Victoria", "C", "Carol", "M", "different");
    with("Jo", "", "Jx", "", "weakly similar");
}

#[test]
fn family_name_levels() {
    let family = |family, expected| {
        check(Attribute::FamilyName, FlatRecord { family, ..BASE }, expected);
    };
    family("Quimbi", "near");
    family("Quimby-Okafor", "a part in common");
    family("Quimbyson", "a part in common");
    family("Q", "weakly similar");
    family("Okafor", "different");
    family("", "missing");
    check(
        Attribute::FamilyName,
        FlatRecord { given: "", family: "Rosalind", ..BASE },
        "in the given name's place",
    );
    check(Attribute::FamilyName, FlatRecord { given: "Quimby", family: "Fox", ..BASE }, "missing");
    let female = FlatRecord { sex: "F", ..BASE };
    let other = FlatRecord { family: "Okafor", ..female };
    assert_eq!(level(&female, &other, Attribute::FamilyName), "different (both female)");
}

#[test]
fn middle_name_sex_and_suffix_levels() {
    let middle =
        |middle, expected| check(Attribute::MiddleName, FlatRecord { middle, ..BASE }, expected);
    middle("J", "initial (given names agree)");
    middle("Jame", "near (given names agree)");
    middle("Ruth", "different (given names agree)");
    middle("Jane", "same (given names agree)");
    middle("", "missing");
    let other = FlatRecord { given: "Humphrey", ..BASE };
    check(Attribute::MiddleName, other, "same (given names differ)");
    check(Attribute::Sex, other, "same (given names differ)");
    check(Attribute::Sex, FlatRecord { sex: "F", ..BASE }, "conflict (given names agree)");
    check(Attribute::Sex, FlatRecord { given: "", ..BASE }, "same (no given name)");
    let junior = FlatRecord { suffix: "Jr", ..BASE };
    check(Attribute::Suffix, BASE, "none");
    check(Attribute::Suffix, junior, "one-sided");
    let suffix = |suffix| level(&junior, &FlatRecord { suffix, ..BASE }, Attribute::Suffix);
    assert_eq!((suffix("Sr"), suffix("Junior")), ("conflict", "same"));
}

#[test]
fn location_levels() {
    let place = |address_line, city, postal_code, expected| {
        let other = FlatRecord { address_line, city, postal_code, ..BASE };
        check(Attribute::Location, other, expected);
    };
    place("217 Forest Street #4", "Salem", "46210", "same");
    place("217 Forest St", "Salem", "46210", "same building, unit missing");
    place("217 Forest St Apt 5", "Salem", "46210", "same building, other unit");
    place("217 Forrest St Apt 4", "Salem", "46210", "near");
    place("271 Forest St Apt 4", "Salem", "46210", "near");
    place("9 Forest St", "Salem", "46210", "same street");
    place("9 Elm St", "Salem", "46210", "same postal code");
    place("9 Elm St", "Salem", "99211", "same city");
    place("9 Elm St", "Dover", "99211", "different");
    place("217 Forest St", "Dover", "99211", "near");
    place("", "", "", "missing");
}

#[test]
fn contact_and_number_levels() {
    let phone = |phone, expected| check(Attribute::Phone, FlatRecord { phone, ..BASE }, expected);
    phone("317-341-0388", "same (same location)");
    phone("317-341-0389", "near (same location)");
    phone("812-555-0143", "different (same location)");
    let moved =
        FlatRecord { address_line: "9 Elm St", postal_code: "99211", city: "Dover", ..BASE };
    check(Attribute::Phone, moved, "same (another location)");
    let nowhere = FlatRecord { address_line: "", postal_code: "", city: "", ..BASE };
    check(Attribute::Phone, nowhere, "same");
    let email = |email, expected| check(Attribute::Email, FlatRecord { email, ..BASE }, expected);
    email("rquimby@mail.org", "same");
    email("rquimby@other.com", "near");
    email("rquimbi@mail.org", "near");
    email("hfox@mail.org", "different");
    let ssn =
        |ssn, expected| check(Attribute::SocialSecurity, FlatRecord { ssn, ..BASE }, expected);
    ssn("871272195", "same");
    ssn("871-27-2915", "near");
    ssn("302-44-2195", "only last four same");
    ssn("2195", "last four same");
    ssn("7777", "missing");
    ssn("2194", "last four different");
    ssn("302-44-9981", "different");
    let number = |record_number, expected| {
        check(Attribute::RecordNumber, FlatRecord { record_number, ..BASE }, expected);
    };
    number("h-1", "same");
    number("H2", "different");
}

fn judged(a: &FlatRecord<'_>, b: &FlatRecord<'_>) -> PairVerdict {
    let mut population = Population::new(Arc::new(Model::default_model()));
    let no = population.insert_normalized(&NormalizedRecord::from_flat(b));
    let probe = population.probe_normalized(&NormalizedRecord::from_flat(a));
    population.compare(&probe, no)
}

#[test]
fn who_is_one_person_and_who_is_not() {
    assert_eq!(judged(&BASE, &BASE).grade, MatchGrade::Certain);
    let typo = FlatRecord { given: "Rosalynd", phone: "", email: "", ..BASE };
    assert_eq!(judged(&BASE, &typo).grade, MatchGrade::Certain);
    let spouse =
        FlatRecord { given: "Humphrey", birth_date: "1981-11-30", ssn: "", email: "", ..BASE };
    let spouse = FlatRecord { middle: "", ..spouse };
    assert!(judged(&BASE, &spouse).grade < MatchGrade::Probable);
    let twin = FlatRecord { given: "Humphrey", middle: "", ssn: "302-44-9981", email: "", ..BASE };
    assert!(judged(&BASE, &twin).grade < MatchGrade::Certain);
    let stranger = FlatRecord { given: "Zoe", family: "Fox", ..FlatRecord::default() };
    assert_eq!(judged(&BASE, &stranger).grade, MatchGrade::CertainlyNot);
    let father = FlatRecord { suffix: "Sr", ..BASE };
    let son = FlatRecord { suffix: "Jr", ..BASE };
    let verdict = judged(&father, &son);
    assert!(verdict.grade < MatchGrade::Certain && !verdict.vetoes.is_empty());
    let babies = ["Babyboy A", "Babyboy B"].map(|given| FlatRecord {
        given,
        middle: "",
        ssn: "",
        record_number: "",
        ..BASE
    });
    assert!(judged(&babies[0], &babies[1]).grade < MatchGrade::Certain);
}

#[test]
fn a_record_is_found_replaced_and_removed() {
    let mut population = Population::new(Arc::new(Model::default_model()));
    let base = NormalizedRecord::from_flat(&BASE);
    let no = population.insert_normalized(&base);
    let other = FlatRecord { given: "Zoe", family: "Fox", ..FlatRecord::default() };
    population.insert_normalized(&NormalizedRecord::from_flat(&other));
    let probe = population.probe_normalized(&base);
    assert_eq!(population.candidates(&probe), [no]);
    let verdict = population.judge_person(&probe, &[no]);
    assert_eq!((verdict.grade, verdict.best), (MatchGrade::Certain, Some(no)));
    let explanation = population.explain(&probe, no);
    let steps: f32 = explanation.steps.iter().map(|step| step.bits).sum();
    assert!((explanation.prior_bits + steps - explanation.bits).abs() < 1e-3);
    assert!((explanation.bits - population.compare(&probe, no).bits.0).abs() < 1e-3);
    population.remove(no);
    assert_eq!(population.len(), 1);
    assert!(population.candidates(&population.probe_normalized(&base)).is_empty());
}

#[test]
fn bulk_links_what_the_live_population_links() {
    let typo = FlatRecord { family: "Quimbi", email: "", ..BASE };
    let stranger = FlatRecord { given: "Zoe", family: "Fox", ..FlatRecord::default() };
    let mut batch = Batch::new(Arc::new(Model::default_model()));
    batch.extend(&[BASE, stranger, typo].map(|row| NormalizedRecord::from_flat(&row)));
    batch.block();
    let edges = batch.compare();
    assert_eq!(batch.cluster(&edges.edges, batch.model().link_bits()), [0, 1, 0]);
    assert_eq!(edges.pairs_compared, 3);
}

#[test]
fn a_model_file_says_what_it_is_and_survives_reading() {
    let model = Model::default_model();
    let again = Model::from_json(&model.to_json()).expect("what is written can be read");
    assert_eq!(again.to_json(), model.to_json());
    assert!(Model::from_json("{}").is_err());
    let broken = model.to_json().replacen("\"initial\"", "\"initials\"", 1);
    assert!(Model::from_json(&broken).is_err());
}

fn word() -> impl Strategy<Value = String> {
    "[A-D]{1,6}"
}

proptest! {
    #[test]
    fn judging_is_symmetric(
        given in (word(), word()), family in (word(), word()),
        date in ("19[0-9]{2}-0[1-9]-1[0-9]", "19[0-9]{2}-0[1-9]-1[0-9]"),
        ssn in ("87127219[0-3]", "87127[12]190"),
    ) {
        let a = FlatRecord { given: &given.0, family: &family.0, birth_date: &date.0, ssn: &ssn.0, ..BASE };
        let b = FlatRecord { given: &given.1, family: &family.1, birth_date: &date.1, ssn: &ssn.1, ..BASE };
        let pattern = level(&a, &b, Attribute::GivenName);
        prop_assert_eq!(pattern, level(&b, &a, Attribute::GivenName));
        prop_assert_eq!(judged(&a, &b).vetoes, judged(&b, &a).vetoes);
    }
}

#[test]
fn more_agreement_never_weighs_less() {
    let steps: [(&str, [FlatRecord<'_>; 3]); 3] = [
        ("given", ["Humphrey", "Rosalynd", "Rosalind"].map(|given| FlatRecord { given, ..BASE })),
        (
            "date",
            ["1931-11-20", "1984-03-06", "1984-03-05"]
                .map(|birth_date| FlatRecord { birth_date, ..BASE }),
        ),
        (
            "ssn",
            ["302-44-9981", "871-27-2915", "871-27-2195"].map(|ssn| FlatRecord { ssn, ..BASE }),
        ),
    ];
    for (attribute, rows) in steps {
        let bits = rows.map(|row| judged(&BASE, &row).bits.0);
        assert!(bits[0] < bits[1] && bits[1] < bits[2], "{attribute}: {bits:?}");
    }
    // Nor where no number tells twins apart, and their names nearly agree.
    let bare = FlatRecord { middle: "", ssn: "", record_number: "", ..BASE };
    let bits = ["Humphrey", "Rosalynd", "Rosalind"]
        .map(|given| judged(&bare, &FlatRecord { given, ..bare }).bits.0);
    assert!(bits[0] < bits[1] && bits[1] < bits[2], "{bits:?}");
    // Kin share surnames: a mistyped one may speak more for one person than the very same.
    for family in ["Quimbi", "Quimby"] {
        let bits = |family| judged(&BASE, &FlatRecord { family, ..BASE }).bits.0;
        assert!(bits("Okafor") < bits(family), "{family}");
    }
}
