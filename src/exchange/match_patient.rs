//! Finds the person that demographics describe (FHIR R4 `Patient/$match`, IHE PDQm ITI-119).

use super::{
    Call, Exchange, ExchangeError, PatientView,
    call::{About, Outcome, settle},
};
use crate::{
    access::{Closing, Disclosure, Interaction, Permit, Released, Role},
    domain::Demographics,
    fhir::{Resource, patient::read_patient},
    index::PersonMatch,
    matching::MatchGrade,
};

/// Persons looked at for one query: more would be too vague a question to answer safely.
const PERSONS_MAX: usize = 100;

/// What `$match` was asked.
#[derive(Clone, Copy, Debug)]
pub struct MatchQuery {
    /// Answer only with a certain and unique person.
    pub only_certain: bool,
    /// At most so many persons, from 1.
    pub count: usize,
}

/// One person who may be meant.
pub struct MatchedPatient {
    /// How sure.
    pub grade: MatchGrade,
    /// Probability that this is the person, 0 to 1, to be read as a rank among candidates.
    pub score: f64,
    /// Who it is, as far as the permit and the grade allow.
    pub view: PatientView,
}

/// Finds the persons that a Patient describes, most likely first.
///
/// Identifiers and links are shown of a certain and unique person only; of others just enough to
/// tell them apart. Persons that consent hides are left out, and their being there is not told.
pub async fn match_patient(
    exchange: &Exchange,
    call: &Call,
    patient: &Resource,
    query: MatchQuery,
) -> Result<Released<Vec<MatchedPatient>>, ExchangeError> {
    let audit = call.open(exchange, Interaction::Match, About::default()).await?;
    let outcome = find(exchange, call, patient, query).await;
    settle(audit, outcome).await
}

async fn find(
    exchange: &Exchange,
    call: &Call,
    patient: &Resource,
    query: MatchQuery,
) -> Outcome<Vec<MatchedPatient>> {
    let requester = call.requester()?;
    requester.may(Role::Query)?;
    let purpose = call.purpose()?;
    let reading = read_patient(patient)?;
    if tells_nothing(&reading.demographics) {
        return Err(ExchangeError::TooLittle);
    }
    let found = exchange.index.find(&reading.demographics, PERSONS_MAX);
    // Uniqueness counts everybody, seen or unseen: a hidden namesake still makes it ambiguous.
    let certain = found.iter().filter(|one| one.verdict.grade == MatchGrade::Certain).count();
    let now = exchange.clock.now();
    let mut disclosures = Vec::new();
    let mut matched = Vec::new();
    for one in found {
        let unique = one.verdict.firm && certain == 1;
        if query.only_certain && !unique {
            continue;
        }
        if matched.len() == query.count {
            break;
        }
        let Ok(permit) = exchange.consents.decide(requester, &one.person, purpose, now) else {
            continue;
        };
        let Some(view) = view(exchange, &permit, unique).await? else { continue };
        disclosures.push(Disclosure::of(&permit));
        matched.push(MatchedPatient { grade: grade(&one, certain), score: score(&one), view });
    }
    Ok((Closing::Disclosed(disclosures), matched))
}

/// Two persons that are both certain are neither: the caller must choose. So must they where it is
/// certain enough for a link, which can be undone, but not for a release.
fn grade(found: &PersonMatch, certain: usize) -> MatchGrade {
    let shown = found.verdict.firm && certain == 1;
    if found.verdict.grade == MatchGrade::Certain && !shown {
        MatchGrade::Probable
    } else {
        found.verdict.grade
    }
}

/// Match weights are log2 odds.
fn score(found: &PersonMatch) -> f64 {
    1.0 / (1.0 + (-f64::from(found.verdict.bits)).exp2())
}

async fn view(
    exchange: &Exchange,
    permit: &Permit,
    unique: bool,
) -> Result<Option<PatientView>, ExchangeError> {
    let view = PatientView::of(exchange, permit).await?;
    Ok(view.map(|view| if unique { view } else { view.to_tell_apart() }))
}

fn tells_nothing(told: &Demographics) -> bool {
    // A name may come as text instead of in parts.
    let named = told.names.iter().any(|name| {
        let mut parts = name.given.iter().chain([&name.family, &name.text]);
        parts.any(|part| !part.trim().is_empty())
    });
    let reached = !told.phones.is_empty() || !told.emails.is_empty() || !told.addresses.is_empty();
    !(named && (told.birth_date.is_some() || reached)) && told.identifiers.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Name, PartialDate};

    fn check(name: Name, birth_date: Option<&str>, expected: bool) {
        let birth_date = birth_date.map(|date| PartialDate::parse(date).expect("a date"));
        let told = Demographics { names: vec![name], birth_date, ..Demographics::default() };
        assert_eq!(tells_nothing(&told), expected);
    }

    #[test]
    fn a_name_counts_in_parts_or_as_text_and_needs_company() {
        let text = Name { text: "Ada Okafor".to_owned(), ..Name::default() };
        let parts = Name { family: "Okafor".to_owned(), ..Name::default() };
        let blank = Name { family: " ".to_owned(), given: vec![String::new()], ..Name::default() };
        check(text.clone(), Some("1984-03-05"), false);
        check(parts, Some("1984-03-05"), false);
        check(text, None, true);
        check(blank, Some("1984-03-05"), true);
    }
}
