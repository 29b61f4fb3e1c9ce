use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

use serde::Serialize;

use super::{
    answer::{Answer, GatewayRef, SourceRecord, implicated},
    holdings::{Holdings, Owner},
    truth::Truth,
};

/// How the answers compare with what is true. Directory resources (Patient, Organization,
/// Practitioner, Location) and what the gateway adds count in no figure.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Report {
    /// Patients of the truth.
    pub(super) patients: usize,
    /// Patients for whom one certain person was found.
    pub(super) persons_found: usize,
    /// Source records found that are the patient's.
    pub(super) located_right: usize,
    /// Source records of the patient that were not found.
    pub(super) located_missed: usize,
    /// Source records found that are another patient's, or nobody's.
    pub(super) located_wrong: usize,
    /// Resources about the patients, over all members.
    pub(super) resources_expected: usize,
    /// Singles and all originals behind groups that are the patient's own.
    pub(super) resources_returned: usize,
    /// Facts told more than once, as the gateway grouped them.
    pub(super) groups: usize,
    /// Pairs told to be one fact that stand in one group.
    pub(super) same_fact_found: usize,
    /// Pairs told to be one fact that do not.
    pub(super) same_fact_missed: usize,
    /// Pairs in one group that are neither one fact nor past telling apart nor contradictory.
    pub(super) different_facts_grouped: usize,
    /// Originals that belong to another patient than the one asked for, or that no member holds.
    pub(super) foreign_released: usize,
    /// Pairs told to contradict each other that are shown as a contradiction.
    pub(super) conflicts_shown: usize,
    /// Pairs told to contradict each other that are not.
    pub(super) conflicts_missed: usize,
    /// What came of each type of resource.
    pub(super) by_type: BTreeMap<String, TypeCount>,
    /// Time per query.
    pub(super) seconds: Quantiles,
}

/// How the resources of one type were merged: `received = single + grouped`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct TypeCount {
    /// Over all members, each once.
    pub(super) received: usize,
    /// That tell a fact alone.
    pub(super) single: usize,
    /// That stand in a group.
    pub(super) grouped: usize,
    /// Facts told more than once.
    pub(super) groups: usize,
    /// Contradictions in which the type takes part.
    pub(super) conflicts: usize,
}

/// Quantiles of a time, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Quantiles {
    /// The median.
    pub(super) p50: f64,
    /// 99 of 100 are faster.
    pub(super) p99: f64,
}

/// One patient asked for.
pub(super) struct Query {
    /// The truth's name of the patient.
    pub(super) patient: String,
    /// The answer, where one certain person was found.
    pub(super) answer: Option<Answer>,
    /// How long `$everything` took, where it was asked.
    pub(super) elapsed: Option<Duration>,
}

/// Resource types that count in no figure.
const DIRECTORY: [&str; 5] =
    ["Patient", "Organization", "Practitioner", "PractitionerRole", "Location"];

fn is_directory(reference: &GatewayRef) -> bool {
    DIRECTORY.contains(&reference.resource_type.as_str())
}

/// Compares the answers with the truth.
pub(super) fn report(truth: &Truth, holdings: &Holdings, queries: &[Query]) -> Report {
    let one_fact = OneFact::of(truth);
    let mut report = Report {
        patients: truth.patients.len(),
        resources_expected: truth.expected.values().sum(),
        seconds: quantiles(queries.iter().filter_map(|query| query.elapsed)),
        ..Report::default()
    };
    let mut grouped: HashMap<String, (usize, usize)> = HashMap::new();
    for (index, query) in queries.iter().enumerate() {
        let mine = source_records(truth, holdings, &query.patient);
        let Some(answer) = &query.answer else {
            report.located_missed += mine.len();
            continue;
        };
        report.persons_found += 1;
        report.count_located(answer, holdings, &mine);
        report.count_resources(answer, holdings, &mine);
        report.count_groups(answer, &one_fact);
        report.count_types(answer);
        for (number, group) in answer.groups.iter().enumerate() {
            let names = group.originals.iter().filter_map(GatewayRef::in_truth);
            grouped.extend(names.map(|name| (name, (index, number))));
        }
    }
    // Of resources that are alike nobody can tell which copy belongs to which: neither right nor wrong.
    let alike = |a: &String, b: &String| {
        truth.alike.iter().any(|group| group.contains(a) && group.contains(b))
    };
    for [a, b] in truth.same_fact.iter().filter(|[a, b]| !alike(a, b)) {
        match (grouped.get(a), grouped.get(b)) {
            (Some(one), Some(other)) if one == other => report.same_fact_found += 1,
            _ => report.same_fact_missed += 1,
        }
    }
    report.count_conflicts(truth, queries);
    report
}

