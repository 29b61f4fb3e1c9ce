//! Which facts stand in which section (IPS 2.0.1, Composition).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::record::brief::{
    Chart, Told, directives, is_current, medication_of,
    reading::{LOINC, Measured, Moment, listed_under, moment, says, words},
};

/// Whether a section stands in every summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Required or recommended by IPS.
    Always,
    Optional,
}

/// One section.
pub(super) struct Plan {
    /// LOINC.
    pub(super) code: &'static str,
    pub(super) display: &'static str,
    pub(super) title: &'static str,
    pub(super) need: Need,
    /// What is said where there is nothing, to be followed by whose word that is.
    pub(super) nothing: &'static str,
    /// Heads of the first two columns.
    pub(super) columns: [&'static str; 2],
    pub(super) find: fn(&Chart<'_>) -> Vec<Found>,
}

/// One entry of a section.
pub(super) struct Found {
    pub(super) entry: Entry,
    /// `Type/<gateway id>`
    pub(super) resource: String,
    pub(super) what: String,
    pub(super) details: String,
    pub(super) when: String,
    at: Option<Moment>,
}

/// What a section refers to.
pub(super) enum Entry {
    Resource(String),
    /// The use of a device.
    Use(String),
}

/// Values of one kind of result, and entries of one section, at the most: the latest.
const VALUES_MAX: usize = 3;
const ENTRIES_MAX: usize = 100;

pub(super) const PLANS: &[Plan] = &[
    Plan {
        code: "11450-4",
        display: "Problem list - Reported",
        title: "Problems",
        need: Need::Always,
        nothing: "No current problem is told",
        columns: ["Problem", "Status"],
        find: problems,
    },
    Plan {
        code: "48765-2",
        display: "Allergies and adverse reactions Document",
        title: "Allergies and intolerances",
        need: Need::Always,
        nothing: "No allergy is told, nor that there is none",
        columns: ["Substance", "Reaction"],
        find: allergies,
    },
    Plan {
        code: "10160-0",
        display: "History of Medication use Narrative",
        title: "Medication summary",
        need: Need::Always,
        nothing: "No current medication is told",
        columns: ["Medication", "Dosage"],
        find: medications,
    },
    Plan {
        code: "11369-6",
        display: "History of Immunization Narrative",
        title: "Immunizations",
        need: Need::Always,
        nothing: "No immunization is told",
        columns: ["Vaccine", "Status"],
        find: immunizations,
    },
    Plan {
        code: "30954-2",
        display: "Relevant diagnostic tests/laboratory data note",
        title: "Results",
        need: Need::Always,
        nothing: "No result is told",
        columns: ["Test", "Result"],
        find: results,
    },
    Plan {
        code: "47519-4",
        display: "History of Procedures Document",
        title: "History of procedures",
        need: Need::Always,
        nothing: "No procedure is told",
        columns: ["Procedure", "Status"],
        find: procedures,
    },
    Plan {
        code: "46264-8",
        display: "History of medical device use",
        title: "Medical devices",
        need: Need::Always,
        nothing: "No implant or other device is told",
        columns: ["Device", "Serial number"],
        find: devices,
    },
    Plan {
        code: "42348-3",
        display: "Advance healthcare directives",
        title: "Advance directives",
        need: Need::Optional,
        nothing: "",
        columns: ["Directive", "Status"],
        find: advance_directives,
    },
    Plan {
        code: "104605-1",
        display: "Alert",
        title: "Alerts",
        need: Need::Optional,
        nothing: "",
        columns: ["Alert", "Category"],
        find: alerts,
    },
    Plan {
        code: "11348-0",
        display: "History of Past illness Narrative",
        title: "History of past problems",
        need: Need::Optional,
        nothing: "",
        columns: ["Problem", "Status"],
        find: past_problems,
    },
    Plan {
        code: "10162-6",
        display: "History of pregnancies Narrative",
        title: "Pregnancy",
        need: Need::Optional,
        nothing: "",
        columns: ["Observation", "Value"],
        find: pregnancy,
    },
    Plan {
        code: "18776-5",
        display: "Plan of care note",
        title: "Plan of care",
        need: Need::Optional,
        nothing: "",
        columns: ["Plan", "Status"],
        find: plans,
    },
    Plan {
        code: "29762-2",
        display: "Social history Narrative",
        title: "Social history",
        need: Need::Optional,
        nothing: "",
        columns: ["Observation", "Value"],
        find: social_history,
    },
    Plan {
        code: "8716-3",
        display: "Vital signs note",
        title: "Vital signs",
        need: Need::Optional,
        nothing: "",
        columns: ["Measurement", "Value"],
        find: vital_signs,
    },
];

/// Facts of a type, one telling each, the latest first.
fn shown(
    chart: &Chart<'_>,
    kind: &str,
    dates: &[&str],
    keep: impl Fn(&Value) -> bool,
    read: impl Fn(&Told<'_>) -> (String, String),
) -> Vec<Found> {
    let told = chart.told(kind);
    let mut found: Vec<Found> = told
        .iter()
        .filter(|one| one.is_shown && keep(&one.json))
        .map(|one| {
            let (what, details) = read(one);
            found(one, what, details, moment(&one.json, dates))
        })
        .collect();
    latest_first(&mut found);
    found.truncate(ENTRIES_MAX);
    found
}

fn found(told: &Told<'_>, what: String, details: String, at: Option<Moment>) -> Found {
    let resource = format!("{}/{}", told.original.resource_type, told.original.gateway_id);
    let when = at.as_ref().map(|at| at.day.clone()).unwrap_or_default();
    Found { entry: Entry::Resource(resource.clone()), resource, what, details, when, at }
}

fn latest_first(found: &mut [Found]) {
    found.sort_by(|a, b| {
        let at = |one: &Found| one.at.as_ref().map(|at| at.at);
        at(b).cmp(&at(a)).then_with(|| a.resource.cmp(&b.resource))
    });
}

const PROBLEM_DATES: [&str; 3] = ["onsetDateTime", "onsetPeriod", "recordedDate"];

fn problems(chart: &Chart<'_>) -> Vec<Found> {
    conditions(chart, |json| is_current(json) && !is_refuted(json))
}

fn past_problems(chart: &Chart<'_>) -> Vec<Found> {
    conditions(chart, |json| !is_current(json) && !is_refuted(json))
}

fn conditions(chart: &Chart<'_>, keep: impl Fn(&Value) -> bool) -> Vec<Found> {
    shown(chart, "Condition", &PROBLEM_DATES, keep, |one| {
        (words(&one.json["code"]), words(&one.json["clinicalStatus"]))
    })
}

fn is_refuted(json: &Value) -> bool {
    says(&json["verificationStatus"], &["refuted"])
}

fn allergies(chart: &Chart<'_>) -> Vec<Found> {
    let dates = ["onsetDateTime", "recordedDate", "lastOccurrence"];
    shown(
        chart,
        "AllergyIntolerance",
        &dates,
        |_| true,
        |one| {
            let reactions = one.json["reaction"].as_array().into_iter().flatten();
            let manifestations = reactions
                .flat_map(|reaction| reaction["manifestation"].as_array().into_iter().flatten());
            let mut details: Vec<String> = manifestations.map(words).collect();
            for element in ["clinicalStatus", "verificationStatus"] {
                details.push(words(&one.json[element]));
            }
            details.push(one.json["criticality"].as_str().unwrap_or_default().to_owned());
            details.retain(|part| !part.is_empty());
            (words(&one.json["code"]), details.join(", "))
        },
    )
}

fn medications(chart: &Chart<'_>) -> Vec<Found> {
    let is_taken = |json: &Value| {
        says(&json["status"], &["active", "on-hold", "unknown", "intended"])
            && !says(&json["intent"], &["proposal", "plan"])
            && json["doNotPerform"] != true
    };
    let dates = ["authoredOn", "effectiveDateTime", "effectivePeriod", "dateAsserted"];
    let mut all = Vec::new();
    for (kind, element) in
        [("MedicationRequest", "dosageInstruction"), ("MedicationStatement", "dosage")]
    {
        all.extend(shown(chart, kind, &dates, is_taken, |one| {
            let doses = one.json[element].as_array().into_iter().flatten();
            let doses: Vec<&str> = doses.filter_map(|dose| dose["text"].as_str()).collect();
            (words(&medication_of(chart, &one.json)), doses.join("; "))
        }));
    }
    latest_first(&mut all);
    all
}

fn immunizations(chart: &Chart<'_>) -> Vec<Found> {
    shown(
        chart,
        "Immunization",
        &["occurrenceDateTime"],
        |_| true,
        |one| (words(&one.json["vaccineCode"]), status(&one.json)),
    )
}

fn status(json: &Value) -> String {
    json["status"].as_str().unwrap_or_default().to_owned()
}

const OBSERVED: [&str; 4] = ["effectiveDateTime", "effectivePeriod", "effectiveInstant", "issued"];

fn results(chart: &Chart<'_>) -> Vec<Found> {
    let mut all = observations(chart, VALUES_MAX, |json| {
        in_category(json, &["laboratory", "imaging", "procedure", "clinical-test"])
    });
    let dates = ["effectiveDateTime", "effectivePeriod", "issued"];
    all.extend(shown(
        chart,
        "DiagnosticReport",
        &dates,
        |_| true,
        |one| {
            let conclusion = one.json["conclusion"].as_str().unwrap_or_default();
            (words(&one.json["code"]), conclusion.to_owned())
        },
    ));
    latest_first(&mut all);
    all.truncate(2 * ENTRIES_MAX);
    all
}

fn vital_signs(chart: &Chart<'_>) -> Vec<Found> {
    observations(chart, 1, |json| in_category(json, &["vital-signs"]))
}

fn social_history(chart: &Chart<'_>) -> Vec<Found> {
    observations(chart, 1, |json| in_category(json, &["social-history"]))
}

/// Pregnancy status, and expected dates of delivery (LOINC; IPS Pregnancy).
fn pregnancy(chart: &Chart<'_>) -> Vec<Found> {
    const CODES: [&str; 8] =
        ["82810-3", "11636-8", "11637-6", "11638-4", "11639-2", "11778-8", "11779-6", "11780-4"];
    observations(chart, 1, |json| says(&json["code"], &CODES))
}

fn in_category(json: &Value, categories: &[&str]) -> bool {
    json["category"].as_array().into_iter().flatten().any(|told| says(told, categories))
}

/// The latest values of each kind of observation.
fn observations(chart: &Chart<'_>, values_max: usize, keep: impl Fn(&Value) -> bool) -> Vec<Found> {
    let is_result =
        |json: &Value| !says(&json["status"], &["cancelled", "registered"]) && keep(json);
    let told = chart.told("Observation");
    let mut by_kind: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    for one in told.iter().filter(|one| one.is_shown && is_result(&one.json)) {
        let measured = serde_json::from_str::<Measured>(&one.original.json).ok();
        let value = measured.as_ref().and_then(Measured::value).unwrap_or_default();
        let (unit, flag) =
            measured.as_ref().map(|told| (told.unit(), told.flag())).unwrap_or_default();
        let details = format!("{value} {unit} {flag}").trim().replace("  ", " ");
        let kind = listed_under(&one.json["code"], &LOINC);
        let at = moment(&one.json, &OBSERVED);
        by_kind.entry(kind).or_default().push(found(one, words(&one.json["code"]), details, at));
    }
    let mut all = Vec::new();
    for (_, mut of_kind) in by_kind {
        latest_first(&mut of_kind);
        of_kind.truncate(values_max);
        all.extend(of_kind);
    }
    latest_first(&mut all);
    all.truncate(ENTRIES_MAX);
    all
}

fn procedures(chart: &Chart<'_>) -> Vec<Found> {
    shown(
        chart,
        "Procedure",
        &["performedDateTime", "performedPeriod"],
        |_| true,
        |one| (words(&one.json["code"]), status(&one.json)),
    )
}

/// Uses as they are told, and devices that are said to be the patient's and of which no use is told.
fn devices(chart: &Chart<'_>) -> Vec<Found> {
    let dates = ["timingDateTime", "timingPeriod", "recordedOn"];
    let used = shown(
        chart,
        "DeviceUseStatement",
        &dates,
        |_| true,
        |one| {
            let device = one.json["device"]["reference"].as_str().and_then(|told| chart.read(told));
            let device = device.map(|(_, device)| device).unwrap_or_default();
            (words(&device["type"]), serial(&device))
        },
    );
    let told = chart.told("DeviceUseStatement");
    let is_listed =
        |reference: &str| told.iter().any(|one| one.json["device"]["reference"] == reference);
    let is_own =
        |json: &Value| json["patient"].is_object() && !says(&json["status"], &["inactive"]);
    let mut all = used;
    let own = shown(chart, "Device", &["manufactureDate"], is_own, |one| {
        let name = one.json["deviceName"][0]["name"].as_str().unwrap_or_default();
        let kind = words(&one.json["type"]);
        (if kind.is_empty() { name.to_owned() } else { kind }, serial(&one.json))
    });
    all.extend(
        own.into_iter()
            .filter(|one| !is_listed(&one.resource))
            .map(|one| Found { entry: Entry::Use(one.resource.clone()), ..one }),
    );
    all
}

fn serial(device: &Value) -> String {
    device["serialNumber"].as_str().unwrap_or_default().to_owned()
}

fn advance_directives(chart: &Chart<'_>) -> Vec<Found> {
    let dates = ["dateTime", "date"];
    let mut all = Vec::new();
    // IPS lists Consents and documents here.
    for kind in ["Consent", "DocumentReference"] {
        all.extend(shown(chart, kind, &dates, directives::is_directive, |one| {
            let what = [&one.json["type"], &one.json["category"][0], &one.json["scope"]];
            let what = what.into_iter().map(words).find(|words| !words.is_empty());
            (what.unwrap_or_default(), status(&one.json))
        }));
    }
    latest_first(&mut all);
    all
}

fn alerts(chart: &Chart<'_>) -> Vec<Found> {
    shown(
        chart,
        "Flag",
        &["period"],
        |json| json["status"] == "active",
        |one| (words(&one.json["code"]), words(&one.json["category"][0])),
    )
}

fn plans(chart: &Chart<'_>) -> Vec<Found> {
    let is_open = |json: &Value| says(&json["status"], &["active", "on-hold"]);
    let mut all = shown(chart, "CarePlan", &["period", "created"], is_open, |one| {
        let title = one.json["title"].as_str().unwrap_or_default();
        let kind = one.json["category"].as_array().into_iter().flatten().map(words).next();
        let what = if title.is_empty() { kind.unwrap_or_default() } else { title.to_owned() };
        (what, status(&one.json))
    });
    all.extend(shown(
        chart,
        "ImmunizationRecommendation",
        &["date"],
        |_| true,
        |one| {
            let vaccines = one.json["recommendation"].as_array().into_iter().flatten();
            let vaccines = vaccines.map(|told| words(&told["vaccineCode"][0]));
            (vaccines.collect::<Vec<_>>().join(", "), String::new())
        },
    ));
    all
}
