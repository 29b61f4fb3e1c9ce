//! Every veto, with pairs of records that meet it and pairs that lift it.

use super::{
    Attribute, Model, NormalizedRecord, RecordNo, Veto,
    bulk::Batch,
    every_level::{NOBODY, Row, Town},
    levels::{MISSING, number},
};
use crate::domain::{Demographics, Identifier, IdentifierKind, IdentifierUse};

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
    let same = number::SAME;
    assert_eq!(level(&own, &own), same);
    // Without a suffix of its own a member number is the policy holder's, and names the family.
    let holders = insured(&[(member, "W-1"), (subscriber, "W1")]);
    assert_eq!(level(&holders, &holders), MISSING);
}

#[test]
fn each_veto_keeps_apart_what_is_certain_otherwise() {
    let (one, _) = twins();
    let baby = Row { given: "", birth_date: "2024-03-05", ..one };
    for (a, b) in [
        (Row { suffix: "Jr", ..one }, Row { suffix: "Sr", ..one }),
        (Row { given: "Baby A", ..baby }, Row { given: "Baby B", ..baby }),
    ] {
        let link = |rows: &[Row]| {
            let mut batch = Batch::new(std::sync::Arc::new(Model::default_model()));
            let records: Vec<_> = rows.iter().map(NormalizedRecord::from_flat).collect();
            batch.extend(&records);
            batch.block();
            let edges = batch.compare().edges;
            let certain = edges.first().is_some_and(|edge| edge.bits >= batch.model().link_bits());
            (certain, batch.cluster(&edges, batch.model().link_bits()))
        };
        assert_eq!(link(&[a, b]), (true, vec![0, 1]), "only the veto forbids it");
        // A third record that contradicts neither goes to one of them, and brings nobody together.
        let (_, persons) = link(&[a, b, one]);
        assert_ne!(persons[0], persons[1], "{a:?}");
    }
}

#[test]
fn two_steady_birth_dates_are_two_people() {
    let (one, _) = twins();
    let born = |birth_date| Row { birth_date, ssn: "", sex: "F", phone: "317-341-0388", ..one };
    let persons = |dates: &[&'static str]| {
        let mut batch = Batch::new(std::sync::Arc::new(Model::default_model()));
        let records: Vec<_> =
            dates.iter().map(|date| NormalizedRecord::from_flat(&born(date))).collect();
        batch.extend(&records);
        batch.block();
        let linked = batch.cluster(&batch.compare().edges, batch.model().link_bits());
        let population = batch.into_population();
        let (left, right) = ([RecordNo(0), RecordNo(1)], [RecordNo(2), RecordNo(3)]);
        let contradicted = population.judge_persons(&left, &right).contradicted;
        let probe = population.probe_of(RecordNo(0));
        assert_eq!(population.judge_join(&probe, &left, &right).contradicted, contradicted);
        (linked[0] == linked[2], contradicted)
    };
    let (day, other) = ("1984-03-05", "1983-11-20");
    // What is told wrong stands in one record; two records that tell the same are somebody else's.
    assert!(persons(&[day, day, other, other]).1, "two steady dates");
    assert!(!persons(&[day, day, day, other]).1, "one record tells it");
    assert!(!persons(&[day, day, other, ""]).1, "one record tells it");
    assert!(!persons(&[day, other, other, day]).1, "neither is steady");
    assert_eq!(persons(&[day, day, day, day]), (true, false));
    // A slip may be copied.
    assert!(!persons(&[day, day, "1984-03-06", "1984-03-06"]).1);
    // What a system fills in is nobody's birth date.
    assert!(!persons(&[day, day, "1984-01-01", "1984-01-01"]).1);
}
