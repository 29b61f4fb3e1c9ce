//! What a decision is told in its `Parameters`.

use super::{
    error::ApiError,
    parameters::{Parameter, Parameters},
};
use crate::domain::{EnterpriseId, LocalId};

/// The longest reason that is kept, in characters.
const REASON_CHARS_MAX: usize = 2_000;

impl Parameters {
    fn named<'a>(&'a self, name: &'static str) -> impl Iterator<Item = &'a Parameter> {
        self.parameter.iter().filter(move |parameter| parameter.name == name)
    }

    fn one(&self, name: &'static str) -> Result<&Parameter, ApiError> {
        let mut all = self.named(name);
        match (all.next(), all.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(ApiError::invalid(name, "is missing")),
            (Some(_), Some(_)) => Err(ApiError::invalid(name, "is given more than once")),
        }
    }

    /// `name` as `valueCode` or `valueString`.
    pub(super) fn code(&self, name: &'static str) -> Result<&str, ApiError> {
        let told = self.one(name)?;
        let told = told.value_code.as_deref().or(told.value_string.as_deref());
        told.ok_or(ApiError::invalid(name, "needs a valueCode"))
    }

    /// The reason that every decision needs.
    pub(super) fn reason(&self) -> Result<String, ApiError> {
        const NAME: &str = "reason";
        let told = self.one(NAME)?.value_string.as_deref().unwrap_or_default().trim();
        if told.is_empty() || told.chars().count() > REASON_CHARS_MAX {
            return Err(ApiError::invalid(NAME, "needs a valueString of 1 to 2000 characters"));
        }
        Ok(told.to_owned())
    }

    /// `name` as `valuePositiveInt` or `valueInteger`.
    pub(super) fn number(&self, name: &'static str) -> Result<u64, ApiError> {
        let told = self.one(name)?;
        let told = told.value_positive_int.or(told.value_integer);
        told.and_then(|number| u64::try_from(number).ok())
            .ok_or(ApiError::invalid(name, "needs a valuePositiveInt"))
    }

    /// `name` as a reference to a Patient of the exchange.
    pub(super) fn patient(&self, name: &'static str) -> Result<EnterpriseId, ApiError> {
        let told = self.one(name)?.value_reference.as_ref();
        let told = told.and_then(|told| told.reference.as_deref());
        let wrong = ApiError::invalid(name, "needs a valueReference to Patient/{enterprise id}");
        let id = told.ok_or(wrong)?.rsplit('/').next().unwrap_or_default();
        EnterpriseId::parse(id).map_err(|_| ApiError::UnknownId)
    }

    /// All of `name` as identifiers, at least one.
    pub(super) fn identifiers(&self, name: &'static str) -> Result<Vec<LocalId>, ApiError> {
        let wrong = || ApiError::invalid(name, "needs a valueIdentifier with system and value");
        let told = self.named(name).map(|told| {
            let told = told.value_identifier.as_ref().ok_or_else(wrong)?;
            LocalId::parse(&told.system, &told.value)
                .map_err(|problem| ApiError::BadIdentifier { place: name, problem })
        });
        let told: Vec<LocalId> = told.collect::<Result<_, _>>()?;
        if told.is_empty() { Err(ApiError::invalid(name, "is missing")) } else { Ok(told) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(parameter: &str) -> Parameters {
        let body = format!(r#"{{"resourceType":"Parameters","parameter":[{parameter}]}}"#);
        Parameters::parse(body.as_bytes()).expect("parameters")
    }

    #[test]
    fn parameters_are_read_by_name_and_kind() {
        let told = parse(
            r#"{"name":"decision","valueCode":"same"},{"name":"reason","valueString":" seen both "},
            {"name":"record","valueIdentifier":{"system":"urn:a","value":"1"}},
            {"name":"record","valueIdentifier":{"system":"urn:a","value":"2"}},
            {"name":"number","valuePositiveInt":7}"#,
        );
        assert_eq!(told.code("decision").expect("told"), "same");
        assert_eq!(told.reason().expect("told"), "seen both");
        assert_eq!(told.identifiers("record").expect("told").len(), 2);
        assert_eq!(told.number("number").expect("told"), 7);
        assert!(told.number("decision").is_err() && told.code("other").is_err());
        assert!(told.patient("decision").is_err());
    }

    #[test]
    fn what_is_missing_twice_or_empty_is_refused() {
        for bad in [
            "",
            r#"{"name":"reason","valueString":" "}"#,
            r#"{"name":"reason","valueString":"a"},{"name":"reason","valueString":"b"}"#,
            r#"{"name":"reason","valueCode":"a"}"#,
        ] {
            assert!(parse(bad).reason().is_err(), "{bad}");
        }
        assert!(
            parse(r#"{"name":"record","valueIdentifier":{"value":"1"}}"#)
                .identifiers("record")
                .is_err()
        );
    }
}
