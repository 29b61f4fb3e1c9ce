//! From edges to persons, best edges first, each merge judged on all records of both sides.
//!
//! A merge asks nothing of records that no edges lead to, so groups of records that hang together are
//! taken one by one, on all cores.

use rayon::prelude::*;

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
    let linking = edges.partition_point(|edge| edge.bits >= link_bits);
    let groups = grouped(population.columns.len(), &edges[..linking]);
    let groups: Vec<&[u64]> = groups.chunk_by(|a, b| a >> 32 == b >> 32).collect();
    let judge = Judge { population, blocks, link_bits };
    let found: Vec<Persons> = groups
        .par_chunks(1_024)
        .map(|groups| {
            let mut persons = Persons::default();
            for group in groups {
                judge.link(group.iter().map(|place| &edges[*place as u32 as usize]), &mut persons);
            }
            persons
        })
        .collect();
    let mut first: Vec<u32> = (0..population.columns.len() as u32).collect();
    for records in found.iter().flat_map(|persons| persons.members.values()) {
        let least = records.iter().copied().min().unwrap_or_default();
        for record in records {
            first[*record as usize] = least;
        }
    }
    first
}

/// The edges that may link, in their order within each group of records that hang together: the
/// group's number above the edge's place.
fn grouped(records: usize, edges: &[Edge]) -> Vec<u64> {
    let mut leaders: Vec<u32> = (0..records as u32).collect();
    let allowed = || edges.iter().enumerate().filter(|(_, edge)| !edge.vetoed);
    for (_, edge) in allowed() {
        let (left, right) = (leader(&mut leaders, edge.left), leader(&mut leaders, edge.right));
        leaders[left.max(right) as usize] = left.min(right);
    }
    let mut groups: Vec<u64> = allowed()
        .map(|(place, edge)| u64::from(leader(&mut leaders, edge.left)) << 32 | place as u64)
        .collect();
    groups.par_sort_unstable();
    groups
}

/// Who speaks for a record; the ways there are halved.
fn leader(leaders: &mut [u32], mut record: u32) -> u32 {
    while leaders[record as usize] != record {
        leaders[record as usize] = leaders[leaders[record as usize] as usize];
        record = leaders[record as usize];
    }
    record
}

struct Judge<'a> {
    population: &'a Population,
    blocks: Option<&'a Blocks>,
    link_bits: f32,
}

impl Judge<'_> {
    fn link<'e>(&self, edges: impl Iterator<Item = &'e Edge>, persons: &mut Persons) {
        for edge in edges {
            let (left, right) = (persons.of(edge.left), persons.of(edge.right));
            if left != right && self.agrees(persons.records(&left), persons.records(&right)) {
                persons.merge(left, right);
            }
        }
    }

    fn agrees(&self, left: &[u32], right: &[u32]) -> bool {
        if left.len() == 1 && right.len() == 1 {
            return true;
        }
        if self.population.birth_dates_conflict(left, right) {
            return false;
        }
        let mut evidence = Evidence::NONE;
        for &a in sample(left) {
            for &b in sample(right) {
                // A source free of duplicates holds a person once.
                if self.blocks.is_some_and(|blocks| !blocks.may_link(a, b)) {
                    return false;
                }
                let (comparison, score) = self.population.judge_pair(a, b);
                if !comparison.vetoes.is_empty() {
                    return false;
                }
                evidence.add(self.link_bits, score, comparison.vetoes, b);
            }
        }
        evidence.speaks_for() && !evidence.is_contradicted()
    }
}

type Map<T> = hashbrown::HashMap<u32, T, foldhash::fast::FixedState>;

/// Records by person; a person of one record stands in no table.
#[derive(Default)]
struct Persons {
    person: Map<u32>,
    members: Map<Vec<u32>>,
}

impl Persons {
    fn of(&self, record: u32) -> u32 {
        self.person.get(&record).copied().unwrap_or(record)
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
            self.person.insert(record, large);
        }
        self.members.entry(large).or_insert_with(|| vec![large]).extend(moved);
    }
}
