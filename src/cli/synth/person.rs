use time::Date;

use super::places::Home;

/// Administrative sex in the invented population.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sex {
    Female,
    Male,
}

/// One invented person with what changed over the years that the records span.
///
/// Times run from 0 (the first registration anywhere) to 1 (today).
pub(super) struct Person {
    /// The truth: `cluster_id` is made of it.
    pub(super) number: u64,
    pub(super) sex: Sex,
    pub(super) birth: Date,
    pub(super) given: String,
    pub(super) middle: String,
    /// Family names, each from a time on.
    pub(super) families: Vec<(f32, String)>,
    /// JR, SR or nothing, where anybody ever said it.
    pub(super) suffix: &'static str,
    pub(super) ssn: String,
    /// Homes, each from a time on.
    pub(super) homes: Vec<(f32, Home)>,
    /// Telephone numbers, each from a time on.
    pub(super) phones: Vec<(f32, String)>,
    /// The household's line, if it has one.
    pub(super) landline: Option<String>,
    pub(super) email: Option<String>,
    /// Somebody else's number that is written down by mistake: the policy holder's.
    pub(super) guarantor_ssn: Option<String>,
    /// What the birth registration says for a given name, and until when.
    pub(super) placeholder: Option<(String, f32)>,
}

/// What held at a time.
pub(super) fn at<T>(eras: &[(f32, T)], when: f32) -> Option<&T> {
    eras.iter().rev().find(|(from, _)| *from <= when).or(eras.first()).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_era_that_has_begun_holds() {
        let eras = [(0.0, "a"), (0.5, "b")];
        assert_eq!(at(&eras, 0.2), Some(&"a"));
        assert_eq!(at(&eras, 0.5), Some(&"b"));
        assert_eq!(at::<&str>(&[], 0.5), None);
    }
}
