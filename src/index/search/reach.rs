//! From criteria to the few persons who may meet them.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use thiserror::Error;

use crate::{
    domain::{EnterpriseId, PersonRecords},
    fhir::dates::{DateCriterion, DatePrefix},
    index::{Index, State},
};

use super::{
    Criterion, DateKey, IdentifierToken, SearchIndex, TextMatch, TextPart, WordKey,
    posting::Posting,
    terms::{Field, Number, email, phone},
    words::fold,
};

/// Records that one criterion may lead to, before it counts as saying too little: read in some
/// milliseconds.
const RECORDS_MAX: usize = 200_000;

/// The criteria fit more persons than may be looked at.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("too many patients may meet this; tell more of whom you mean")]
pub struct TooBroad;

impl Index {
    /// Everybody who may meet all criteria, at most `persons_max`, in the order of ids. Whoever meets
    /// them is among them; whether one does, only its permitted records tell. Never looks at all
    /// persons: what only that could answer is too broad.
    pub fn may_meet(
        &self,
        criteria: &[Criterion],
        persons_max: usize,
    ) -> Result<Vec<PersonRecords>, TooBroad> {
        let state = self.shared.read();
        if criteria.iter().any(|criterion| matches!(criterion, Criterion::Nobody)) {
            return Ok(Vec::new());
        }
        let mut reaches: Vec<Reach<'_>> =
            criteria.iter().filter_map(|criterion| state.search.reach(criterion)).collect();
        reaches.retain(|reach| reach.records() <= RECORDS_MAX);
        reaches.sort_by_key(Reach::records);
        let mut reaches = reaches.into_iter();
        let mut found = reaches.next().ok_or(TooBroad)?.persons(&state, None);
        while found.len() > persons_max {
            found = reaches.next().ok_or(TooBroad)?.persons(&state, Some(&found));
        }
        let mut ids: Vec<EnterpriseId> = found.into_iter().collect();
        ids.sort_unstable();
        Ok(ids.into_iter().filter_map(|id| state.registry.person(id)).collect())
    }

    /// Whether an identifier of this namespace was ever told.
    pub fn knows_system(&self, system: &str) -> bool {
        self.shared.read().search.knows_system(system)
    }
}

/// Where one criterion leads.
#[derive(Default)]
struct Reach<'a> {
    postings: Vec<&'a Posting>,
    records: Vec<u32>,
    persons: Vec<EnterpriseId>,
}

impl Reach<'_> {
    fn records(&self) -> usize {
        let listed: usize = self.postings.iter().map(|posting| posting.len()).sum();
        listed + self.records.len() + self.persons.len()
    }

    /// Its persons; of those already found only, where some are.
    fn persons(
        self,
        state: &State,
        among: Option<&HashSet<EnterpriseId, RandomState>>,
    ) -> HashSet<EnterpriseId, RandomState> {
        let mut records = self.records;
        self.postings.iter().for_each(|posting| posting.read(&mut records));
        let registry = &state.registry;
        // What waits for its commit has no person yet.
        let committed = registry.records_total() as u32;
        let of_records = records.into_iter().filter(|record| *record < committed);
        let persons = of_records.map(|record| registry.person_of(record));
        let asked = self.persons.into_iter().map(|id| registry.living(id));
        persons
            .chain(asked)
            .filter(|person| among.is_none_or(|found| found.contains(person)))
            .collect()
    }
}