/// `<member>/<patient id>` of a patient's source records.
fn source_records(truth: &Truth, holdings: &Holdings, patient: &str) -> BTreeSet<String> {
    let empty = BTreeMap::new();
    let local_ids = truth.patients.get(patient).unwrap_or(&empty);
    local_ids
        .iter()
        .map(|(member, local)| {
            // A record that no folder holds stays what it is: it can only be missed.
            holdings
                .patient(member, local)
                .map_or_else(|| format!("{member}/{local}"), str::to_owned)
        })
        .collect()
}

impl Report {
    /// Whether a clinician was shown, as this patient's, what is not.
    pub(super) fn is_unsafe(&self) -> bool {
        self.located_wrong + self.foreign_released + self.different_facts_grouped > 0
    }

    fn count_located(&mut self, answer: &Answer, holdings: &Holdings, mine: &BTreeSet<String>) {
        let found: BTreeSet<Option<&str>> =
            answer.located.iter().map(|record| resolve(record, holdings)).collect();
        let right = found.iter().flatten().filter(|record| mine.contains(**record)).count();
        self.located_right += right;
        self.located_missed += mine.len() - right;
        self.located_wrong += found.len() - right;
    }

    fn count_resources(&mut self, answer: &Answer, holdings: &Holdings, mine: &BTreeSet<String>) {
        for original in answer.originals() {
            if is_directory(original) {
                continue;
            }
            let name = original.in_truth();
            match name.as_deref().and_then(|name| holdings.owner(name)) {
                Some(Owner::Patient(owner)) if mine.contains(owner) => self.resources_returned += 1,
                // Nobody's: a Medication, a Device of the ward.
                Some(Owner::Nobody) => {}
                // Another patient's, or made up: a clinician would take it for this patient's.
                Some(Owner::Patient(_)) | None => self.foreign_released += 1,
            }
        }
    }

    fn count_groups(&mut self, answer: &Answer, one_fact: &OneFact<'_>) {
        let facts = answer.groups.iter().filter(|group| !is_directory(&group.representative));
        for group in facts {
            self.groups += 1;
            let names: Vec<String> =
                group.originals.iter().filter_map(GatewayRef::in_truth).collect();
            for (index, a) in names.iter().enumerate() {
                self.different_facts_grouped +=
                    names[index + 1..].iter().filter(|b| !one_fact.may_group(a, b)).count();
            }
        }
    }
}

impl Report {
    fn count_types(&mut self, answer: &Answer) {
        let grouped: BTreeSet<&GatewayRef> =
            answer.groups.iter().flat_map(|group| &group.originals).collect();
        for original in answer.originals() {
            let count = self.by_type.entry(original.resource_type.clone()).or_default();
            count.received += 1;
            if grouped.contains(original) {
                count.grouped += 1;
            } else {
                count.single += 1;
            }
        }
        for group in &answer.groups {
            let kind = group.representative.resource_type.clone();
            self.by_type.entry(kind).or_default().groups += 1;
        }
        for issue in &answer.contradictions {
            let kinds: BTreeSet<String> =
                implicated(issue).into_iter().map(|one| one.resource_type).collect();
            for kind in kinds {
                self.by_type.entry(kind).or_default().conflicts += 1;
            }
        }
    }

