//! What `link` tells of a run: counts and seconds, and against a truth its mistakes.

use hashbrown::HashMap;
use serde::Serialize;

use crate::matching::bulk::{Batch, Edge, Mistake};

/// The report of a run.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) records: usize,
    pub(super) pairs_compared: u64,
    pub(super) pairs_per_second: f64,
    pub(super) peak_rss_bytes: u64,
    pub(super) seconds: Seconds,
    pub(super) blocking_recall_estimate: f64,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(super) against_truth: Option<AgainstTruth>,
}

/// Wall time of each stage.
#[derive(Default, Serialize)]
pub(super) struct Seconds {
    pub(super) read: f64,
    pub(super) train: f64,
    pub(super) block: f64,
    pub(super) compare: f64,
    pub(super) cluster: f64,
    pub(super) total: f64,
}

/// How right a run was.
#[derive(Serialize)]
pub(super) struct AgainstTruth {
    pub(super) blocking_recall: f64,
    pub(super) pairwise: Points,
    pub(super) clustered: Points,
    pub(super) review: Review,
}

/// At the model's threshold, and at the best there is.
#[derive(Serialize)]
pub(super) struct Points {
    pub(super) default: Point,
    pub(super) best: Point,
}

/// One threshold's mistakes.
#[derive(Clone, Default, Serialize)]
pub(super) struct Point {
    pub(super) precision: f64,
    pub(super) recall: f64,
    pub f1: f64,
    /// In bits.
    pub(super) threshold: f32,
    pub(super) false_merges: FalseMerges,
}

/// False pairs by kind.
#[derive(Clone, Default, Serialize)]
pub(super) struct FalseMerges {
    pub(super) twin: u64,
    pub(super) household: u64,
    pub(super) junior_senior: u64,
    pub(super) other: u64,
}

/// The band for people to look at.
#[derive(Serialize)]
pub(super) struct Review {
    pub(super) tasks: u64,
    pub(super) precision: f64,
}

impl FalseMerges {
    fn add(&mut self, mistake: Mistake) {
        *match mistake {
            Mistake::Twin => &mut self.twin,
            Mistake::Household => &mut self.household,
            Mistake::JuniorSenior => &mut self.junior_senior,
            Mistake::Other => &mut self.other,
        } += 1;
    }
}

/// Thresholds tried for the best clustering, in bits from the default.
const STEPS: [f32; 8] = [-4.0, -2.0, -1.0, 1.0, 2.0, 4.0, 7.0, 10.0];

/// A run with the truth it is held against.
pub(super) struct Truth<'a> {
    /// The batch that was linked.
    pub(super) batch: &'a Batch,
    /// The true person of each record, 0 where unknown.
    pub(super) persons: &'a [u32],
    /// The sources, where links go across sources only.
    pub(super) sources: &'a [u16],
}

