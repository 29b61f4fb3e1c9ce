//! A population in memory: records that can be found, compared and judged one at a time.

use std::sync::Arc;

use super::{
    blocking::{CORE_RULES, Keys, Postings, keys_of, refinement},
    columns::{Columns, Local, Row, Side, View},
    comparison::{Comparison, birth_date, compare},
    counts::{Counts, SHARED_FIELDS, holder_traits, holds, shared_values},
    explain::{Explanation, explain},
    grade::{MatchGrade, Odds, PairVerdict},
    kept::{Kept, Sink, Source},
    model::Model,
    normalize::{BirthDate, NormalizedRecord},
    person::{Evidence, KIN_DOUBT_BITS, PersonVerdict, sample},
    scoring::{MatchWeight, Score, Scorer},
    term_frequency::TermWeights,
};
use crate::domain::Demographics;

/// A block larger than this is not taken whole: only its records that agree on a second key too.
const BLOCK_MAX: usize = 256;
/// Records of one block looked at for that second key.
const SCAN_MAX: usize = 8_192;
/// Candidates of one probe; the most telling rules come first.
const CANDIDATES_MAX: usize = 2_000;
/// Frequencies are derived anew when the population has grown by this share, and this many records.
const DERIVE_GROWTH: (f64, f64) = (0.1, 64.0);
/// Other holders of a shared value that are looked at to tell people from records.
const HOLDERS_SCAN_MAX: usize = 64;

/// One record of a [`Population`], by the order of its arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordNo(pub u32);

/// Normalized records with what is needed to find, compare and judge them.
pub struct Population {
    pub(crate) model: Arc<Model>,
    pub(crate) columns: Columns,
    pub(crate) counts: Counts,
    pub(crate) terms: TermWeights,
    pub(crate) scorer: Scorer,
    postings: Postings,
    derived_at: f64,
}

/// A record to ask with: normalized, but not part of the population.
pub struct Probe {
    pub(crate) row: Row,
    pub(crate) local: Local,
    keys: Keys,
}

impl Population {
    /// An empty population, judged by `model` and its shipped frequencies.
    pub fn new(model: Arc<Model>) -> Self {
        let columns = model.vocabulary.columns.clone();
        let counts = Counts::default();
        let terms = TermWeights::derive(&counts, &model.shipped(Model::shipped_weight()));
        let scorer = Scorer::new(&model, 0.0, &terms.collisions);
        let postings = Postings::default();
        Self { model, columns, counts, terms, scorer, postings, derived_at: 0.0 }
    }

    /// The model that judges.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// How many records were inserted and not removed.
    pub fn len(&self) -> usize {
        self.counts.records as usize
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.counts.records == 0
    }

    /// Adds a record.
    pub fn insert(&mut self, told: &Demographics) -> RecordNo {
        self.insert_normalized(&NormalizedRecord::from_demographics(told))
    }

    /// Adds a record that is normalized already: normalizing needs no lock, this does.
    pub fn insert_normalized(&mut self, record: &NormalizedRecord) -> RecordNo {
        let number = self.columns.push(record);
        self.enter(number);
        RecordNo(number)
    }

    /// Puts other demographics in the place of a record's.
    pub fn replace(&mut self, no: RecordNo, told: &Demographics) {
        let record = NormalizedRecord::from_demographics(told);
        self.leave(no.0);
        self.columns.replace(no.0, &record);
        self.enter(no.0);
    }

    /// Takes a record out. Its number is not given again.
    pub fn remove(&mut self, no: RecordNo) {
        self.leave(no.0);
        self.columns.forget(no.0);
    }

    fn enter(&mut self, number: u32) {
        self.count_holders(number, true);
        for &key in self.keys(number).as_slice() {
            self.postings.add(key, number);
        }
        self.counts.add(self.columns.side(number));
        let records = self.counts.records as f64;
        if records > self.derived_at * (1.0 + DERIVE_GROWTH.0) + DERIVE_GROWTH.1 {
            self.derive();
        }
    }

    fn leave(&mut self, number: u32) {
        for &key in self.keys(number).as_slice() {
            self.postings.remove(key, number);
        }
        self.count_holders(number, false);
        self.counts.subtract(self.columns.side(number));
    }

    fn keys(&self, number: u32) -> Keys {
        let mut keys = Keys::default();
        keys_of(self.columns.view(), self.columns.side(number), CORE_RULES, &mut keys);
        keys
    }