impl SearchIndex {
    /// Where a criterion leads; `None` where only looking at everybody would tell.
    fn reach(&self, criterion: &Criterion) -> Option<Reach<'_>> {
        let mut reach = Reach::default();
        match criterion {
            Criterion::Person(ids) => reach.persons.clone_from(ids),
            Criterion::Text { part, how, any } => {
                for text in any {
                    self.reach_text(*part, *how, text, &mut reach)?;
                }
            }
            Criterion::Identifier(any) => {
                for IdentifierToken { value, .. } in any {
                    let number = Number::Identifier(value.clone()?);
                    reach.records.extend(self.numbers.records(&number));
                }
            }
            Criterion::Contact { phones, emails, any } => {
                for text in any {
                    let numbers = [
                        phones.then(|| Number::Phone(phone(text))),
                        emails.then(|| Number::Email(email(text))),
                    ];
                    for number in numbers.into_iter().flatten() {
                        reach.records.extend(self.numbers.records(&number));
                    }
                }
            }
            Criterion::BirthDate(any) => {
                for date in any {
                    let years = years(*date)?;
                    reach.postings.extend(self.by_birth_date.range(years).map(|(_, held)| held));
                }
            }
            Criterion::Sex(_) | Criterion::Missing(..) | Criterion::Nobody => return None,
        }
        Some(reach)
    }

    fn reach_text<'a>(
        &'a self,
        part: TextPart,
        how: TextMatch,
        text: &str,
        reach: &mut Reach<'a>,
    ) -> Option<()> {
        let words = fold(text);
        let Some(first) = words.first() else {
            // Only signs: letter by letter it may be somebody's, otherwise it is nobody's.
            return (how != TextMatch::Exact).then_some(());
        };
        let whole = words.concat();
        let mut numbers: Vec<u32> = match how {
            TextMatch::Exact => self.words.find(first).into_iter().collect(),
            TextMatch::Start if words.len() == 1 => self.words.beginning(first).collect(),
            TextMatch::Start => {
                self.words.beginning(&whole).chain(self.words.find(first)).collect()
            }
            // Of lines each word stands for itself.
            TextMatch::Contains if matches!(part, TextPart::Address) => {
                self.words.containing(first).collect()
            }
            TextMatch::Contains => self.words.containing(&whole).collect(),
        };
        numbers.sort_unstable();
        numbers.dedup();
        for field in fields(part) {
            let keys = numbers.iter().map(|no| WordKey::new(*field, *no));
            reach.postings.extend(keys.filter_map(|key| self.by_word.get(&key)));
        }
        Some(())
    }
}

const fn fields(part: TextPart) -> &'static [Field] {
    match part {
        TextPart::Family => &[Field::Family],
        TextPart::Given => &[Field::Given],
        TextPart::Name => &[Field::Family, Field::Given, Field::OtherName],
        TextPart::MothersMaidenName => &[Field::MothersMaidenName],
        TextPart::Address => {
            &[Field::Line, Field::City, Field::State, Field::PostalCode, Field::Country]
        }
        TextPart::City => &[Field::City],
        TextPart::State => &[Field::State],
        TextPart::PostalCode => &[Field::PostalCode],
        TextPart::Country => &[Field::Country],
    }
}

/// The birth dates that may meet a criterion, in whole years where it is about more than one day;
/// `None` where nearly all do.
fn years(sought: DateCriterion) -> Option<std::ops::RangeInclusive<DateKey>> {
    const SECONDS_PER_DAY: i64 = 86_400;
    let (start, end) = (sought.range.start()?, sought.range.end()?);
    let whole_days = (end - start).whole_seconds() / SECONDS_PER_DAY;
    let (first, last) = (start.year(), (end - time::Duration::NANOSECOND).year());
    Some(match sought.prefix {
        DatePrefix::Eq if whole_days == 1 => {
            let (month, day) = (start.month().into(), Some(start.day()));
            let date = crate::domain::PartialDate::new(first as u16, month, day).ok()?;
            DateKey::of(date)..=DateKey::of(date)
        }
        DatePrefix::Eq => DateKey::years(first, last),
        DatePrefix::Gt | DatePrefix::Ge | DatePrefix::Sa => DateKey::years(first, 9_999),
        DatePrefix::Lt | DatePrefix::Le | DatePrefix::Eb => DateKey::years(0, last),
        DatePrefix::Ne | DatePrefix::Ap => return None,
    })
}
