use rayon::prelude::*;

use crate::{
    domain::Demographics,
    matching::{MatchGrade, Population, RecordNo},
};

/// Which of a population's records are one person's, by the same judgement as the live index: a record
/// joins the one person that it certainly is, two such persons are joined only if they certainly are one.
pub(super) struct Persons {
    /// By record, its person.
    person_of: Vec<usize>,
    records: Vec<Vec<RecordNo>>,
}

impl Persons {
    /// Links records in their order; `told` are the demographics behind record numbers 0, 1, 2 …
    pub(super) fn link(population: &Population, told: &[Demographics]) -> Self {
        let certain: Vec<Vec<RecordNo>> = told
            .par_iter()
            .enumerate()
            .map(|(at, told)| earlier_matches(population, RecordNo(at as u32), told))
            .collect();
        let mut persons = Self { person_of: Vec::with_capacity(told.len()), records: Vec::new() };
        for (at, matches) in certain.into_iter().enumerate() {
            persons.place(population, RecordNo(at as u32), &matches);
        }
        persons
    }

    /// The person behind a record.
    pub(super) fn person_of(&self, record: RecordNo) -> usize {
        self.person_of[record.0 as usize]
    }

    fn place(&mut self, population: &Population, record: RecordNo, matches: &[RecordNo]) {
        let mut persons: Vec<usize> = matches.iter().map(|no| self.person_of(*no)).collect();
        persons.sort_unstable();
        persons.dedup();
        persons.retain(|person| is_one(population, &[record], &self.records[*person]));
        let joined = persons.split_first().filter(|(first, rest)| {
            let one =
                |other: &usize| is_one(population, &self.records[**first], &self.records[*other]);
            rest.iter().all(one)
        });
        let Some((&first, rest)) = joined else {
            self.person_of.push(self.records.len());
            self.records.push(vec![record]);
            return;
        };
        for &other in rest {
            let moved = std::mem::take(&mut self.records[other]);
            for no in &moved {
                self.person_of[no.0 as usize] = first;
            }
            self.records[first].extend(moved);
        }
        self.person_of.push(first);
        self.records[first].push(record);
    }
}

/// Earlier records that a record certainly matches: no person without such a record can be certain.
fn earlier_matches(
    population: &Population,
    record: RecordNo,
    told: &Demographics,
) -> Vec<RecordNo> {
    let mut candidates = population.candidates(&population.probe(told));
    candidates.retain(|other| {
        *other < record && population.compare_records(record, *other).grade == MatchGrade::Certain
    });
    candidates
}

fn is_one(population: &Population, a: &[RecordNo], b: &[RecordNo]) -> bool {
    population.judge_persons(a, b).grade == MatchGrade::Certain
}
