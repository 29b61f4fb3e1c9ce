//! The operations that this exchange defines itself, as FHIR R4 `OperationDefinition`s.

use serde_json::{Value, json};

/// One operation.
struct Operation {
    /// Its name, without the dollar sign.
    code: &'static str,
    resource: &'static str,
    /// Whether it is called on one resource rather than on the type.
    on_instance: bool,
    affects_state: bool,
    title: &'static str,
    description: &'static str,
    takes: &'static [Parameter],
    gives: &'static [Parameter],
}

/// A parameter, or a part of one.
struct Parameter {
    name: &'static str,
    /// A FHIR type; none where it has parts.
    kind: &'static str,
    /// Whether it may be told more than once.
    many: bool,
    parts: &'static [Parameter],
}

const fn one(name: &'static str, kind: &'static str) -> Parameter {
    Parameter { name, kind, many: false, parts: &[] }
}

const fn many(name: &'static str, kind: &'static str) -> Parameter {
    Parameter { name, kind, many: true, parts: &[] }
}

const fn group(name: &'static str, many: bool, parts: &'static [Parameter]) -> Parameter {
    Parameter { name, kind: "", many, parts }
}

const REASON: Parameter = one("reason", "string");
const DECISION: [Parameter; 4] = [
    one("decision", "positiveInt"),
    one("task", "Reference"),
    many("patient", "Reference"),
    one("tasksRaised", "integer"),
];
const ATTRIBUTE: [Parameter; 5] = [
    one("name", "string"),
    one("level", "string"),
    one("bits", "decimal"),
    one("left", "string"),
    one("right", "string"),
];
const COMPARISON: [Parameter; 6] = [
    one("grade", "code"),
    one("bits", "decimal"),
    one("linkFrom", "decimal"),
    one("model", "string"),
    many("veto", "string"),
    group("attribute", true, &ATTRIBUTE),
];
const RECORD: [Parameter; 5] = [
    one("member", "code"),
    one("identifier", "Identifier"),
    one("told", "instant"),
    one("demographics", "Patient"),
    group("comparison", false, &COMPARISON),
];
const SIDE: [Parameter; 3] =
    [one("patient", "Reference"), group("record", true, &RECORD), one("moreRecords", "integer")];
const EVENT: [Parameter; 9] = [
    one("decision", "positiveInt"),
    one("recorded", "instant"),
    one("kind", "code"),
    one("text", "string"),
    one("by", "string"),
    one("held", "instant"),
    one("record", "Identifier"),
    one("reason", "string"),
    one("undone", "boolean"),
];
const SHOWN: [Parameter; 7] = [
    one("recorded", "instant"),
    one("client", "string"),
    one("organization", "string"),
    one("interaction", "code"),
    one("request", "string"),
    one("auditRow", "positiveInt"),
    one("purposeOfUse", "code"),
];

const OPERATIONS: [Operation; 9] = [
    Operation {
        code: "evidence",
        resource: "Task",
        on_instance: true,
        affects_state: false,
        title: "What speaks for and against",
        description: "Both sides of a review task with their demographics, each record compared with the one that the task is about, attribute by attribute.",
        takes: &[],
        gives: &[
            one("task", "Task"),
            group("record", false, &RECORD),
            group("person", false, &SIDE),
            group("other", false, &SIDE),
        ],
    },
    Operation {
        code: "claim",
        resource: "Task",
        on_instance: true,
        affects_state: true,
        title: "Take a review task in hand",
        description: "The task becomes the caller's, also where another client has it in hand.",
        takes: &[],
        gives: &DECISION,
    },
    Operation {
        code: "release",
        resource: "Task",
        on_instance: true,
        affects_state: true,
        title: "Put a review task back",
        description: "The task is open again. Only whoever has it in hand may put it back.",
        takes: &[],
        gives: &DECISION,
    },
    Operation {
        code: "decide",
        resource: "Task",
        on_instance: true,
        affects_state: true,
        title: "Answer a review task",
        description: "verdict is same, different or cannot-tell. Same merges the two persons, or keeps the link in doubt; different keeps them apart, or separates the record in doubt. Both hold against whatever is told later. A link that nobody can judge stays, and answers go on saying that it is in doubt.",
        takes: &[one("verdict", "code"), REASON],
        gives: &DECISION,
    },
    Operation {
        code: "merge-persons",
        resource: "Patient",
        on_instance: false,
        affects_state: true,
        title: "Make two persons one",
        description: "The target's id stays and the source's leads to it. Holds against whatever is told later.",
        takes: &[one("source", "Reference"), one("target", "Reference"), REASON],
        gives: &DECISION,
    },
    Operation {
        code: "separate-records",
        resource: "Patient",
        on_instance: true,
        affects_state: true,
        title: "Take records out of a person",
        description: "The records of these identifiers become a person of their own, with an id of its own, and stay apart from those that remain.",
        takes: &[many("record", "Identifier"), REASON],
        gives: &DECISION,
    },
    Operation {
        code: "undo-decision",
        resource: "Patient",
        on_instance: false,
        affects_state: true,
        title: "Take back what a steward decided",
        description: "Records, ids and tasks are as they were before the decision. Refused where what it changed has changed again since.",
        takes: &[one("decision", "positiveInt"), REASON],
        gives: &DECISION,
    },
    Operation {
        code: "identity-history",
        resource: "Patient",
        on_instance: true,
        affects_state: false,
        title: "How a person came to be what it is",
        description: "Every record that came, changed or went, every decision and its reason, in order.",
        takes: &[],
        gives: &[
            one("patient", "Reference"),
            many("formerId", "Reference"),
            one("beginningLeftOut", "boolean"),
            group("event", true, &EVENT),
        ],
    },
    Operation {
        code: "shown-while-mixed",
        resource: "Patient",
        on_instance: false,
        affects_state: false,
        title: "Who was shown a person that was two",
        description: "For a decision that took a person apart: every answer given about it from when its records were shown as one until they were separated, from the audit trail.",
        takes: &[one("decision", "positiveInt")],
        gives: &[
            one("period", "Period"),
            many("patient", "Reference"),
            group("shown", true, &SHOWN),
            one("more", "boolean"),
        ],
    },
];

