use serde_json::Value;

use super::{Member, Roster};
use crate::domain::MemberCode;

/// What applying a file does to one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Not known before.
    Added(MemberCode),
    /// Known, and told differently.
    Changed {
        /// Which member.
        code: MemberCode,
        /// What differs, in the order of the field names.
        fields: Vec<FieldChange>,
    },
    /// Known, and told the same.
    Unchanged(MemberCode),
    /// Known, but the file does not name it: left alone.
    NotInFile(MemberCode),
}

/// One field of a member before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// The key as in the file, with a dot within `limits`.
    pub name: String,
    /// What held; `-` where nothing was told.
    pub before: String,
    /// What holds now; `-` where nothing is told.
    pub after: String,
}

/// Compares the members known with those a file tells, in the order of their codes.
pub fn changes(known: &Roster, told: &Roster) -> Vec<Change> {
    let mut changes: Vec<Change> = told
        .members()
        .map(|after| match known.member(after.code()) {
            None => Change::Added(after.code().clone()),
            Some(before) if before == after => Change::Unchanged(after.code().clone()),
            Some(before) => {
                Change::Changed { code: after.code().clone(), fields: differing(before, after) }
            }
        })
        .collect();
    changes.extend(
        known
            .members()
            .filter(|member| told.member(member.code()).is_none())
            .map(|member| Change::NotInFile(member.code().clone())),
    );
    changes.sort_by(|a, b| a.code().cmp(b.code()));
    changes
}

impl Change {
    /// The member it is about.
    pub fn code(&self) -> &MemberCode {
        match self {
            Self::Added(code)
            | Self::Changed { code, .. }
            | Self::Unchanged(code)
            | Self::NotInFile(code) => code,
        }
    }
}

fn differing(before: &Member, after: &Member) -> Vec<FieldChange> {
    let (before, after) = (fields(before), fields(after));
    let mut names: Vec<&String> = before.iter().chain(&after).map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    let value = |fields: &[(String, String)], name: &String| {
        fields.iter().find(|(n, _)| n == name).map_or_else(|| "-".to_owned(), |(_, v)| v.clone())
    };
    names
        .into_iter()
        .map(|name| FieldChange {
            name: name.clone(),
            before: value(&before, name),
            after: value(&after, name),
        })
        .filter(|change| change.before != change.after)
        .collect()
}

fn fields(member: &Member) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    // A member is plain strings, numbers and lists: serialization of it cannot fail.
    if let Ok(Value::Object(object)) = serde_json::to_value(member) {
        for (name, value) in object {
            match value {
                Value::Object(inner) => fields
                    .extend(inner.into_iter().map(|(key, v)| (format!("{name}.{key}"), shown(&v)))),
                other => fields.push((name, shown(&other))),
            }
        }
    }
    fields
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