    /// Counts the record as a holder of its shared values unless somebody like it is one already. The
    /// record itself must not be among the postings.
    fn count_holders(&mut self, number: u32, up: bool) {
        let view = self.columns.view();
        let side = self.columns.side(number);
        let keys = self.keys(number);
        let mut changes = Vec::new();
        for (field, kind) in SHARED_FIELDS.into_iter().enumerate() {
            let who = holder_traits(view, side, kind);
            for id in shared_values(side, kind) {
                let mut known = [false; 2];
                for &key in keys.as_slice() {
                    for &other in self.postings.records(key).iter().rev().take(HOLDERS_SCAN_MAX) {
                        let other = self.columns.side(other);
                        if known != [true; 2] && holds(other, kind, id) {
                            let theirs = holder_traits(view, other, kind);
                            known = [0, 1].map(|way| known[way] || theirs[way] == who[way]);
                        }
                    }
                }
                changes.push((field, id, known));
            }
        }
        for (field, id, known) in changes {
            for way in [0, 1].into_iter().filter(|way| !known[*way]) {
                self.counts.change_holders(field, id, way, up);
            }
            let held = self.counts.holders[field].get(id as usize);
            let people = held.map_or(0, |holders| holders.people());
            self.terms.set_holders(field, id, people);
        }
    }

    /// Derives frequencies and scores from what was counted so far.
    pub(crate) fn derive(&mut self) {
        self.derive_with(Model::shipped_weight());
        self.derived_at = self.counts.records as f64;
    }

    /// Makes a population that was filled at once findable.
    pub(crate) fn indexed(mut self) -> Self {
        for number in 0..self.columns.len() as u32 {
            for &key in self.keys(number).as_slice() {
                self.postings.add(key, number);
            }
        }
        self.derived_at = self.counts.records as f64;
        self
    }

    /// Everything but the model, as bytes.
    pub(crate) fn keep(&self, out: &mut Sink<'_>) {
        let Self { model: _, columns, counts, terms, scorer: _, postings, derived_at } = self;
        columns.keep(out);
        counts.keep(out);
        terms.keep(out);
        postings.keep(out);
        derived_at.keep(out);
    }

    /// The population that was kept, judged by the model that it was judged by.
    pub(crate) fn read(model: Arc<Model>, from: &mut Source<'_>) -> Option<Self> {
        let columns = Columns::read(from)?;
        let counts = Counts::read(from)?;
        let terms = TermWeights::read(from)?;
        let postings = Postings::read(from)?;
        let derived_at = f64::read(from)?;
        let scorer = Scorer::new(&model, derived_at, &terms.collisions);
        Some(Self { model, columns, counts, terms, scorer, postings, derived_at })
    }

    /// Normalizes a record to ask with.
    pub fn probe(&self, told: &Demographics) -> Probe {
        self.probe_normalized(&NormalizedRecord::from_demographics(told))
    }

    /// As [`Population::probe`], of a record that is normalized already.
    pub fn probe_normalized(&self, record: &NormalizedRecord) -> Probe {
        let mut local = Local::default();
        let row = self.columns.probe(record, &mut local);
        let view = View::with_local(&self.columns, &local);
        let mut keys = Keys::default();
        keys_of(view, view.side(&row), CORE_RULES, &mut keys);
        Probe { row, local, keys }
    }

    /// A record of the population to ask with; it finds itself, too.
    pub fn probe_of(&self, no: RecordNo) -> Probe {
        let row = self.columns.rows()[no.0 as usize];
        Probe { row, local: Local::default(), keys: self.keys(no.0) }
    }

