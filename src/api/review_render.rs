//! What stewards read, as FHIR R4: `Task`s, and `Parameters` of evidence, decisions and stories.

use serde_json::{Value, json};

use super::{parameters::write, render::instant};
use crate::{
    exchange::WronglyShown,
    fhir::patient::demographics_to_patient,
    index::{
        Acted, ReviewEvidence, ReviewTask, ReviewedRecord, ReviewedSide, Story, StoryEvent,
        TaskKind, TaskState,
    },
    matching::Explanation,
};

const KINDS: &str = "urn:tessera:review-kind";
const STATES: &str = "urn:tessera:review-state";

/// A review task as a FHIR R4 Task. It names persons and a member, and nobody's demographics.
pub(super) fn task(task: &ReviewTask) -> Value {
    let patient = |person| json!({ "reference": format!("Patient/{person}") });
    let mut input = vec![
        json!({ "type": { "text": "member" }, "valueCode": task.record.member.as_str() }),
        json!({ "type": { "text": "match weight in bits" }, "valueDecimal": rounded(task.bits) }),
    ];
    if let Some(other) = task.other {
        let compared =
            json!({ "type": { "text": "compared with" }, "valueReference": patient(other) });
        input.insert(0, compared);
    }
    let mut told = json!({
        "resourceType": "Task",
        "id": task.no.to_string(),
        "meta": { "lastUpdated": instant(task.changed) },
        "status": status(task.state),
        "businessStatus": { "coding": [{ "system": STATES, "code": task.state.as_str() }] },
        "intent": "order",
        "priority": priority(task.kind),
        "code": {
            "coding": [{ "system": KINDS, "code": task.kind.as_str() }],
            "text": question(task.kind),
        },
        "focus": patient(task.person),
        "for": patient(task.person),
        "authoredOn": instant(task.opened),
        "lastModified": instant(task.changed),
        "input": input,
    });
    if let Some(owner) = &task.owner {
        told["owner"] = json!({ "identifier": { "value": owner } });
    }
    told
}

fn rounded(bits: f64) -> f64 {
    (bits * 10.0).round() / 10.0
}

/// FHIR R4 `task-status`.
const fn status(state: TaskState) -> &'static str {
    match state {
        TaskState::Open => "requested",
        TaskState::Claimed => "in-progress",
        TaskState::Same | TaskState::Different | TaskState::CannotTell | TaskState::Settled => {
            "completed"
        }
        TaskState::Withdrawn => "cancelled",
    }
}

/// The states that a FHIR status stands for; none where no task here ever has it.
pub(super) fn state_codes(code: &str) -> Vec<TaskState> {
    TaskState::ALL.into_iter().filter(|state| status(*state) == code).collect()
}

/// FHIR R4 `request-priority`: what may show one person's data as another's is urgent.
const fn priority(kind: TaskKind) -> &'static str {
    match kind {
        TaskKind::LinkInDoubt => "urgent",
        TaskKind::PossibleDuplicatePersons => "asap",
        TaskKind::PossibleLink => "routine",
    }
}

const fn question(kind: TaskKind) -> &'static str {
    match kind {
        TaskKind::LinkInDoubt => "Does this record still belong to this person?",
        TaskKind::PossibleDuplicatePersons => "Are these two persons one?",
        TaskKind::PossibleLink => "Does this record belong to the other person?",
    }
}

fn part(name: &str, parts: Vec<Value>) -> Value {
    let mut told = json!({ "name": name });
    told["part"] = Value::Array(parts);
    told
}

/// Both sides of a question.
pub(super) fn evidence(evidence: &ReviewEvidence) -> Value {
    let mut told = vec![
        json!({ "name": "task", "resource": task(&evidence.task) }),
        part("record", record(&evidence.record)),
        part("person", side(&evidence.own)),
    ];
    if let Some(other) = &evidence.other {
        told.push(part("other", side(other)));
    }
    write(told)
}

fn side(side: &ReviewedSide) -> Vec<Value> {
    let reference = format!("Patient/{}", side.person);
    let mut told = vec![json!({ "name": "patient", "valueReference": { "reference": reference } })];
    told.extend(side.records.iter().map(|one| part("record", record(one))));
    if side.more > 0 {
        told.push(json!({ "name": "moreRecords", "valueInteger": side.more }));
    }
    told
}

fn record(one: &ReviewedRecord) -> Vec<Value> {
    let id = &one.record.local_id;
    let mut patient = demographics_to_patient(&one.demographics);
    patient.insert("active".to_owned(), one.active.into());
    let mut told = vec![
        json!({ "name": "member", "valueCode": one.record.member.as_str() }),
        json!({ "name": "identifier",
            "valueIdentifier": { "system": id.system(), "value": id.value() } }),
        json!({ "name": "told", "valueInstant": instant(one.told) }),
        json!({ "name": "demographics", "resource": patient }),
    ];
    told.extend(one.explanation.as_ref().map(|one| part("comparison", comparison(one))));
    told
}

