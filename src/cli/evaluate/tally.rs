use std::collections::BTreeMap;

use serde::Serialize;

/// Rights and wrongs of one way to decide: over all cases, the official ones, and by category.
#[derive(Debug, Default, Serialize)]
pub(super) struct Tally {
    all: Counts,
    official: Counts,
    by_category: BTreeMap<String, Counts>,
}

/// What a case is, beside its two patients.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) category: String,
    /// Neither `extra` nor `dob_free_only`.
    pub(super) official: bool,
    pub(super) expected: bool,
}

/// A confusion matrix.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counts {
    tp: u64,
    fp: u64,
    r#fn: u64,
    tn: u64,
}

impl Tally {
    pub(super) fn add(&mut self, case: &Case, decided: bool) {
        self.all.add(case.expected, decided);
        if case.official {
            self.official.add(case.expected, decided);
        }
        if !self.by_category.contains_key(&case.category) {
            self.by_category.insert(case.category.clone(), Counts::default());
        }
        if let Some(counts) = self.by_category.get_mut(&case.category) {
            counts.add(case.expected, decided);
        }
    }
}

impl Counts {
    fn add(&mut self, expected: bool, decided: bool) {
        match (expected, decided) {
            (true, true) => self.tp += 1,
            (false, true) => self.fp += 1,
            (true, false) => self.r#fn += 1,
            (false, false) => self.tn += 1,
        }
    }
}

#[derive(Serialize)]
struct Figures {
    n: u64,
    tp: u64,
    fp: u64,
    r#fn: u64,
    tn: u64,
    precision: Option<f64>,
    recall: Option<f64>,
    f1: Option<f64>,
    fpr: Option<f64>,
}

impl Serialize for Counts {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { tp, fp, r#fn, tn } = *self;
        Figures {
            n: tp + fp + r#fn + tn,
            tp,
            fp,
            r#fn,
            tn,
            precision: share(tp, tp + fp),
            recall: share(tp, tp + r#fn),
            f1: share(2 * tp, 2 * tp + fp + r#fn),
            fpr: share(fp, fp + tn),
        }
        .serialize(serializer)
    }
}

/// `None` where there is nothing to take a share of.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_and_wrongs_are_counted_once_in_each_place() {
        let mut tally = Tally::default();
        let case = |category: &str, official, expected| Case {
            category: category.to_owned(),
            official,
            expected,
        };
        tally.add(&case("twin", false, false), true);
        tally.add(&case("typo", true, true), true);
        tally.add(&case("typo", true, true), false);
        tally.add(&case("typo", true, false), false);
        assert_eq!(tally.all, Counts { tp: 1, fp: 1, r#fn: 1, tn: 1 });
        assert_eq!(tally.official, Counts { tp: 1, fp: 0, r#fn: 1, tn: 1 });
        assert_eq!(tally.by_category["twin"], Counts { fp: 1, ..Counts::default() });
    }

    #[test]
    fn the_keys_are_those_that_operators_rely_on() {
        let json = serde_json::to_value(Counts { tp: 3, fp: 1, r#fn: 2, tn: 4 }).expect("numbers");
        let expected = serde_json::json!({
            "n": 10, "tp": 3, "fp": 1, "fn": 2, "tn": 4,
            "precision": 0.75, "recall": 0.6, "f1": 6.0 / 9.0, "fpr": 0.2,
        });
        assert_eq!(json, expected);
        let nothing = serde_json::to_value(Counts::default()).expect("numbers");
        assert!(nothing["precision"].is_null() && nothing["fpr"].is_null());
    }
}