    fn count_conflicts(&mut self, truth: &Truth, queries: &[Query]) {
        let answers = queries.iter().filter_map(|query| query.answer.as_ref());
        let shown: Vec<BTreeSet<String>> = answers
            .flat_map(|answer| &answer.contradictions)
            .map(|issue| implicated(issue).iter().filter_map(GatewayRef::in_truth).collect())
            .collect();
        for (a, b, _) in &truth.conflicts {
            if shown.iter().any(|sides| sides.contains(a) && sides.contains(b)) {
                self.conflicts_shown += 1;
            } else {
                self.conflicts_missed += 1;
            }
        }
    }
}

fn resolve<'a>(record: &SourceRecord, holdings: &'a Holdings) -> Option<&'a str> {
    match record {
        SourceRecord::Id { member, id } => holdings.patient(member, id),
        SourceRecord::Identifier { system, value } => holdings
            .members
            .iter()
            .find(|member| member.identifier_systems.contains(system))
            .and_then(|member| holdings.patient(member.code.as_str(), value)),
    }
}

/// Which resources may stand in one group: the truth's pairs, and what follows from them.
struct OneFact<'a> {
    parents: HashMap<&'a str, &'a str>,
    // A known allergy and a "no known allergy" are a pair nobody judges, but bridge nothing.
    unjudged: HashSet<(&'a str, &'a str)>,
}

impl<'a> OneFact<'a> {
    fn of(truth: &'a Truth) -> Self {
        let mut facts = Self { parents: HashMap::new(), unjudged: HashSet::new() };
        for [a, b] in truth.same_fact.iter().chain(&truth.same_fact_hard) {
            facts.join(a, b);
        }
        for group in &truth.alike {
            for pair in group.windows(2) {
                facts.join(&pair[0], &pair[1]);
            }
        }
        for (a, b, kind) in &truth.conflicts {
            if kind == "nka" {
                facts.unjudged.extend([(a.as_str(), b.as_str()), (b.as_str(), a.as_str())]);
            } else {
                facts.join(a, b);
            }
        }
        facts
    }

    fn join(&mut self, a: &'a str, b: &'a str) {
        let (root_a, root_b) = (self.root(a), self.root(b));
        if root_a != root_b {
            self.parents.insert(root_a, root_b);
        }
    }

    fn root<'b>(&self, name: &'b str) -> &'b str
    where
        'a: 'b,
    {
        let mut name = name;
        while let Some(parent) = self.parents.get(name) {
            name = parent;
        }
        name
    }

    fn may_group(&self, a: &str, b: &str) -> bool {
        self.root(a) == self.root(b) || self.unjudged.contains(&(a, b))
    }
}

