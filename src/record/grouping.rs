//! From pairs to groups: a function of the set, with no chaining through a vague copy.
//!
//! Evidence is taken level by level, strongest first. On each level two groups may join where every
//! resource of one agrees with every resource of the other and no member would tell the fact
//! twice. A group that could join two groups that may not join each other is ambiguous and joins
//! neither on that level. What remains falls into cliques, so the order of work cannot matter.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::{HashMap, HashMapExt};

use super::same_fact::Evidence;

/// Pairs of nodes that may be one fact, by what ties them. Keys are ordered: smaller first.
pub(super) type Ties = HashMap<(u32, u32), Evidence>;

/// No ties yet.
pub(super) fn no_ties() -> Ties {
    Ties::new()
}

/// Groups the nodes named in `ties`; nodes that stay alone are not in the answer. `member_of` says
/// whose a node is. Each group is sorted, and so is the list.
pub(super) fn group(ties: &Ties, member_of: impl Fn(u32) -> u16) -> Vec<Vec<u32>> {
    let mut groups: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (a, b) in ties.keys() {
        groups.insert(*a, vec![*a]);
        groups.insert(*b, vec![*b]);
    }
    let mut home: HashMap<u32, u32> = groups.keys().map(|node| (*node, *node)).collect();
    for level in [Evidence::Identifier, Evidence::Whole, Evidence::Content, Evidence::Vague] {
        join_level(ties, level, &mut groups, &mut home, &member_of);
    }
    groups.into_values().filter(|group| group.len() > 1).collect()
}

fn join_level(
    ties: &Ties,
    level: Evidence,
    groups: &mut BTreeMap<u32, Vec<u32>>,
    home: &mut HashMap<u32, u32>,
    member_of: &impl Fn(u32) -> u16,
) {
    let joinable = |a: u32, b: u32| {
        let (Some(a), Some(b)) = (groups.get(&a), groups.get(&b)) else { return false };
        a.iter().all(|x| {
            b.iter().all(|y| {
                member_of(*x) != member_of(*y) && ties.contains_key(&(*x.min(y), *x.max(y)))
            })
        })
    };
    let mut near: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    let mut touched: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for ((a, b), evidence) in ties {
        let (Some(a), Some(b)) = (home.get(a), home.get(b)) else { continue };
        if *evidence > level || a == b {
            continue;
        }
        touched.entry(*a).or_default().insert(*b);
        touched.entry(*b).or_default().insert(*a);
        if joinable(*a, *b) {
            near.entry(*a).or_default().insert(*b);
            near.entry(*b).or_default().insert(*a);
        }
    }
    let is_ambiguous = |node: &u32| {
        // A vague copy that agrees with just a part of a group is not certain of another one either.
        let lone =
            level == Evidence::Vague && groups.get(node).is_some_and(|group| group.len() == 1);
        let neighbors = if lone { touched.get(node) } else { near.get(node) };
        let neighbors: Vec<u32> = neighbors.into_iter().flatten().copied().collect();
        neighbors
            .iter()
            .enumerate()
            .any(|(i, a)| neighbors.iter().skip(i + 1).any(|b| !joinable(*a, *b)))
    };
    let ambiguous: BTreeSet<u32> = near.keys().copied().filter(is_ambiguous).collect();
    near.retain(|node, _| !ambiguous.contains(node));
    while let Some((first, _)) = near.first_key_value() {
        let into = *first;
        let clique = connected(into, &mut near);
        let mut joined: Vec<u32> =
            clique.iter().filter_map(|node| groups.remove(node)).flatten().collect();
        joined.sort_unstable();
        for node in &joined {
            home.insert(*node, into);
        }
        groups.insert(into, joined);
    }
}

/// Takes one connected part out of the graph.
fn connected(first: u32, near: &mut BTreeMap<u32, BTreeSet<u32>>) -> BTreeSet<u32> {
    let (mut found, mut next) = (BTreeSet::from([first]), vec![first]);
    while let Some(node) = next.pop() {
        for other in near.remove(&node).unwrap_or_default() {
            if near.contains_key(&other) && found.insert(other) {
                next.push(other);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes are numbered member × 10 + place.
    fn check(pairs: &[(u32, u32, Evidence)], expected: &[&[u32]]) {
        let ties = pairs.iter().map(|(a, b, evidence)| ((*a, *b), *evidence)).collect();
        assert_eq!(group(&ties, |node| (node / 10) as u16), expected);
    }

    use Evidence::{Content, Identifier, Vague, Whole};

    #[test]
    fn those_who_all_agree_are_one_group() {
        check(&[(11, 21, Content), (21, 31, Content), (11, 31, Content)], &[&[11, 21, 31]]);
    }

    #[test]
    fn a_vague_copy_between_two_facts_joins_neither() {
        check(&[(11, 31, Vague), (21, 31, Vague)], &[]);
        check(&[(11, 31, Vague), (12, 31, Vague), (11, 21, Content)], &[&[11, 21]]);
        check(&[(11, 31, Vague), (21, 31, Vague), (11, 21, Content)], &[&[11, 21, 31]]);
    }

    #[test]
    fn stronger_evidence_decides_between_candidates() {
        check(
            &[(11, 21, Whole), (11, 22, Content), (12, 21, Content), (12, 22, Whole)],
            &[&[11, 21], &[12, 22]],
        );
        check(
            &[(11, 21, Identifier), (11, 22, Whole), (12, 21, Content), (12, 22, Content)],
            &[&[11, 21], &[12, 22]],
        );
    }

    #[test]
    fn twice_told_by_both_without_a_difference_stays_apart() {
        check(&[(11, 21, Content), (11, 22, Content), (12, 21, Content), (12, 22, Content)], &[]);
    }

    #[test]
    fn a_chain_of_stronger_ties_is_followed_to_its_end() {
        check(&[(11, 31, Whole), (21, 31, Whole), (11, 21, Content)], &[&[11, 21, 31]]);
    }

    #[test]
    fn one_member_never_tells_a_fact_twice() {
        check(&[(11, 21, Content), (12, 21, Content)], &[]);
    }
}
