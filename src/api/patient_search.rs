//! The parameters of a search of patients (IHE PDQm ITI-78), read into criteria.

use uuid::Uuid;

use super::error::ApiError;
use crate::{
    domain::{EnterpriseId, Sex},
    exchange::{PatientPage, PatientSearch},
    fhir::search::{
        InvalidSearch, Modifier, SearchParameter, SearchQuery, SearchValue, TokenSystem,
    },
    index::{Criterion, IdentifierToken, Part, TextMatch, TextPart},
};

/// Patients on a page where `_count` is not told, and the most that it may tell: each one shown is
/// an event of the audit trail.
const COUNT_DEFAULT: usize = 50;
const COUNT_MAX: usize = 200;
/// Where a page link says which search and how far into it.
pub(super) const SEARCH: &str = "_search";
pub(super) const OFFSET: &str = "_offset";

/// A search as it was asked.
pub(super) struct AskedSearch {
    pub(super) search: PatientSearch,
    pub(super) page: PatientPage,
    /// The search whose further page is asked for.
    pub(super) token: Option<Uuid>,
    /// The parameters that were heeded, for the link to self.
    pub(super) heeded: SearchQuery,
}

impl AskedSearch {
    /// Reads a query. What it does not know is passed over, or refused where `strict`.
    pub(super) fn read(query: SearchQuery, strict: bool) -> Result<Self, ApiError> {
        let mut search = PatientSearch::default();
        let mut heeded = vec![false; query.parameters().len()];
        for (parameter, heeded) in query.parameters().iter().zip(&mut heeded) {
            *heeded = take(&mut search, parameter)? || is_about_the_answer(parameter.name());
            if strict && !*heeded {
                return Err(ApiError::NotSupported("a search parameter is not known here"));
            }
        }
        let count = query.count()?.map_or(COUNT_DEFAULT, |count| (count as usize).min(COUNT_MAX));
        let counted = query.single("_summary")? == Some("count");
        let offset = number(&query, OFFSET)?;
        let token = query.single(SEARCH)?.map(|told| {
            Uuid::parse_str(told).map_err(|_| ApiError::invalid(SEARCH, "is not a page"))
        });
        let token = token.transpose()?;
        if search.criteria.is_empty() && token.is_none() {
            return Err(ApiError::TooCostly);
        }
        let mut heeded = heeded.into_iter();
        let heeded = query.only(|_| heeded.next().unwrap_or_default());
        let page = PatientPage { offset, count: if counted { 0 } else { count } };
        Ok(Self { search, page, token, heeded })
    }
}

fn number(query: &SearchQuery, name: &'static str) -> Result<usize, ApiError> {
    let told = query.single(name)?.map(str::parse);
    told.transpose().map(Option::unwrap_or_default).map_err(|_| ApiError::invalid(name, "no page"))
}

/// Parameters that choose no patients.
fn is_about_the_answer(name: &str) -> bool {
    matches!(name, "_count" | "_format" | "_pretty" | "_summary")
        || [SEARCH, OFFSET].contains(&name)
}

/// Adds what a parameter asks. Says whether it is one that chooses patients.
fn take(search: &mut PatientSearch, parameter: &SearchParameter) -> Result<bool, ApiError> {
    let criterion = match parameter.name() {
        "_id" => {
            parameter.plain()?;
            // What cannot be an id is nobody's.
            let ids = parameter.values().map(|value| EnterpriseId::parse(&value.text()));
            Some(Criterion::Person(ids.filter_map(Result::ok).collect()))
        }
        "active" => active(parameter)?,
        "family" => Some(text(parameter, TextPart::Family)?),
        "given" => Some(text(parameter, TextPart::Given)?),
        "name" => Some(text(parameter, TextPart::Name)?),
        "mothersMaidenName" => Some(text(parameter, TextPart::MothersMaidenName)?),
        "address" => Some(text(parameter, TextPart::Address)?),
        "address-city" => Some(text(parameter, TextPart::City)?),
        "address-state" => Some(text(parameter, TextPart::State)?),
        "address-postalcode" => Some(text(parameter, TextPart::PostalCode)?),
        "address-country" => Some(text(parameter, TextPart::Country)?),
        "identifier" => Some(identifier(parameter, &mut search.systems)?),
        "telecom" => Some(contact(parameter, true, true)?),
        "phone" => Some(contact(parameter, true, false)?),
        "email" => Some(contact(parameter, false, true)?),
        "birthdate" => Some(birth_date(parameter)?),
        "gender" => Some(gender(parameter)?),
        _ => return Ok(false),
    };
    search.criteria.extend(criterion);
    Ok(true)
}

/// `:missing`, where it is told.
fn missing(parameter: &SearchParameter, part: Part) -> Result<Option<Criterion>, ApiError> {
    if parameter.modifier() != Some(&Modifier::Missing) || parameter.chain().is_some() {
        return Ok(None);
    }
    match parameter.text() {
        "true" => Ok(Some(Criterion::Missing(part, true))),
        "false" => Ok(Some(Criterion::Missing(part, false))),
        _ => Err(parameter.bad_value().into()),
    }
}

fn text(parameter: &SearchParameter, part: TextPart) -> Result<Criterion, ApiError> {
    if let Some(missing) = missing(parameter, Part::Text(part))? {
        return Ok(missing);
    }
    let how = match (parameter.modifier(), parameter.chain()) {
        (None, None) => TextMatch::Start,
        (Some(Modifier::Exact), None) => TextMatch::Exact,
        (Some(Modifier::Contains), None) => TextMatch::Contains,
        _ => return Err(InvalidSearch::Modifier(parameter.name().to_owned()).into()),
    };
    let any = parameter.values().map(|value| value.text().into_owned()).collect();
    Ok(Criterion::Text { part, how, any })
}

