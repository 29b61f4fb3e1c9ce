//! Documents: by their own identifier or the hash of their bytes, never by title and date.

use crate::record::same_fact::rule::Rule;

pub(super) const RULES: &[Rule] = &[
    Rule {
        identifiers: &["masterIdentifier", "identifier", "content.attachment.hash"],
        what: &["type"],
        ..Rule::cautious("DocumentReference")
    },
    Rule { what: &["type"], ..Rule::cautious("Composition") },
];
