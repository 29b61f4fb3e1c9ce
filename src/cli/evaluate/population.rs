use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    cli::link::training_options,
    domain::PartialDate,
    matching::{
        MatchGrade, Model, NormalizedRecord, Population, RecordNo,
        bulk::Batch,
        policy::{Determination, Policy, PolicyRecord},
    },
};

use super::{
    Verdicts,
    cases::{parse, patient, read_lines, today},
    tally::{Case, Tally},
};

/// The category of a candidate about which the file says nothing.
const UNTOLD: &str = "none";

#[derive(Deserialize)]
struct CandidateLine<'a> {
    id: String,
    #[serde(borrow)]
    patient: &'a RawValue,
}

#[derive(Deserialize)]
struct QueryLine<'a> {
    #[serde(borrow)]
    query: &'a RawValue,
    candidate_ids: Vec<String>,
    #[serde(default)]
    expected_match_ids: HashSet<String>,
    #[serde(default)]
    candidate_meta: HashMap<String, (String, bool, bool)>,
    #[serde(default)]
    extra: bool,
}

/// What one way to decide got right: record by record, and what it would have released.
#[derive(Debug, Default, Serialize)]
pub(super) struct Figures {
    #[serde(flatten)]
    tally: Tally,
    /// The same cases decided by person: a candidate counts as found where the person is that it was linked to.
    clustered: Tally,
    release: Release,
    /// Wrong releases for queries whose person is not in the pool.
    absent_wrong: u64,
}

/// What would be released: exactly one person that matches, all of whose records are then shown.
#[derive(Debug, Default, Serialize)]
struct Release {
    /// The person asked for, and nobody else's record.
    right: u64,
    /// Two or more persons match: nothing is released.
    withheld: u64,
    /// The person is there, and nobody matches.
    missed: u64,
    /// A record of somebody else.
    wrong: u64,
    /// The person is not there, and nobody matches.
    right_no_match: u64,
}

/// All candidates, linked into persons in bulk.
struct Pool {
    population: Population,
    /// By record, the first record of its person.
    persons: Vec<u32>,
    by_id: HashMap<String, RecordNo>,
    policy_records: Vec<PolicyRecord>,
    policy: Policy,
    today: PartialDate,
}

/// One candidate of a query, judged by itself and with its person.
struct Judged {
    case: Case,
    decided: Verdicts<bool>,
    clustered: Verdicts<bool>,
}

/// A query, judged.
struct Answer {
    candidates: Vec<Judged>,
    released: Verdicts<Outcome>,
}

#[derive(Clone, Copy)]
enum Outcome {
    Right,
    Withheld,
    Missed,
    Wrong { absent: bool },
    RightNoMatch,
}

/// Judges each query against each of its candidates, and what would be released of the persons among them.
pub(super) fn evaluate(
    queries: &Path,
    candidates: &Path,
    model: Arc<Model>,
    train: bool,
) -> anyhow::Result<Verdicts<Figures>> {
    let pool = Pool::load(candidates, model, train)?;
    let answers = read_lines(queries, |line| pool.answer(&parse(line)?))?;
    let mut figures: Verdicts<Figures> = Verdicts::default();
    for answer in answers {
        for Judged { case, decided, clustered } in &answer.candidates {
            figures.probabilistic.add(case, decided.probabilistic, clustered.probabilistic);
            figures.policy.add(case, decided.policy, clustered.policy);
            figures.both.add(case, decided.both, clustered.both);
        }
        figures.probabilistic.release(answer.released.probabilistic);
        figures.policy.release(answer.released.policy);
        figures.both.release(answer.released.both);
    }
    Ok(figures)
}

impl Figures {
    fn add(&mut self, case: &Case, decided: bool, clustered: bool) {
        self.tally.add(case, decided);
        self.clustered.add(case, clustered);
    }

    fn release(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Right => self.release.right += 1,
            Outcome::Withheld => self.release.withheld += 1,
            Outcome::Missed => self.release.missed += 1,
            Outcome::RightNoMatch => self.release.right_no_match += 1,
            Outcome::Wrong { absent } => {
                self.release.wrong += 1;
                self.absent_wrong += u64::from(absent);
            }
        }
    }
}