/// Every Patient of this exchange is active but those that were joined into another.
fn active(parameter: &SearchParameter) -> Result<Option<Criterion>, ApiError> {
    parameter.plain()?;
    let mut active = false;
    for value in parameter.values() {
        match value.token().code.as_deref() {
            Some("true") => active = true,
            Some("false") => {}
            _ => return Err(parameter.bad_value().into()),
        }
    }
    Ok((!active).then_some(Criterion::Nobody))
}

/// Identifiers; where all alternatives are `system|`, they also limit what is shown.
fn identifier(
    parameter: &SearchParameter,
    systems: &mut Vec<String>,
) -> Result<Criterion, ApiError> {
    if let Some(missing) = missing(parameter, Part::Identifier)? {
        return Ok(missing);
    }
    parameter.plain()?;
    let tokens: Vec<IdentifierToken> = parameter.values().map(identifier_token).collect();
    let domain = |token: &IdentifierToken| match (&token.system, &token.value) {
        (Some(system), None) => Some(system.clone()),
        _ => None,
    };
    if let Some(domains) = tokens.iter().map(domain).collect::<Option<Vec<String>>>() {
        systems.extend(domains);
    }
    Ok(Criterion::Identifier(tokens))
}

fn identifier_token(value: SearchValue<'_>) -> IdentifierToken {
    let token = value.token();
    let system = match token.system {
        TokenSystem::Any => None,
        TokenSystem::None => Some(String::new()),
        TokenSystem::Is(system) => Some(system.trim().to_owned()),
    };
    IdentifierToken { system, value: token.code.map(|code| code.trim().to_owned()) }
}

/// `phone|…` and `email|…` as systems of FHIR's contact points, or no system.
fn contact(parameter: &SearchParameter, phones: bool, emails: bool) -> Result<Criterion, ApiError> {
    let part = match (phones, emails) {
        (true, true) => Part::Contacts,
        (true, false) => Part::Phones,
        _ => Part::Emails,
    };
    if let Some(missing) = missing(parameter, part)? {
        return Ok(missing);
    }
    parameter.plain()?;
    let mut asked = (phones, emails);
    let mut any = Vec::new();
    for value in parameter.values() {
        let token = value.token();
        if let TokenSystem::Is(system) = &token.system {
            asked = match system.as_ref() {
                "phone" | "sms" => (phones, false),
                "email" => (false, emails),
                _ => (false, false),
            };
        }
        any.push(token.code.ok_or_else(|| parameter.bad_value())?.into_owned());
    }
    let (phones, emails) = asked;
    Ok(Criterion::Contact { phones, emails, any })
}

fn birth_date(parameter: &SearchParameter) -> Result<Criterion, ApiError> {
    if let Some(missing) = missing(parameter, Part::BirthDate)? {
        return Ok(missing);
    }
    parameter.plain()?;
    let dates = parameter.values().map(SearchValue::date).collect::<Result<Vec<_>, _>>();
    Ok(Criterion::BirthDate(dates.map_err(|_| parameter.bad_value())?))
}

fn gender(parameter: &SearchParameter) -> Result<Criterion, ApiError> {
    if let Some(missing) = missing(parameter, Part::Sex)? {
        return Ok(missing);
    }
    parameter.plain()?;
    let sexes = parameter.values().map(|value| {
        match value.token().code.as_deref().map(str::to_ascii_lowercase).as_deref() {
            Some("female") => Ok(Some(Sex::Female)),
            Some("male") => Ok(Some(Sex::Male)),
            Some("other") => Ok(Some(Sex::Other)),
            Some("unknown") => Ok(None),
            _ => Err(parameter.bad_value()),
        }
    });
    Ok(Criterion::Sex(sexes.collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str, strict: bool) -> Result<AskedSearch, ApiError> {
        AskedSearch::read(SearchQuery::parse(query).expect("a query"), strict)
    }

    #[test]
    fn what_is_not_known_is_passed_over_or_refused() {
        let asked = read("family=Lee&shoe-size=42&_count=3", false).expect("taken");
        assert_eq!(asked.search.criteria.len(), 1);
        assert_eq!(asked.heeded.encode(), "family=Lee&_count=3");
        assert!(read("family=Lee&shoe-size=42", true).is_err());
        assert!(read("shoe-size=42", false).is_err(), "everybody");
    }

    #[test]
    fn a_modifier_that_is_not_known_changes_the_question_and_is_refused() {
        for bad in [
            "family:text=a",
            "birthdate:exact=1980",
            "gender:not=male",
            "identifier:of-type=a|b|c",
            "family.x=a",
            "_id:exact=1",
        ] {
            assert!(read(bad, false).is_err(), "{bad}");
        }
        for good in ["family:exact=a", "address:contains=a", "birthdate:missing=true&family=a"] {
            assert!(read(good, true).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_value_that_is_not_of_its_type_is_refused() {
        for bad in [
            "birthdate=soon",
            "gender=f",
            "active=yes",
            "family:missing=maybe",
            "family=a&_count=x",
            "_search=1",
        ] {
            assert!(read(bad, false).is_err(), "{bad}");
        }
    }

    #[test]
    fn systems_without_values_limit_what_is_shown() {
        let asked = read("family=Lee&identifier=urn:a|,urn:b|", false).expect("taken");
        assert_eq!(asked.search.systems, ["urn:a", "urn:b"]);
        let mixed = read("identifier=urn:a|,urn:b|7", false).expect("taken");
        assert!(mixed.search.systems.is_empty());
    }
}