/// Attribute by attribute, how a record compares with the one that the question is about.
fn comparison(explanation: &Explanation) -> Vec<Value> {
    let bits = |bits: f32| rounded(f64::from(bits));
    let mut told = vec![
        json!({ "name": "grade", "valueCode": explanation.grade.code() }),
        json!({ "name": "bits", "valueDecimal": bits(explanation.bits) }),
        json!({ "name": "linkFrom", "valueDecimal": bits(explanation.thresholds.0) }),
        json!({ "name": "model", "valueString": explanation.model }),
    ];
    let vetoes = explanation.vetoes.iter();
    told.extend(vetoes.map(|veto| json!({ "name": "veto", "valueString": veto.reason() })));
    for step in explanation.steps.iter().filter(|step| step.level != "missing") {
        let text = |name: &str, value: &str| {
            (!value.is_empty()).then(|| json!({ "name": name, "valueString": value }))
        };
        let mut parts = vec![
            json!({ "name": "name", "valueString": step.attribute }),
            json!({ "name": "level", "valueString": step.level }),
            json!({ "name": "bits", "valueDecimal": bits(step.bits) }),
        ];
        parts.extend(text("left", &step.left));
        parts.extend(text("right", &step.right));
        told.push(part("attribute", parts));
    }
    told
}

/// What became of a decision, and the number by which it can be undone.
pub(super) fn acted(acted: &Acted) -> Value {
    let mut told: Vec<Value> = Vec::new();
    told.extend(acted.decision.map(|no| json!({ "name": "decision", "valuePositiveInt": no })));
    told.extend(acted.task.map(
        |no| json!({ "name": "task", "valueReference": { "reference": format!("Task/{no}") } }),
    ));
    told.extend(acted.persons.iter().map(|person| {
        json!({ "name": "patient",
            "valueReference": { "reference": format!("Patient/{person}") } })
    }));
    told.push(json!({ "name": "tasksRaised", "valueInteger": acted.tasks_raised }));
    write(told)
}

/// A person's story, from its first record to the last decision.
pub(super) fn story(story: &Story) -> Value {
    let reference = |name: &str, person| json!({ "name": name, "valueReference": { "reference": format!("Patient/{person}") } });
    let mut told = vec![reference("patient", story.person)];
    told.extend(story.aliases.iter().map(|alias| reference("formerId", *alias)));
    if story.cut {
        told.push(json!({ "name": "beginningLeftOut", "valueBoolean": true }));
    }
    told.extend(story.events.iter().map(|one| part("event", event(one))));
    write(told)
}

fn event(event: &StoryEvent) -> Vec<Value> {
    let mut told = vec![
        json!({ "name": "decision", "valuePositiveInt": event.decision }),
        json!({ "name": "recorded", "valueInstant": instant(event.recorded) }),
        json!({ "name": "kind", "valueCode": event.kind }),
        json!({ "name": "text", "valueString": event.text }),
        json!({ "name": "by", "valueString": event.by }),
    ];
    told.extend(event.event_time.map(|at| json!({ "name": "held", "valueInstant": instant(at) })));
    told.extend(event.record.as_ref().map(|record| {
        let id = &record.local_id;
        json!({ "name": "record",
            "valueIdentifier": { "system": id.system(), "value": id.value() } })
    }));
    told.extend(event.reason.as_ref().map(|why| json!({ "name": "reason", "valueString": why })));
    if event.undone {
        told.push(json!({ "name": "undone", "valueBoolean": true }));
    }
    told.retain(|one| one["valueString"] != "");
    told
}

/// Who was shown a person that was two.
pub(super) fn wrongly_shown(wrongly: &WronglyShown) -> Value {
    let mut told = vec![json!({ "name": "period", "valuePeriod": {
        "start": instant(wrongly.span.since), "end": instant(wrongly.span.until) } })];
    told.extend(wrongly.span.persons.iter().map(|person| {
        json!({ "name": "patient",
            "valueReference": { "reference": format!("Patient/{person}") } })
    }));
    for one in &wrongly.shown {
        let mut parts = vec![
            json!({ "name": "recorded", "valueInstant": instant(one.recorded) }),
            json!({ "name": "client", "valueString": one.client_id }),
            json!({ "name": "organization", "valueString": one.organization }),
            json!({ "name": "interaction", "valueCode": one.interaction }),
            json!({ "name": "request", "valueString": one.request_id }),
            json!({ "name": "auditRow", "valuePositiveInt": one.seq }),
        ];
        let purpose = one.purpose.as_ref();
        parts.extend(purpose.map(|code| json!({ "name": "purposeOfUse", "valueCode": code })));
        parts.retain(|one| one["valueString"] != "");
        told.push(part("shown", parts));
    }
    if wrongly.more {
        told.push(json!({ "name": "more", "valueBoolean": true }));
    }
    write(told)
}