impl Truth<'_> {
    /// Holds a run against the truth.
    pub(super) fn judge(&self, edges: &[Edge], clusters: &[u32], link_bits: f32) -> AgainstTruth {
        let true_pairs = self.true_pairs();
        let found = true_pairs.iter().filter(|(a, b)| self.batch.are_candidates(*a, *b)).count();
        let total = true_pairs.len() as f64;
        let clustered = self.clustered(clusters, total, link_bits);
        let mut best = clustered.clone();
        for step in STEPS {
            let threshold = link_bits + step;
            let labels = self.batch.cluster(edges, threshold);
            let point = self.clustered(&labels, total, threshold);
            if point.f1 > best.f1 {
                best = point;
            }
        }
        AgainstTruth {
            blocking_recall: ratio(found as f64, total),
            pairwise: self.pairwise(edges, total, link_bits),
            clustered: Points { default: clustered, best },
            review: self.review(edges, clusters),
        }
    }

    fn is_true(&self, a: u32, b: u32) -> bool {
        let (a, b) = (self.persons[a as usize], self.persons[b as usize]);
        a == b && a != 0
    }

    fn may_link(&self, a: u32, b: u32) -> bool {
        self.sources.is_empty() || self.sources[a as usize] != self.sources[b as usize]
    }

    fn true_pairs(&self) -> Vec<(u32, u32)> {
        pairs_within(self.persons)
            .filter(|(a, b)| self.is_true(*a, *b) && self.may_link(*a, *b))
            .collect()
    }

    fn pairwise(&self, edges: &[Edge], total: f64, link_bits: f32) -> Points {
        let mut right = 0.0;
        let mut linked = 0.0;
        let mut default = point(0.0, 0.0, total, link_bits);
        let mut best = default.clone();
        let allowed: Vec<&Edge> = edges.iter().filter(|edge| !edge.vetoed).collect();
        for (i, edge) in allowed.iter().enumerate() {
            linked += 1.0;
            right += f64::from(u8::from(self.is_true(edge.left, edge.right)));
            let last = allowed.get(i + 1).is_none_or(|next| next.bits < edge.bits);
            if last {
                let point = point(right, linked, total, edge.bits);
                if point.f1 > best.f1 {
                    best = point.clone();
                }
                if edge.bits >= link_bits {
                    default = Point { threshold: link_bits, ..point };
                }
            }
        }
        for point in [&mut default, &mut best] {
            let threshold = point.threshold;
            let wrong = allowed
                .iter()
                .filter(|edge| edge.bits >= threshold && !self.is_true(edge.left, edge.right));
            for edge in wrong {
                point.false_merges.add(self.batch.mistake(edge.left, edge.right));
            }
        }
        Points { default, best }
    }

    fn clustered(&self, clusters: &[u32], total: f64, threshold: f32) -> Point {
        let (mut right, mut linked) = (0.0, 0.0);
        let mut false_merges = FalseMerges::default();
        for (a, b) in pairs_within(clusters).filter(|(a, b)| self.may_link(*a, *b)) {
            linked += 1.0;
            if self.is_true(a, b) {
                right += 1.0;
            } else {
                false_merges.add(self.batch.mistake(a, b));
            }
        }
        Point { false_merges, ..point(right, linked, total, threshold) }
    }

    fn review(&self, edges: &[Edge], clusters: &[u32]) -> Review {
        let open = edges
            .iter()
            .filter(|edge| clusters[edge.left as usize] != clusters[edge.right as usize]);
        let (mut tasks, mut right) = (0, 0);
        for edge in open {
            tasks += 1;
            right += u64::from(self.is_true(edge.left, edge.right));
        }
        Review { tasks, precision: ratio(right as f64, tasks as f64) }
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 1.0 } else { part / whole }
}

fn point(right: f64, linked: f64, total: f64, threshold: f32) -> Point {
    Point {
        precision: ratio(right, linked),
        recall: ratio(right, total),
        f1: ratio(2.0 * right, linked + total),
        threshold,
        false_merges: FalseMerges::default(),
    }
}

/// All pairs of records with one label.
fn pairs_within(labels: &[u32]) -> impl Iterator<Item = (u32, u32)> {
    let mut groups: HashMap<u32, Vec<u32>> = HashMap::new();
    for (record, label) in (0..).zip(labels) {
        groups.entry(*label).or_default().push(record);
    }
    groups.into_values().flat_map(|group| {
        let pairs =
            |(i, &a): (usize, &u32)| group[i + 1..].iter().map(|&b| (a, b)).collect::<Vec<_>>();
        group.iter().enumerate().flat_map(pairs).collect::<Vec<_>>()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_follow_their_definitions() {
        let point = point(8.0, 10.0, 16.0, 0.0);
        assert!((point.precision - 0.8).abs() < 1e-9 && (point.recall - 0.5).abs() < 1e-9);
        assert!((point.f1 - 16.0 / 26.0).abs() < 1e-9);
        let mut pairs: Vec<_> = pairs_within(&[7, 8, 7, 7]).collect();
        pairs.sort_unstable();
        assert_eq!(pairs, [(0, 2), (0, 3), (2, 3)]);
    }
}
