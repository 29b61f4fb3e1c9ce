//! Which resources tell one fact: rules by type, comparison of pairs.

pub(super) mod clinical_time;
pub(super) mod code;
mod fact;
pub(super) mod quantity;
mod rule;
mod rules;
pub(super) mod value;

pub(super) use fact::{Evidence, Fact, LinkView, Resolve, Verdict, what};
pub(super) use rule::Rule;
pub(super) use rules::rule;
