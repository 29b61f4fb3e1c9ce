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
    /// Name, type, and whether it may be told more than once.
    takes: &'static [(&'static str, &'static str, bool)],
    gives: &'static [(&'static str, &'static str, bool)],
}

const REASON: (&str, &str, bool) = ("reason", "string", false);
const DECISION: [(&str, &str, bool); 4] = [
    ("decision", "positiveInt", false),
    ("task", "Reference", false),
    ("patient", "Reference", true),
    ("tasksRaised", "integer", false),
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
            ("task", "Task", false),
            ("record", "", false),
            ("person", "", false),
            ("other", "", false),
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
        takes: &[("verdict", "code", false), REASON],
        gives: &DECISION,
    },
    Operation {
        code: "merge-persons",
        resource: "Patient",
        on_instance: false,
        affects_state: true,
        title: "Make two persons one",
        description: "The target's id stays and the source's leads to it. Holds against whatever is told later.",
        takes: &[("source", "Reference", false), ("target", "Reference", false), REASON],
        gives: &DECISION,
    },
    Operation {
        code: "separate-records",
        resource: "Patient",
        on_instance: true,
        affects_state: true,
        title: "Take records out of a person",
        description: "The records of these identifiers become a person of their own, with an id of its own, and stay apart from those that remain.",
        takes: &[("record", "Identifier", true), REASON],
        gives: &DECISION,
    },
    Operation {
        code: "undo-decision",
        resource: "Patient",
        on_instance: false,
        affects_state: true,
        title: "Take back what a steward decided",
        description: "Records, ids and tasks are as they were before the decision. Refused where what it changed has changed again since.",
        takes: &[("decision", "positiveInt", false), REASON],
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
            ("patient", "Reference", false),
            ("formerId", "Reference", true),
            ("event", "", true),
        ],
    },
    Operation {
        code: "shown-while-mixed",
        resource: "Patient",
        on_instance: false,
        affects_state: false,
        title: "Who was shown a person that was two",
        description: "For a decision that took a person apart: every answer given about it from when its records were shown as one until they were separated, from the audit trail.",
        takes: &[("decision", "positiveInt", false)],
        gives: &[("period", "Period", false), ("patient", "Reference", true), ("shown", "", true)],
    },
];

impl Operation {
    fn id(&self) -> String {
        format!("{}-{}", self.resource, self.code)
    }

    fn definition(&self, base_url: &str) -> Value {
        let parameter = |usage: &'static str| {
            move |(name, kind, many): &(&str, &str, bool)| {
                let min = u8::from(usage == "in");
                let max = if *many { "*" } else { "1" };
                let mut told = json!({ "name": name, "use": usage, "min": min, "max": max });
                if kind.is_empty() {
                    // What has parts has no type; each answer shows them.
                    told["part"] = json!([{ "name": "part", "use": usage, "min": 0, "max": "*" }]);
                } else {
                    told["type"] = json!(kind);
                }
                told
            }
        };
        let mut parameters: Vec<Value> = self.takes.iter().map(parameter("in")).collect();
        parameters.extend(self.gives.iter().map(parameter("out")));
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
