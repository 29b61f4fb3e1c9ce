//! The rule of every resource type, by data class. `docs/record.md` tells them in words.

mod billing;
mod care;
mod clinical;
mod directory;
mod documents;
mod medications;
mod results;

pub(in crate::record) use results::SERIAL;

use super::rule::Rule;

/// Every type with a rule of its own.
pub(in crate::record) fn all() -> impl Iterator<Item = &'static Rule> {
    [
        directory::RULES,
        clinical::RULES,
        medications::RULES,
        results::RULES,
        care::RULES,
        documents::RULES,
        billing::RULES,
    ]
    .into_iter()
    .flatten()
}

/// The rule for a type.
pub(in crate::record) fn rule(resource_type: &str) -> &'static Rule {
    static CAUTIOUS: Rule = Rule::cautious("*");
    all().find(|rule| rule.resource_type == resource_type).unwrap_or(&CAUTIOUS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_one_rule_and_a_rule_something_to_go_by() {
        let mut types: Vec<&str> = all().map(|rule| rule.resource_type).collect();
        let count = types.len();
        types.sort_unstable();
        types.dedup();
        assert_eq!(types.len(), count);
        for rule in all().filter(|rule| rule.by_content) {
            assert!(!rule.what.is_empty(), "{} has no code to go by", rule.resource_type);
            let timeless = rule.clock == super::super::rule::Clock::Timeless;
            assert_eq!(timeless, rule.when.is_empty(), "{}", rule.resource_type);
            assert!(rule.when.len() <= 2, "a fact keeps two times: {}", rule.resource_type);
        }
    }
}
