//! Whether the Patient that a member returns is the one that was sought.
//!
//! The identifier asked for is no evidence here: that it was answered with somebody else's record
//! is the very mistake to be found. Everything else that both sides tell is compared.

use std::sync::Arc;

use super::outcome::Identity;
use crate::{
    domain::{Demographics, IdentifierKind, LocalId},
    matching::{MatchGrade, Model, PairJudge},
};

/// How far, in bits, a pair may fall short of perfect agreement where even that would say too
/// little: odds of a million to one, which no moving, marrying or mistyping explains.
const SHORTFALL_BITS_MAX: f32 = 20.0;

/// What an echoed identifier weighs against kin, in bits. Which chart a number opens is seldom mistaken,
/// and less often for a sister's than kin meet among the pairs that linking compares.
const ECHO_BITS: f32 = 2.0;

/// Compares what members return with what is known.
pub struct IdentityJudge {
    pairs: PairJudge,
    review_bits: f32,
}

/// What one comparison says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opinion {
    Agrees,
    CannotTell,
    Contradicts,
}

impl IdentityJudge {
    /// By the model that links records.
    pub fn new(mut model: Arc<Model>) -> Self {
        let review_bits = model.review_bits();
        // Nobody is linked here. A name of one letter more at the member that fed it is a slip far
        // more often than a twin under the same identifier.
        Arc::make_mut(&mut model).set_cost("near_twin", 1.0);
        Self { pairs: PairJudge::new(model), review_bits }
    }

    /// Judges a returned Patient: first by what the member itself fed, of which nothing may
    /// contradict it; then by the person's other records, of which not all may. Of those, one that
    /// what was fed contradicts as well says nothing: that the two are one person was decided
    /// elsewhere, by a steward or by better evidence.
    pub fn judge(
        &self,
        asked: &[LocalId],
        returned: &Demographics,
        fed: &[&Demographics],
        person: &[Demographics],
    ) -> Identity {
        let returned = evidence_of(returned, asked);
        let opinion = |known: &Demographics| self.compare(&evidence_of(known, asked), &returned);
        let own: Vec<Opinion> = fed.iter().map(|known| opinion(known)).collect();
        if own.contains(&Opinion::Contradicts) {
            return Identity::Contradicts;
        }
        let is_at_odds = |known: &Demographics| {
            let known = evidence_of(known, asked);
            fed.iter()
                .any(|fed| self.compare(&known, &evidence_of(fed, asked)) == Opinion::Contradicts)
        };
        let others: Vec<Opinion> = person
            .iter()
            .map(|known| (known, opinion(known)))
            .filter(|(known, told)| *told != Opinion::Contradicts || !is_at_odds(known))
            .map(|(_, told)| told)
            .collect();
        let told: Vec<&Opinion> =
            others.iter().filter(|opinion| **opinion != Opinion::CannotTell).collect();
        if !told.is_empty() && told.iter().all(|opinion| **opinion == Opinion::Contradicts) {
            return Identity::Contradicts;
        }
        if own.contains(&Opinion::Agrees) || others.contains(&Opinion::Agrees) {
            Identity::Agrees
        } else {
            Identity::NotConfirmed
        }
    }

    /// Whether two records that would not be linked are two people's even under one identifier. Linking asks
    /// how likely it is that two of millions of records are one person's; here a member said so, and is to
    /// be refuted: by a stranger who explains the pair better than the patient does, or by kin who do by
    /// more than the identifier weighs.
    fn outweighs_the_echo(&self, known: &Demographics, returned: &Demographics) -> bool {
        let odds = self.pairs.odds(known, returned);
        odds.against_strangers < 0.0 || odds.against_kin + ECHO_BITS < 0.0
    }