impl Operation {
    fn id(&self) -> String {
        format!("{}-{}", self.resource, self.code)
    }

    fn definition(&self, base_url: &str) -> Value {
        let takes = self.takes.iter().map(|parameter| parameter.definition("in"));
        let gives = self.gives.iter().map(|parameter| parameter.definition("out"));
        let parameters: Vec<Value> = takes.chain(gives).collect();
        let name: String =
            self.id().split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
        json!({
            "resourceType": "OperationDefinition",
            "id": self.id(),
            "url": format!("{base_url}/OperationDefinition/{}", self.id()),
            "name": name,
            "title": self.title,
            "status": "active",
            "kind": "operation",
            "description": self.description,
            "affectsState": self.affects_state,
            "code": self.code,
            "resource": [self.resource],
            "system": false,
            "type": !self.on_instance,
            "instance": self.on_instance,
            "parameter": parameters,
        })
    }
}

impl Parameter {
    fn definition(&self, usage: &str) -> Value {
        // What comes in is needed; of what goes out, only what there is to tell.
        let (min, max) = (u8::from(usage == "in"), if self.many { "*" } else { "1" });
        let mut told = json!({ "name": self.name, "use": usage, "min": min, "max": max });
        if self.parts.is_empty() {
            told["type"] = json!(self.kind);
        } else {
            let parts: Vec<Value> = self.parts.iter().map(|part| part.definition(usage)).collect();
            told["part"] = Value::Array(parts);
        }
        told
    }
}

/// The definition of this id.
pub(super) fn definition(base_url: &str, id: &str) -> Option<Value> {
    let operation = OPERATIONS.iter().find(|operation| operation.id() == id)?;
    Some(operation.definition(base_url))
}

/// All definitions.
pub(super) fn all(base_url: &str) -> Vec<Value> {
    OPERATIONS.iter().map(|operation| operation.definition(base_url)).collect()
}

/// The operations of one type, as a CapabilityStatement lists them.
pub(super) fn listed(base_url: &str, resource: &str) -> Vec<Value> {
    let operations = OPERATIONS.iter().filter(|operation| operation.resource == resource);
    operations
        .map(|operation| {
            let url = format!("{base_url}/OperationDefinition/{}", operation.id());
            json!({ "name": operation.code, "definition": url })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_listed_operation_has_its_definition() {
        let base = "https://gateway.example/fhir";
        let all = ["Task", "Patient"].map(|kind| listed(base, kind)).concat();
        assert_eq!(all.len(), OPERATIONS.len());
        for one in all {
            let url = one["definition"].as_str().expect("a url");
            let id = url.rsplit('/').next().expect("an id");
            let told = definition(base, id).expect("it is defined");
            assert_eq!((&told["url"], &told["code"]), (&json!(url), &one["name"]));
            let name = told["name"].as_str().expect("a name");
            assert!(name.chars().all(char::is_alphanumeric), "{name} names a class in code");
        }
        assert_eq!(definition(base, "Patient-nothing"), None);
    }
}
