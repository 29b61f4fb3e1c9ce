//! From edges to persons, best edges first, each merge judged on all records of both sides.

use super::{Blocks, Edge};
use crate::matching::{
    person::{Evidence, sample},
    population::Population,
};

/// For each record the number of its person's first record.
pub(super) fn cluster(
    population: &Population,
    blocks: Option<&Blocks>,
    edges: &[Edge],
    link_bits: f32,
) -> Vec<u32> {
    let mut persons = Persons::new(population.columns.len());
    for edge in edges.iter().take_while(|edge| edge.bits >= link_bits) {
        let (left, right) = (persons.of(edge.left), persons.of(edge.right));
        if edge.vetoed || left == right {
            continue;
        }
        if agrees(population, blocks, link_bits, persons.records(&left), persons.records(&right)) {
            persons.merge(left, right);
        }
    }
    persons.first_records()
}

fn agrees(
    population: &Population,
    blocks: Option<&Blocks>,
    link_bits: f32,
    left: &[u32],
    right: &[u32],
) -> bool {
    if left.len() == 1 && right.len() == 1 {
        return true;
    }
    let mut evidence = Evidence::NONE;
    for &a in sample(left) {
        for &b in sample(right) {
            if blocks.is_some_and(|blocks| !blocks.may_link(a, b)) {
                continue;
            }
            let (comparison, score) = population.judge_pair(a, b);
            if !comparison.vetoes.is_empty() {
                return false;
            }
            evidence.add(link_bits, score, comparison.vetoes, b);
        }
    }
    evidence.speaks_for() && !evidence.is_contradicted()
}

/// Records by person; a person of one record needs no list.
struct Persons {
    person: Vec<u32>,
    members: hashbrown::HashMap<u32, Vec<u32>, foldhash::fast::FixedState>,
}

impl Persons {
    fn new(records: usize) -> Self {
        Self { person: (0..records as u32).collect(), members: hashbrown::HashMap::default() }
    }

    fn of(&self, record: u32) -> u32 {
        self.person[record as usize]
    }

    fn records<'a>(&'a self, person: &'a u32) -> &'a [u32] {
        self.members.get(person).map_or(std::slice::from_ref(person), Vec::as_slice)
    }

    fn merge(&mut self, left: u32, right: u32) {
        let (large, small) = if self.records(&left).len() >= self.records(&right).len() {
            (left, right)
        } else {
            (right, left)
        };
        let moved = self.members.remove(&small).unwrap_or_else(|| vec![small]);
        for &record in &moved {
            self.person[record as usize] = large;
        }
        self.members.entry(large).or_insert_with(|| vec![large]).extend(moved);
    }

    fn first_records(&self) -> Vec<u32> {
        let mut first = vec![u32::MAX; self.person.len()];
        for (record, person) in (0..).zip(&self.person) {
            let first = &mut first[*person as usize];
            *first = (*first).min(record);
        }
        self.person.iter().map(|person| first[*person as usize]).collect()
    }
}