    fn compare(&self, known: &Demographics, returned: &Demographics) -> Opinion {
        let pair = self.pairs.compare(known, returned);
        if !pair.vetoes.is_empty() {
            return Opinion::Contradicts;
        }
        // What perfect agreement on the attributes that both sides tell would have said.
        let common = common_attributes(known, returned);
        let perfect = self.pairs.compare(&common, &common);
        let telling = perfect.bits.0 >= self.review_bits && has_anchor(&common);
        if telling {
            let kin = pair.kin && pair.grade <= MatchGrade::Possible;
            let against = kin || pair.grade == MatchGrade::CertainlyNot;
            return match against {
                false => Opinion::Agrees,
                true if self.outweighs_the_echo(known, returned) => Opinion::Contradicts,
                true => Opinion::CannotTell,
            };
        }
        if pair.bits.0 < perfect.bits.0 - SHORTFALL_BITS_MAX {
            Opinion::Contradicts
        } else {
            Opinion::CannotTell
        }
    }
}

/// Without the record numbers: those asked for are echoed by definition, and others of the same
/// member prove nothing about the person.
fn evidence_of(told: &Demographics, asked: &[LocalId]) -> Demographics {
    let mut evidence = told.clone();
    evidence.identifiers.retain(|identifier| {
        let is_asked = asked
            .iter()
            .any(|id| identifier.system == id.system() && identifier.value.trim() == id.value());
        !is_asked && identifier.kind != IdentifierKind::MedicalRecord
    });
    evidence
}

/// `known`, as far as `returned` tells the same attributes.
fn common_attributes(known: &Demographics, returned: &Demographics) -> Demographics {
    let mut common = known.clone();
    if returned.names.is_empty() {
        common.names.clear();
    }
    if returned.birth_date.is_none() {
        common.birth_date = None;
    }
    if returned.sex.is_none() {
        common.sex = None;
    }
    if returned.addresses.is_empty() {
        common.addresses.clear();
    }
    if returned.phones.is_empty() {
        common.phones.clear();
    }
    if returned.emails.is_empty() {
        common.emails.clear();
    }
    common.identifiers.retain(|identifier| {
        returned.identifiers.iter().any(|other| other.kind == identifier.kind)
    });
    common
}