/// Nearest-rank quantiles.
fn quantiles(times: impl Iterator<Item = Duration>) -> Quantiles {
    let mut seconds: Vec<f64> = times.map(|time| time.as_secs_f64()).collect();
    seconds.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let rank = (share * seconds.len() as f64).ceil() as usize;
        seconds.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    };
    Quantiles { p50: at(0.5), p99: at(0.99) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tempfile::TempDir;

    use super::*;
    use crate::cli::demo::holdings::tests::folder;

    fn patient(member: &str, id: &str) -> String {
        json!({"resourceType": "Patient", "id": id, "identifier": [{"type": {"coding": [{"code": "MR"}]},
            "system": format!("https://{member}.example/mrn"), "value": format!("MRN-{id}")}]})
        .to_string()
    }

    fn condition(id: &str, patient: &str) -> String {
        json!({"resourceType": "Condition", "id": id, "subject": {"reference": format!("Patient/{patient}")}})
            .to_string()
    }

    /// Ada: a1 at mercy, a2 at lakeside. Bea: b1 at mercy.
    fn members() -> TempDir {
        let lines = |lines: &[String]| lines.join("\n");
        folder(&[
            ("mercy/Patient.ndjson", &lines(&[patient("mercy", "a1"), patient("mercy", "b1")])),
            (
                "mercy/Condition.ndjson",
                &lines(&[condition("c1", "a1"), condition("c2", "a1"), condition("c9", "b1")]),
            ),
            ("lakeside/Patient.ndjson", &patient("lakeside", "a2")),
            ("lakeside/Condition.ndjson", &lines(&[condition("c1", "a2"), condition("c2", "a2")])),
        ])
    }

    fn truth() -> Truth {
        serde_json::from_value(json!({
            "patients": {"ada": {"mercy": "a1", "lakeside": "a2"}, "bea": {"mercy": "b1"}},
            "expected": {"ada": 4, "bea": 1},
            "same_fact": [["mercy/Condition/c1", "lakeside/Condition/c1"]],
        }))
        .expect("a truth")
    }

    fn query(patient: &str, entries: &[Value]) -> Query {
        let entries: Vec<Value> = entries.iter().map(|one| json!({"resource": one})).collect();
        let json = json!({"resourceType": "Bundle", "type": "searchset", "entry": entries});
        Query {
            patient: patient.to_owned(),
            answer: Some(Answer::parse(json.to_string().as_bytes()).expect("an answer")),
            elapsed: Some(Duration::from_millis(20)),
        }
    }

    fn person(records: &[&str]) -> Value {
        let links: Vec<Value> = records
            .iter()
            .map(|id| json!({"other": {"reference": format!("Patient/{id}")}, "type": "seealso"}))
            .collect();
        json!({"resourceType": "Patient", "id": "e1", "link": links})
    }

    fn told(id: &str) -> Value {
        json!({"resourceType": "Condition", "id": id})
    }

    fn group(ids: &[&str]) -> Value {
        let items: Vec<Value> = ids
            .iter()
            .enumerate()
            .map(|(index, id)| {
                json!({"type": if index == 0 { "source" } else { "alternate" },
                       "resource": {"reference": format!("Condition/{id}")}})
            })
            .collect();
        json!({"resourceType": "Linkage", "item": items})
    }

    fn check(queries: &[Query], expect: impl FnOnce(&mut Report)) {
        let dir = members();
        let holdings = Holdings::read(dir.path()).expect("readable");
        let mut expected =
            Report { patients: 2, resources_expected: 5, same_fact_missed: 1, ..Report::default() };
        expect(&mut expected);
        let mut found = report(&truth(), &holdings, queries);
        found.seconds = Quantiles::default();
        // The census has its own test.
        found.by_type.clear();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_whole_answer_misses_nothing() {
        let ada = query(
            "ada",
            &[
                person(&["mercy.a1", "lakeside.a2"]),
                told("mercy.c1"),
                told("mercy.c2"),
                told("lakeside.c2"),
                group(&["mercy.c1", "lakeside.c1"]),
            ],
        );
        let bea = query("bea", &[person(&["mercy.MRN-b1"]), told("mercy.c9")]);
        check(&[ada, bea], |report| {
            report.persons_found = 2;
            report.located_right = 3;
            report.resources_returned = 5;
            report.groups = 1;
            (report.same_fact_found, report.same_fact_missed) = (1, 0);
        });
    }

    #[test]
    fn a_person_not_found_misses_all_records() {
        let nobody = Query { patient: "ada".to_owned(), answer: None, elapsed: None };
        check(&[nobody], |report| report.located_missed = 2);
    }

    #[test]
    fn another_patients_record_and_resources_are_told_apart() {
        let ada = query(
            "ada",
            &[
                person(&["mercy.a1", "mercy.b1"]),
                told("mercy.c1"),
                told("mercy.c9"),
                told("mercy.invented"),
            ],
        );
        check(&[ada], |report| {
            report.persons_found = 1;
            (report.located_right, report.located_missed, report.located_wrong) = (1, 1, 1);
            (report.resources_returned, report.foreign_released) = (1, 2);
        });
    }

    #[test]
    fn what_nobody_can_tell_apart_counts_neither_way() {
        let dir = members();
        let holdings = Holdings::read(dir.path()).expect("readable");
        let mut truth = truth();
        assert_eq!(report(&truth, &holdings, &[]).same_fact_missed, 1);
        truth.alike = vec![vec![
            "mercy/Condition/c1".to_owned(),
            "lakeside/Condition/c1".to_owned(),
            "mercy/Condition/c2".to_owned(),
        ]];
        let report = report(&truth, &holdings, &[]);
        assert_eq!((report.same_fact_found, report.same_fact_missed), (0, 0));
    }

    #[test]
    fn different_facts_in_one_group_are_counted_by_pairs() {
        let wrong = group(&["mercy.c1", "lakeside.c1", "mercy.c2"]);
        let ada = query(
            "ada",
            &[person(&["mercy.a1", "lakeside.a2"]), told("mercy.c1"), told("lakeside.c2"), wrong],
        );
        check(&[ada], |report| {
            report.persons_found = 1;
            report.located_right = 2;
            report.resources_returned = 4;
            report.groups = 1;
            (report.same_fact_found, report.same_fact_missed) = (1, 0);
            report.different_facts_grouped = 2;
        });
    }

    #[test]
    fn one_clinician_known_to_two_members_is_no_fact() {
        let both = json!({"resourceType": "Linkage", "item": [
            {"type": "source", "resource": {"reference": "Practitioner/mercy.p"}},
            {"type": "alternate", "resource": {"reference": "Practitioner/lakeside.p"}}]});
        let ada = query("ada", &[person(&["mercy.a1", "lakeside.a2"]), both]);
        check(&[ada], |report| {
            report.persons_found = 1;
            report.located_right = 2;
        });
    }

    #[test]
    fn what_follows_from_the_truth_may_be_grouped() {
        let truth: Truth = serde_json::from_value(json!({
            "same_fact": [["a", "b"]], "same_fact_hard": [["b", "c"]],
            "alike": [["c", "d"]], "conflicts": [["d", "e", "dose"], ["a", "n", "nka"], ["z", "n", "nka"]],
        }))
        .expect("a truth");
        let facts = OneFact::of(&truth);
        assert!(facts.may_group("a", "e") && facts.may_group("a", "n"));
        assert!(!facts.may_group("a", "z") && !facts.may_group("b", "n"));
    }

    #[test]
    fn every_resource_is_counted_under_its_type_and_every_conflict_is_looked_for() {
        let dir = members();
        let holdings = Holdings::read(dir.path()).expect("readable");
        let mut truth = truth();
        let pair = |a: &str, b: &str, kind: &str| (a.to_owned(), b.to_owned(), kind.to_owned());
        truth.conflicts = vec![
            pair("mercy/Condition/c1", "lakeside/Condition/c1", "status"),
            pair("mercy/Condition/c2", "lakeside/Condition/c2", "status"),
        ];
        let issue = json!({"resourceType": "DetectedIssue", "id": "issue-1", "implicated": [
            {"reference": "Condition/mercy.c1"}, {"reference": "Condition/lakeside.c1"}]});
        let entries = [
            person(&["mercy.a1", "lakeside.a2"]),
            told("mercy.c1"),
            told("mercy.c2"),
            group(&["mercy.c1", "lakeside.c1"]),
            issue,
        ];
        let report = report(&truth, &holdings, &[query("ada", &entries)]);
        assert_eq!((report.conflicts_shown, report.conflicts_missed), (1, 1));
        let expected = TypeCount { received: 3, single: 1, grouped: 2, groups: 1, conflicts: 1 };
        assert_eq!(report.by_type["Condition"], expected);
    }

    #[test]
    fn quantiles_are_nearest_ranks() {
        let times = (1..=100).map(Duration::from_secs);
        assert_eq!(quantiles(times), Quantiles { p50: 50.0, p99: 99.0 });
        assert_eq!(quantiles(std::iter::empty()), Quantiles::default());
    }

    #[test]
    fn the_report_has_the_agreed_keys() {
        let json = serde_json::to_value(Report::default()).expect("plain data");
        let keys: Vec<&str> =
            json.as_object().expect("an object").keys().map(String::as_str).collect();
        let mut agreed = "patients persons_found located_right located_missed located_wrong \
            resources_expected resources_returned groups same_fact_found same_fact_missed \
            different_facts_grouped foreign_released conflicts_shown \
            conflicts_missed by_type seconds"
            .split_whitespace()
            .collect::<Vec<_>>();
        agreed.sort_unstable();
        assert_eq!(keys, agreed);
    }
}