    /// The records worth comparing, in order of arrival; bounded, never the whole population.
    pub fn candidates(&self, probe: &Probe) -> Vec<RecordNo> {
        let view = View::with_local(&self.columns, &probe.local);
        let mut found: Vec<u32> = Vec::new();
        for &key in probe.keys.as_slice() {
            let records = self.postings.records(key);
            if records.len() <= BLOCK_MAX {
                found.extend_from_slice(records);
            } else {
                let wanted = refinement(view, &probe.row, key.rule());
                let agrees = |record: &&u32| {
                    wanted != 0
                        && refinement(view, &self.columns.rows()[**record as usize], key.rule())
                            == wanted
                };
                found.extend(records.iter().rev().take(SCAN_MAX).filter(agrees).take(BLOCK_MAX));
            }
            if found.len() >= CANDIDATES_MAX {
                found.sort_unstable();
                found.dedup();
                if found.len() >= CANDIDATES_MAX {
                    break;
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found.into_iter().map(RecordNo).collect()
    }

    /// Compares a probe with one record.
    pub fn compare(&self, probe: &Probe, no: RecordNo) -> PairVerdict {
        let (comparison, score) = self.judge_probe(probe, no);
        verdict(&self.model, &comparison, score)
    }

    /// Compares two records of the population.
    pub fn compare_records(&self, a: RecordNo, b: RecordNo) -> PairVerdict {
        let (comparison, score) = self.judge_pair(a.0, b.0);
        verdict(&self.model, &comparison, score)
    }

    /// Judges a probe against all records of one person.
    pub fn judge_person(&self, probe: &Probe, records: &[RecordNo]) -> PersonVerdict {
        let mut evidence = Evidence::NONE;
        for &no in sample(records) {
            let (comparison, score) = self.judge_probe(probe, no);
            evidence.add(self.model.link_bits(), score, comparison.vetoes, no.0);
        }
        evidence.verdict(&self.model)
    }

    /// Judges two persons against each other, all records of one against all of the other.
    pub fn judge_persons(&self, left: &[RecordNo], right: &[RecordNo]) -> PersonVerdict {
        let mut evidence = Evidence::NONE;
        for &a in sample(left) {
            for &b in sample(right) {
                let (comparison, score) = self.judge_pair(a.0, b.0);
                evidence.add(self.model.link_bits(), score, comparison.vetoes, b.0);
            }
        }
        evidence.contradict(self.birth_dates_conflict(&numbers(left), &numbers(right)));
        evidence.verdict(&self.model)
    }

    /// Whether two persons are each told of by two records or more with one birth date, and no slip makes the
    /// one of the other: what is told wrong stands in one record, not in all of a person's.
    pub(crate) fn birth_dates_conflict(&self, left: &[u32], right: &[u32]) -> bool {
        match (self.steady_birth_date(left), self.steady_birth_date(right)) {
            (Some(a), Some(b)) => birth_date::differ_by_no_slip(&self.terms, a, b),
            _ => false,
        }
    }

    /// The birth date that two records or more of a person tell, and no record otherwise.
    fn steady_birth_date(&self, records: &[u32]) -> Option<BirthDate> {
        let dates = records.iter().map(|no| self.columns.rows()[*no as usize].birth_date);
        let mut dates = dates.filter(|date| date.is_full());
        let (first, second) = (dates.next()?, dates.next()?);
        (first == second && dates.all(|date| date == first)).then_some(first)
    }

    /// Judges whether two persons are one, where the probe agrees with both: all records of one
    /// against all of the other, none left out, and the probe beside either. The weaker verdict
    /// counts, so that it does not matter whom the probe would have joined first. What their own
    /// records say against it, such as being twins, no probe outweighs. Takes
    /// `left.len() * right.len()` comparisons; the caller bounds them.
    pub fn judge_join(
        &self,
        probe: &Probe,
        left: &[RecordNo],
        right: &[RecordNo],
    ) -> PersonVerdict {
        let link_bits = self.model.link_bits();
        let (mut between, mut kin) = (Evidence::NONE, Evidence::NONE);
        for evidence in [&mut between, &mut kin] {
            evidence.contradict(self.birth_dates_conflict(&numbers(left), &numbers(right)));
        }
        for &a in left {
            for &b in right {
                let (comparison, score) = self.judge_pair(a.0, b.0);
                if score.kin {
                    kin.add(link_bits, score, comparison.vetoes, b.0);
                }
                between.add(link_bits, score, comparison.vetoes, b.0);
            }
        }
        if !kin.is_within(KIN_DOUBT_BITS) {
            return kin.verdict(&self.model);
        }
        let with_probe_against = |side: &[RecordNo]| {
            let mut evidence = between;
            for &no in side {
                let (comparison, score) = self.judge_probe(probe, no);
                evidence.add(link_bits, score, comparison.vetoes, no.0);
            }
            evidence.verdict(&self.model)
        };
        let (first, second) = (with_probe_against(right), with_probe_against(left));
        let weaker = if first.bits <= second.bits { first } else { second };
        let contradicted = first.contradicted || second.contradicted;
        let grade = MatchGrade::of(&self.model, weaker.bits, contradicted);
        let firm = weaker.firm && grade == MatchGrade::Certain;
        PersonVerdict { grade, contradicted, firm, ..weaker }
    }

    /// Tells, attribute by attribute, how the verdict on a pair came about.
    pub fn explain(&self, probe: &Probe, no: RecordNo) -> Explanation {
        let view = View::with_local(&self.columns, &probe.local);
        let sides = (view.side(&probe.row), self.columns.side(no.0));
        explain(view, &self.model, &self.scorer, &self.terms, sides)
    }

    /// Judges a record with each of its candidates and gives those that reach `least` bits.
    pub(crate) fn judge_candidates(
        &self,
        record: u32,
        candidates: &[u32],
        least: f32,
    ) -> impl Iterator<Item = (u32, Comparison, Score)> {
        let view = self.columns.view();
        let side = self.columns.side(record);
        // Read all at once, since each may have to come from far.
        let rows: Vec<Row> =
            candidates.iter().map(|&other| self.columns.rows()[other as usize]).collect();
        candidates.iter().zip(rows).filter_map(move |(&other, row)| {
            let comparison = compare(view, &self.terms, side, view.side(&row));
            let score = self.scorer.score_from(&comparison, least)?;
            Some((other, comparison, score))
        })
    }

    pub(crate) fn judge_pair(&self, a: u32, b: u32) -> (Comparison, Score) {
        let (a, b) = (self.columns.side(a), self.columns.side(b));
        self.judge(self.columns.view(), a, b)
    }

    fn judge_probe(&self, probe: &Probe, no: RecordNo) -> (Comparison, Score) {
        let view = View::with_local(&self.columns, &probe.local);
        self.judge(view, view.side(&probe.row), self.columns.side(no.0))
    }

    #[inline]
    fn judge(&self, view: View<'_>, a: Side<'_>, b: Side<'_>) -> (Comparison, Score) {
        let comparison = compare(view, &self.terms, a, b);
        let score = self.scorer.score(&comparison);
        (comparison, score)
    }
}

fn numbers(records: &[RecordNo]) -> Vec<u32> {
    records.iter().map(|no| no.0).collect()
}

fn verdict(model: &Model, comparison: &Comparison, score: Score) -> PairVerdict {
    PairVerdict {
        bits: MatchWeight(score.bits),
        grade: MatchGrade::of(model, score.bits, !comparison.vetoes.is_empty()),
        vetoes: comparison.vetoes,
        kin: score.kin,
    }
}

/// Compares pairs that belong to no population, with the frequencies that the model ships.
pub struct PairJudge {
    population: Population,
}

impl PairJudge {
    /// Prepares the model once for many pairs.
    pub fn new(model: Arc<Model>) -> Self {
        Self { population: Population::new(model) }
    }

    /// Judges one pair.
    pub fn compare(&self, a: &Demographics, b: &Demographics) -> PairVerdict {
        let mut local = Local::default();
        let (left, right) = self.rows(&mut local, a, b);
        let view = View::with_local(&self.population.columns, &local);
        let (comparison, score) = self.population.judge(view, view.side(&left), view.side(&right));
        verdict(&self.population.model, &comparison, score)
    }

    /// How one person compares with two people as an explanation of one pair.
    pub fn odds(&self, a: &Demographics, b: &Demographics) -> Odds {
        let mut local = Local::default();
        let (left, right) = self.rows(&mut local, a, b);
        let view = View::with_local(&self.population.columns, &local);
        let (comparison, _) = self.population.judge(view, view.side(&left), view.side(&right));
        self.population.scorer.odds(&comparison)
    }

    /// Explains one pair.
    pub fn explain(&self, a: &Demographics, b: &Demographics) -> Explanation {
        let mut local = Local::default();
        let (left, right) = self.rows(&mut local, a, b);
        let view = View::with_local(&self.population.columns, &local);
        let sides = (view.side(&left), view.side(&right));
        let Population { model, scorer, terms, .. } = &self.population;
        explain(view, model, scorer, terms, sides)
    }

    fn rows(&self, local: &mut Local, a: &Demographics, b: &Demographics) -> (Row, Row) {
        let columns = &self.population.columns;
        let left = columns.probe(&NormalizedRecord::from_demographics(a), local);
        let right = columns.probe(&NormalizedRecord::from_demographics(b), local);
        (left, right)
    }
}

/// Compares two patients with the model's shipped frequencies. For many pairs keep a [`PairJudge`].
pub fn compare_demographics(model: &Model, a: &Demographics, b: &Demographics) -> PairVerdict {
    PairJudge::new(Arc::new(model.clone())).compare(a, b)
}