/// Whether there is a name or a birth date; a telephone number alone is a household's.
fn has_anchor(common: &Demographics) -> bool {
    let named = common.names.iter().any(|name| !name.family.is_empty() || !name.text.is_empty());
    named || common.birth_date.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Address, Identifier, IdentifierUse, Name, PartialDate, Sex};

    fn judge() -> IdentityJudge {
        IdentityJudge::new(Arc::new(Model::default_model()))
    }

    fn person(given: &str, family: &str, born: &str, sex: Sex, ssn: &str) -> Demographics {
        let record_number = Identifier {
            kind: IdentifierKind::MedicalRecord,
            system: "urn:mrn".to_owned(),
            value: "A1".to_owned(),
            identifier_use: IdentifierUse::Current,
        };
        let mut told = Demographics {
            names: vec![Name {
                family: family.to_owned(),
                given: vec![given.to_owned()],
                ..Name::default()
            }],
            birth_date: PartialDate::parse(born).ok(),
            sex: Some(sex),
            addresses: vec![Address {
                lines: vec!["12 Chestnut Hill Rd".to_owned()],
                city: "Worcester".to_owned(),
                state: "MA".to_owned(),
                postal_code: "01609".to_owned(),
                ..Address::default()
            }],
            phones: vec!["508-555-0142".to_owned()],
            identifiers: vec![record_number],
            ..Demographics::default()
        };
        if !ssn.is_empty() {
            told.identifiers.push(Identifier {
                kind: IdentifierKind::SocialSecurity,
                system: String::new(),
                value: ssn.to_owned(),
                identifier_use: IdentifierUse::Current,
            });
        }
        told
    }

    fn ruth() -> Demographics {
        person("Ruth", "Okonkwo", "1984-03-05", Sex::Female, "521-54-7381")
    }

    fn check(returned: &Demographics, fed: &Demographics, expected: Identity) {
        let asked = [LocalId::parse("urn:mrn", "A1").expect("whole")];
        assert_eq!(judge().judge(&asked, returned, &[fed], &[]), expected);
    }

    #[test]
    fn the_same_patient_agrees_through_ordinary_change() {
        check(&ruth(), &ruth(), Identity::Agrees);
        let mut moved = ruth();
        moved.addresses[0].lines = vec!["4 Elm St".to_owned()];
        moved.addresses[0].postal_code = "02139".to_owned();
        moved.phones = vec!["617-555-0199".to_owned()];
        check(&moved, &ruth(), Identity::Agrees);
        let mut married = ruth();
        married.names[0].family = "Okonkwo-Reyes".to_owned();
        check(&married, &ruth(), Identity::Agrees);
        let mut mistyped = ruth();
        mistyped.birth_date = PartialDate::parse("1984-05-03").ok();
        check(&mistyped, &ruth(), Identity::Agrees);
        let mut terse = ruth();
        terse.addresses.clear();
        terse.phones.clear();
        terse.identifiers.truncate(1);
        check(&terse, &ruth(), Identity::Agrees);
    }

    #[test]
    fn somebody_else_contradicts_though_the_record_number_is_echoed() {
        let stranger = person("Walter", "Lindqvist", "1951-11-20", Sex::Male, "");
        check(&stranger, &ruth(), Identity::Contradicts);
        let mut elsewhere = stranger;
        elsewhere.addresses.clear();
        elsewhere.phones.clear();
        check(&elsewhere, &ruth(), Identity::Contradicts);
        let twin = person("Esther", "Okonkwo", "1984-03-05", Sex::Female, "521-54-9920");
        check(&twin, &ruth(), Identity::Contradicts);
        let husband = person("Emeka", "Okonkwo", "1980-07-19", Sex::Male, "");
        check(&husband, &ruth(), Identity::Contradicts);
        let daughter = person("Ada", "Okonkwo", "2012-01-30", Sex::Female, "");
        check(&daughter, &ruth(), Identity::Contradicts);
    }

    #[test]
    fn what_is_in_doubt_is_released_under_its_identifier_and_marked() {
        // A mistyped name and another number: her chart after an insurer's mistake, or her twin's.
        let mut doubtful = person("Ruthe", "Okonkwo", "1984-03-05", Sex::Female, "632-58-4195");
        doubtful.phones.clear();
        check(&doubtful, &ruth(), Identity::NotConfirmed);
        // What the person's other records tell decides then.
        let asked = [LocalId::parse("urn:mrn", "A1").expect("whole")];
        let by = judge().judge(&asked, &doubtful, &[&ruth()], std::slice::from_ref(&doubtful));
        assert_eq!(by, Identity::Agrees);
        // Another name and another number are two people.
        let twin = person("Adaeze", "Okonkwo", "1984-03-05", Sex::Female, "632-58-4195");
        check(&twin, &ruth(), Identity::Contradicts);
    }

    #[test]
    fn next_to_no_demographics_cannot_tell() {
        check(&Demographics::default(), &ruth(), Identity::NotConfirmed);
        let sex_alone = Demographics { sex: Some(Sex::Female), ..Demographics::default() };
        check(&sex_alone, &ruth(), Identity::NotConfirmed);
        let mut only_number = ruth();
        only_number.names.clear();
        only_number.birth_date = None;
        only_number.addresses.clear();
        only_number.phones.clear();
        only_number.identifiers.truncate(1);
        check(&only_number, &ruth(), Identity::NotConfirmed);
    }

    #[test]
    fn the_persons_other_records_are_a_second_opinion() {
        let asked = [LocalId::parse("urn:mrn", "A1").expect("whole")];
        let unnamed = Demographics { sex: Some(Sex::Female), ..Demographics::default() };
        let verdict = |person: &[Demographics]| judge().judge(&asked, &ruth(), &[&unnamed], person);
        assert_eq!(verdict(&[]), Identity::NotConfirmed);
        assert_eq!(verdict(&[ruth()]), Identity::Agrees);
        let stranger = person("Walter", "Lindqvist", "1951-11-20", Sex::Male, "");
        assert_eq!(verdict(std::slice::from_ref(&stranger)), Identity::Contradicts);
        assert_eq!(verdict(&[stranger.clone(), ruth()]), Identity::Agrees);
        // A steward linked the two: the member's own feed is what counts.
        let linked = judge().judge(&asked, &ruth(), &[&ruth()], &[stranger]);
        assert_eq!(linked, Identity::Agrees);
    }
}
