//! Judging a record against a whole person, and two persons against each other.
//!
//! Links do not chain: what decides is the evidence of all pairs of records together, each pair
//! weighed by itself. Having little in common is weak evidence against; being another member of the
//! household is strong.

use super::{grade::MatchGrade, model::Model, population::RecordNo, scoring::Score, veto::Vetoes};

/// One pair counts for no more than this, in bits: no single pair outvotes all others.
const PAIR_BITS_MAX: f32 = 12.0;
/// Nothing in common is no proof of being two people: people move, marry, change their phones.
const SILENCE_BITS: f32 = -1.5;
/// As far as this below a link, two persons that look like kin may still be joined by what a third
/// record tells, in bits: names told short, not two given names.
pub(crate) const KIN_DOUBT_BITS: f32 = 1.0;
/// At most this many records of one person are compared with those of another.
pub(crate) const RECORDS_MAX: usize = 8;

/// What a record has to do with a person.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PersonVerdict {
    /// The weight of the best pair, or of all pairs together where they speak against a link.
    pub bits: f32,
    /// What it means.
    pub grade: MatchGrade,
    /// The person's record that agrees best; `None` where the person has none.
    pub best: Option<RecordNo>,
    /// Some pair is vetoed.
    pub contradicted: bool,
    /// Certain, and by so much that records may be shown to whoever asks by demographics alone: one who is
    /// not there often has a twin, a parent or a namesake who is.
    pub firm: bool,
}

/// Collects the pairs between a record and a person, or between two persons.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence {
    sum: f32,
    pairs: u32,
    best_bits: f32,
    best: Option<u32>,
    contradicted: bool,
}

impl Evidence {
    pub(crate) const NONE: Self =
        Self { sum: 0.0, pairs: 0, best_bits: f32::MIN, best: None, contradicted: false };

    pub(crate) fn add(&mut self, link_bits: f32, score: Score, vetoes: Vetoes, record: u32) {
        let least = if score.kin { -PAIR_BITS_MAX } else { SILENCE_BITS };
        self.sum += (score.bits - link_bits).clamp(least, PAIR_BITS_MAX);
        self.pairs += 1;
        if score.bits > self.best_bits {
            (self.best_bits, self.best) = (score.bits, Some(record));
        }
        self.contradicted |= !vetoes.is_empty();
    }

    /// Notes what forbids a link of the two persons as a whole.
    pub(crate) fn contradict(&mut self, contradicted: bool) {
        self.contradicted |= contradicted;
    }

    /// Whether the pairs together speak for one person.
    pub(crate) fn speaks_for(&self) -> bool {
        self.pairs == 0 || self.sum > 0.0 || self.pairs == 1 && self.sum >= 0.0
    }

    /// Whether the pairs together fall short of a link by no more than `bits`, on the average.
    pub(crate) fn is_within(&self, bits: f32) -> bool {
        self.sum >= -bits * self.pairs as f32
    }

    /// Whether some pair is vetoed.
    pub(crate) fn is_contradicted(&self) -> bool {
        self.contradicted
    }

    pub(crate) fn verdict(&self, model: &Model) -> PersonVerdict {
        if self.pairs == 0 {
            let grade = MatchGrade::CertainlyNot;
            return PersonVerdict {
                bits: f32::MIN,
                grade,
                best: None,
                contradicted: false,
                firm: false,
            };
        }
        let mean = model.link_bits() + self.sum / self.pairs as f32;
        let bits = match (self.pairs, self.speaks_for()) {
            (1, _) => self.best_bits,
            (_, true) => self.best_bits.max(mean),
            // Evidence that balances out speaks for nobody, so it must not reach the threshold.
            (_, false) => self.best_bits.min(mean).min(model.link_bits().next_down()),
        };
        let grade = MatchGrade::of(model, bits, self.contradicted);
        PersonVerdict {
            bits,
            grade,
            firm: grade == MatchGrade::Certain && bits >= model.release_bits(),
            best: self.best.map(RecordNo),
            contradicted: self.contradicted,
        }
    }
}

/// Every `n`th of a person's records, so that at most [`RECORDS_MAX`] are compared.
pub(crate) fn sample<T>(records: &[T]) -> impl Iterator<Item = &T> + Clone {
    records.iter().step_by(records.len().div_ceil(RECORDS_MAX).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(f32, bool)], grade: MatchGrade) {
        let model = Model::default_model();
        let mut evidence = Evidence::NONE;
        for (i, &(bits, kin)) in pairs.iter().enumerate() {
            evidence.add(model.link_bits(), Score { bits, kin }, Vetoes::NONE, i as u32);
        }
        assert_eq!(evidence.verdict(&model).grade, grade, "{pairs:?}");
    }

    #[test]
    fn all_pairs_together_decide() {
        check(&[(5.0, false)], MatchGrade::Certain);
        // Silence weighs little, a member of the household much.
        check(&[(5.0, false), (-30.0, false)], MatchGrade::Certain);
        check(&[(5.0, false), (-30.0, true)], MatchGrade::Possible);
        // However strong, one pair does not outvote two that say "kin".
        check(&[(90.0, false), (-30.0, true), (-30.0, true)], MatchGrade::Possible);
        check(&[(90.0, false), (-9.0, true)], MatchGrade::Certain);
        check(&[(90.0, false), (-90.0, true)], MatchGrade::Probable);
        check(&[], MatchGrade::CertainlyNot);
    }

    #[test]
    fn a_release_takes_more_than_a_link() {
        let model = Model::default_model();
        let firm = |bits| {
            let mut evidence = Evidence::NONE;
            evidence.add(model.link_bits(), Score { bits, kin: false }, Vetoes::NONE, 0);
            let verdict = evidence.verdict(&model);
            assert_eq!(verdict.grade, MatchGrade::Certain);
            verdict.firm
        };
        assert!(!firm(model.link_bits()) && !firm(model.release_bits().next_down()));
        assert!(firm(model.release_bits()));
    }

    #[test]
    fn a_sample_is_bounded_and_begins_with_the_first() {
        let records: Vec<u32> = (0..100).collect();
        let sampled: Vec<u32> = sample(&records).copied().collect();
        assert!(sampled.len() <= RECORDS_MAX && sampled[0] == 0);
        assert_eq!(sample(&records[..3]).count(), 3);
        assert_eq!(sample(&[0; 0]).count(), 0);
    }
}