impl Pool {
    fn load(path: &Path, model: Arc<Model>, train: bool) -> anyhow::Result<Self> {
        let today = today();
        let read = read_lines(path, |line| {
            let told: CandidateLine<'_> = parse(line)?;
            let told = (told.id, patient(told.patient, "patient")?);
            let normalized = NormalizedRecord::from_demographics(&told.1);
            Ok((told.0, normalized, PolicyRecord::new(&told.1, today)))
        })?;
        let mut batch = Batch::new(model);
        let (mut by_id, mut policy_records) = (HashMap::new(), Vec::with_capacity(read.len()));
        for (number, (id, normalized, policy_record)) in (0..).zip(read) {
            batch.extend(&[normalized]);
            by_id.insert(id, RecordNo(number));
            policy_records.push(policy_record);
        }
        batch.block();
        if train {
            batch.train(&training_options(&[path.to_owned()], None)?);
        }
        let edges = batch.compare().edges;
        let persons = batch.cluster(&edges, batch.model().link_bits());
        let population = batch.into_population();
        Ok(Self { population, persons, by_id, policy_records, policy: Policy::default(), today })
    }

    fn answer(&self, query: &QueryLine<'_>) -> Result<Answer, String> {
        let told = patient(query.query, "query")?;
        let probe = self.population.probe(&told);
        let asked = PolicyRecord::new(&told, self.today);
        let mut cases = Vec::with_capacity(query.candidate_ids.len());
        let mut subjects: BTreeMap<u32, Subject> = BTreeMap::new();
        for id in &query.candidate_ids {
            let Some(&no) = self.by_id.get(id) else {
                return Err("names a candidate that the file of candidates does not hold".into());
            };
            let case = query.case(id);
            let person = self.persons[no.0 as usize];
            let subject = subjects.entry(person).or_default();
            subject.records.push(no);
            subject.stranger |= !case.expected;
            let certain = self.population.compare(&probe, no).grade == MatchGrade::Certain;
            let satisfied = self.policy.judge(&asked, self.policy_record(no)).is_satisfied();
            cases.push((person, case, Verdicts::new(certain, satisfied)));
        }
        let judged: BTreeMap<u32, JudgedPerson> = subjects
            .iter()
            .map(|(&person, subject)| {
                let verdict = self.population.judge_person(&probe, &subject.records);
                let records = subject.records.iter().map(|no| self.policy_record(*no));
                let satisfied = self.policy.accepts_person(&asked, records);
                let certain = verdict.grade == MatchGrade::Certain;
                let judged = JudgedPerson {
                    decided: Verdicts::new(certain, satisfied),
                    firm: verdict.firm,
                    stranger: subject.stranger,
                };
                (person, judged)
            })
            .collect();
        let outcome = |matches: fn(&JudgedPerson) -> bool, shown: fn(&JudgedPerson) -> bool| {
            let found = judged.values().filter(|person| matches(person));
            let found = found.map(|person| (shown(person), person.stranger));
            outcome_of(found, query.expected_match_ids.is_empty())
        };
        let released = Verdicts {
            probabilistic: outcome(|person| person.decided.probabilistic, |person| person.firm),
            policy: outcome(|person| person.decided.policy, |_| true),
            both: outcome(|person| person.decided.both, |person| person.firm),
        };
        let candidates = cases
            .into_iter()
            .map(|(person, case, decided)| Judged {
                case,
                decided,
                clustered: judged[&person].decided,
            })
            .collect();
        Ok(Answer { candidates, released })
    }

    fn policy_record(&self, no: RecordNo) -> &PolicyRecord {
        &self.policy_records[no.0 as usize]
    }
}

/// A person among a query's candidates.
#[derive(Default)]
struct Subject {
    records: Vec<RecordNo>,
    /// Whether some record is somebody else's than the person asked for.
    stranger: bool,
}

/// A person among a query's candidates, judged.
struct JudgedPerson {
    decided: Verdicts<bool>,
    /// Whether the weight suffices for a release, not for a link only.
    firm: bool,
    stranger: bool,
}

/// `found`: for each person that matches, whether that suffices for a release, and whether it holds
/// somebody else's record.
fn outcome_of(mut found: impl Iterator<Item = (bool, bool)> + Clone, absent: bool) -> Outcome {
    match (Determination::of(found.clone().count()), found.next()) {
        (Determination::Release, Some((true, false))) => Outcome::Right,
        (Determination::Release, Some((true, true))) => Outcome::Wrong { absent },
        (Determination::NoMatch, _) if absent => Outcome::RightNoMatch,
        (Determination::NoMatch, _) => Outcome::Missed,
        (Determination::Release | Determination::Escalate | Determination::Decline, _) => {
            Outcome::Withheld
        }
    }
}

