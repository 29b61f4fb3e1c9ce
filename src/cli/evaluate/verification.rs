//! How often the check of what a member returns is right: on pairs of a population whose truth is
//! known, one record as fed and one as returned.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        Address, Demographics, Identifier, IdentifierKind, IdentifierUse, LocalId, Name,
        PartialDate, Sex,
    },
    federation::{Identity, IdentityJudge},
    matching::Model,
};

/// Random strangers drawn for each record.
const STRANGERS_EACH: usize = 4;
/// The same file gives the same figures.
const SEED: u64 = 1;

/// One line of `tessera synth`.
#[derive(Deserialize)]
struct Row {
    source: String,
    cluster_id: String,
    given: String,
    middle: String,
    family: String,
    suffix: String,
    sex: String,
    birth_date: String,
    ssn: String,
    phone: String,
    email: String,
    address_line: String,
    city: String,
    state: String,
    postal_code: String,
}

/// What became of pairs of one kind.
#[derive(Debug, Default, Serialize)]
struct Tally {
    pairs: u64,
    /// Withheld: somebody else.
    contradicts: u64,
    /// Released, and marked as not confirmed.
    not_confirmed: u64,
    /// Released.
    agrees: u64,
    /// Withheld, in percent.
    withheld_percent: f64,
}

/// The figures, by what the two records are to each other.
#[derive(Debug, Default, Serialize)]
pub(super) struct Figures {
    /// One person as one member registered them twice: withheld is wrong.
    same_person_same_member: Tally,
    /// One person as two members did, far apart: harder than what the check is for.
    same_person_other_member: Tally,
    /// Two persons drawn at random: withheld is right.
    strangers: Tally,
    /// Two persons of one address: withheld is right.
    household: Tally,
    /// Two persons of one address, family name and birth date: withheld is right.
    twins: Tally,
}

/// One record, and what groups it belongs to.
struct Record {
    person: String,
    member: String,
    home: String,
    birth: String,
    told: Demographics,
}

/// Judges the pairs of a file of `tessera synth`.
pub(super) fn evaluate(file: &Path, model: Arc<Model>) -> anyhow::Result<Figures> {
    let records = read(file)?;
    let judge = IdentityJudge::new(model);
    let mut figures = Figures::default();
    let mut judged = |fed: &Record, returned: &Record, into: fn(&mut Figures) -> &mut Tally| {
        let asked = LocalId::parse("urn:tessera:evaluate", "1").expect("whole");
        let verdict = judge.judge(&[asked], &returned.told, &[&fed.told], &[]);
        let tally = into(&mut figures);
        tally.pairs += 1;
        match verdict {
            Identity::Contradicts => tally.contradicts += 1,
            Identity::Agrees => tally.agrees += 1,
            Identity::NotConfirmed | Identity::NotSeen => tally.not_confirmed += 1,
        }
    };
    for persons in groups(&records, |record| &record.person).values() {
        for (fed, returned) in persons.iter().zip(persons.iter().skip(1)) {
            if fed.member == returned.member {
                judged(fed, returned, |figures| &mut figures.same_person_same_member);
            } else {
                judged(fed, returned, |figures| &mut figures.same_person_other_member);
            }
        }
    }
    let homes = groups(&records, |record| &record.home);
    for (_, people) in homes.iter().filter(|(home, _)| !home.is_empty()) {
        for (fed, returned) in people.iter().zip(people.iter().skip(1)) {
            if fed.person == returned.person {
                continue;
            }
            if !fed.birth.is_empty() && fed.birth == returned.birth {
                judged(fed, returned, |figures| &mut figures.twins);
            } else {
                judged(fed, returned, |figures| &mut figures.household);
            }
        }
    }
    let mut dice = fastrand::Rng::with_seed(SEED);
    for fed in &records {
        for _ in 0..STRANGERS_EACH {
            let returned = &records[dice.usize(..records.len())];
            if returned.person != fed.person && (returned.home != fed.home || fed.home.is_empty()) {
                judged(fed, returned, |figures| &mut figures.strangers);
            }
        }
    }
    for tally in [
        &mut figures.same_person_same_member,
        &mut figures.same_person_other_member,
        &mut figures.strangers,
        &mut figures.household,
        &mut figures.twins,
    ] {
        let share = tally.contradicts as f64 / tally.pairs.max(1) as f64;
        tally.withheld_percent = (share * 1e6).round() / 1e4;
    }
    Ok(figures)
}

