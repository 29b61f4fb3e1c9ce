use std::{path::Path, sync::Arc};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    cli::unusable::UnusableInput,
    matching::{
        MatchGrade, Model, PairJudge,
        policy::{Policy, PolicyRecord},
    },
};

use super::{
    Verdicts,
    cases::{parse, patient, read_lines, today},
    tally::{Case, Tally},
};

#[derive(Deserialize)]
struct PairLine<'a> {
    #[serde(borrow)]
    source: &'a RawValue,
    #[serde(borrow)]
    target: &'a RawValue,
    expected_match: bool,
    #[serde(default)]
    category: String,
    #[serde(default)]
    extra: bool,
    #[serde(default)]
    dob_free_only: bool,
}

/// Judges each pair by itself, with the frequencies that the model ships.
pub(super) fn evaluate(pairs: &Path, model: Arc<Model>) -> Result<Verdicts<Tally>, UnusableInput> {
    let (judge, policy, today) = (PairJudge::new(model), Policy::default(), today());
    let judged = read_lines(pairs, |line| {
        let told: PairLine<'_> = parse(line)?;
        let (source, target) = (patient(told.source, "source")?, patient(told.target, "target")?);
        let certain = judge.compare(&source, &target).grade == MatchGrade::Certain;
        let records = (PolicyRecord::new(&source, today), PolicyRecord::new(&target, today));
        let satisfied = policy.judge(&records.0, &records.1).is_satisfied();
        let case = Case {
            category: told.category,
            official: !told.extra && !told.dob_free_only,
            expected: told.expected_match,
        };
        Ok((case, Verdicts::new(certain, satisfied)))
    })?;
    let mut tallies: Verdicts<Tally> = Verdicts::default();
    for (case, decided) in &judged {
        tallies.probabilistic.add(case, decided.probabilistic);
        tallies.policy.add(case, decided.policy);
        tallies.both.add(case, decided.both);
    }
    Ok(tallies)
}