impl QueryLine<'_> {
    fn case(&self, id: &str) -> Case {
        let (category, extra, dob_free_only) = match self.candidate_meta.get(id) {
            Some((category, extra, dob_free_only)) => (category.as_str(), *extra, *dob_free_only),
            None => (UNTOLD, false, false),
        };
        Case {
            category: category.to_owned(),
            official: !extra && !dob_free_only && !self.extra,
            expected: self.expected_match_ids.contains(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn patient_json(given: &str, birth: &str, phone: &str) -> String {
        format!(
            r#"{{"resourceType":"Patient","name":[{{"family":"Lindqvist","given":["{given}"]}}],"gender":"female",
            "birthDate":"{birth}","telecom":[{{"system":"phone","value":"{phone}"}}],
            "address":[{{"line":["217 Forest St"],"city":"Saint Paul","state":"MN","postalCode":"55101"}}]}}"#
        )
        .replace('\n', "")
    }

    fn candidate(id: &str, patient: &str) -> String {
        format!("{{\"id\":\"{id}\",\"patient\":{patient}}}\n")
    }

    fn query(patient: &str, candidates: &str, expected: &str) -> String {
        format!(
            "{{\"query\":{patient},\"candidate_ids\":[{candidates}],\"expected_match_ids\":[{expected}],\
             \"candidate_meta\":{{\"a1\":[\"typo\",false,false],\"c\":[\"sister\",true,false]}}}}\n"
        )
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("room for a few lines");
        file
    }

    fn evaluated(queries: &str) -> Result<serde_json::Value, String> {
        let astrid = patient_json("Astrid", "1984-03-01", "651-234-4719");
        let sister = patient_json("Ottilie", "1991-07-19", "651-867-5309");
        let candidates =
            [candidate("a1", &astrid), candidate("a2", &astrid), candidate("c", &sister)].concat();
        let (queries, candidates) = (file(queries), file(&candidates));
        let model = Arc::new(Model::default_model());
        evaluate(queries.path(), candidates.path(), model, false)
            .map(|figures| serde_json::to_value(figures).expect("numbers and words"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn two_records_of_one_person_are_one_answer() {
        let astrid = patient_json("Astrid", "1984-03-01", "651-234-4719");
        let figures =
            evaluated(&query(&astrid, r#""a1","a2","c""#, r#""a1","a2""#)).expect("well formed");
        for verdict in ["probabilistic", "policy", "both"] {
            let figures = &figures[verdict];
            assert_eq!(figures["release"]["right"], 1, "{verdict}");
            assert_eq!((&figures["all"]["tp"], &figures["all"]["tn"]), (&2.into(), &1.into()));
            assert_eq!(figures["official"]["n"], 2, "{verdict}");
            assert_eq!(figures["by_category"]["sister"]["tn"], 1, "{verdict}");
            assert_eq!(figures["by_category"]["typo"]["tp"], 1, "{verdict}");
            assert_eq!(figures["clustered"]["all"]["tp"], 2, "{verdict}");
            assert_eq!(figures["clustered"]["by_category"]["sister"]["tn"], 1, "{verdict}");
        }
    }

    #[test]
    fn releases_are_right_or_wrong_by_person() {
        let astrid = patient_json("Astrid", "1984-03-01", "651-234-4719");
        let nobody = patient_json("Ingeborg", "2001-12-30", "612-234-0001");
        let release = |queries: &str| {
            let figures = evaluated(queries).expect("well formed");
            (figures["policy"]["release"].clone(), figures["policy"]["absent_wrong"].clone())
        };
        let (released, _) = release(&query(&nobody, r#""a1","c""#, ""));
        assert_eq!(released["right_no_match"], 1);
        let (released, _) = release(&query(&nobody, r#""a1","c""#, r#""a1""#));
        assert_eq!(released["missed"], 1);
        // The truth says that Astrid is somebody else, who is not there.
        let (released, absent_wrong) = release(&query(&astrid, r#""a1","c""#, ""));
        assert_eq!((&released["wrong"], absent_wrong), (&1.into(), 1.into()));
    }

    #[test]
    fn two_persons_that_match_are_both_withheld() {
        let outcome = |found: &[(bool, bool)], absent| outcome_of(found.iter().copied(), absent);
        let (right, wrong) = ((true, false), (true, true));
        assert!(matches!(outcome(&[right, wrong], false), Outcome::Withheld));
        assert!(matches!(outcome(&[right, right, right], true), Outcome::Withheld));
        assert!(matches!(outcome(&[wrong], true), Outcome::Wrong { absent: true }));
        assert!(matches!(outcome(&[(false, true)], true), Outcome::Withheld));
        assert!(matches!(outcome(&[right], false), Outcome::Right));
        assert!(matches!(outcome(&[], false), Outcome::Missed));
    }

    #[test]
    fn a_candidate_that_is_nowhere_is_an_error_of_its_line() {
        let astrid = patient_json("Astrid", "1984-03-01", "651-234-4719");
        let error = evaluated(&query(&astrid, r#""zz""#, "")).expect_err("zz is no candidate");
        assert!(error.contains("line 1: names a candidate"), "{error}");
    }
}