fn groups<'a>(
    records: &'a [Record],
    key: impl Fn(&'a Record) -> &'a String,
) -> BTreeMap<&'a str, Vec<&'a Record>> {
    let mut groups: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in records {
        groups.entry(key(record)).or_default().push(record);
    }
    groups
}

fn read(file: &Path) -> anyhow::Result<Vec<Record>> {
    let name = file.display();
    let mut reader =
        csv::Reader::from_path(file).with_context(|| format!("{name}: cannot be opened"))?;
    let rows: Result<Vec<Row>, csv::Error> = reader.deserialize().collect();
    let rows = rows.with_context(|| format!("{name}: is no file of tessera synth"))?;
    anyhow::ensure!(!rows.is_empty(), "{name}: holds no record");
    Ok(rows.into_iter().map(Record::of).collect())
}

impl Record {
    fn of(row: Row) -> Self {
        let home = if row.address_line.is_empty() {
            String::new()
        } else {
            format!("{}|{}", row.address_line.to_lowercase(), row.city.to_lowercase())
        };
        let told = demographics(&row);
        Self { person: row.cluster_id, member: row.source, home, birth: row.birth_date, told }
    }
}

fn demographics(row: &Row) -> Demographics {
    let some = |text: &String| (!text.is_empty()).then(|| text.clone());
    let name = Name {
        family: row.family.clone(),
        given: [&row.given, &row.middle].into_iter().filter_map(some).collect(),
        suffixes: some(&row.suffix).into_iter().collect(),
        ..Name::default()
    };
    let address = Address {
        lines: some(&row.address_line).into_iter().collect(),
        city: row.city.clone(),
        state: row.state.clone(),
        postal_code: row.postal_code.clone(),
        ..Address::default()
    };
    let number = some(&row.ssn).map(|value| Identifier {
        kind: IdentifierKind::SocialSecurity,
        system: String::new(),
        value,
        identifier_use: IdentifierUse::Current,
    });
    Demographics {
        names: vec![name],
        birth_date: PartialDate::parse(&row.birth_date).ok(),
        sex: match row.sex.to_ascii_lowercase().chars().next() {
            Some('f') => Some(Sex::Female),
            Some('m') => Some(Sex::Male),
            _ => None,
        },
        addresses: some(&row.postal_code)
            .or(some(&row.city))
            .map(|_| address)
            .into_iter()
            .collect(),
        phones: some(&row.phone).into_iter().collect(),
        emails: some(&row.email).into_iter().collect(),
        identifiers: number.into_iter().collect(),
        ..Demographics::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::synth::{RegimeName, write_population};

    #[test]
    fn strangers_are_withheld_and_the_patient_is_not() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        write_population(6_000, 3, RegimeName::default(), file.as_file()).expect("written");
        let figures = evaluate(file.path(), Arc::new(Model::default_model())).expect("judged");
        let same = [&figures.same_person_same_member, &figures.same_person_other_member];
        let [pairs, withheld] = [|tally: &Tally| tally.pairs, |tally: &Tally| tally.contradicts]
            .map(|count| same.into_iter().map(count).sum::<u64>());
        assert!(pairs > 2_000 && withheld * 1_000 <= pairs, "{figures:?}");
        let strangers = &figures.strangers;
        assert!(strangers.pairs > 20_000 && strangers.withheld_percent >= 99.9, "{figures:?}");
        assert!(figures.twins.pairs > 0 && figures.household.pairs > 500, "{figures:?}");
    }
}
