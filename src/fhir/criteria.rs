//! Whether a resource meets the criteria of a search (FHIR R4 §3.1.1.4), read from its raw JSON.

use time::OffsetDateTime;

use super::{
    Reference, Resource,
    dates::{DateCriterion, TimeRange},
    search::{InvalidSearch, Modifier, SearchParameter, SearchQuery, Token},
    search_parameters::{Parameter, ParameterKind, ReadValue, fold, parameter},
};

/// The criteria of one search, all of which a resource must meet.
#[derive(Clone, Debug, Default)]
pub struct Criteria {
    all: Vec<Criterion>,
}

/// One parameter; a resource must meet one of its alternatives.
#[derive(Clone, Debug)]
struct Criterion {
    of: Of,
    test: Test,
}

/// What a criterion is about.
#[derive(Clone, Copy, Debug)]
enum Of {
    Id,
    LastUpdated,
    Parameter(Parameter),
}

#[derive(Clone, Debug)]
enum Test {
    Token {
        any: Vec<Token<'static>>,
        negated: bool,
    },
    Date(Vec<DateCriterion>),
    Text {
        any: Vec<String>,
        how: TextTest,
    },
    Reference(Vec<String>),
    /// `author.family=…`: what is referred to meets the criterion for its type.
    Chained(Vec<(&'static str, Criterion)>),
    Missing(bool),
}

#[derive(Clone, Copy, Debug)]
enum TextTest {
    StartsWith,
    Contains,
    Exact,
}

/// Finds what a reference leads to, where that is at hand.
pub type Follow<'a> = &'a dyn Fn(&str) -> Option<Resource>;

/// How a resource stands to the criteria.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It meets them all.
    Meets,
    /// It meets all but those of date, and tells no such date.
    Undated,
    /// It meets all but those on what it refers to, which is not at hand.
    Unfollowed,
    /// It does not.
    Fails,
}

impl Criteria {
    /// Takes what of a query are criteria on this type, and gives the names that it does not know.
    /// `ours` says which parameters somebody else reads, such as `patient` and `_count`.
    pub fn understand(
        resource_type: &str,
        query: &SearchQuery,
        ours: impl Fn(&SearchParameter) -> bool,
    ) -> Result<(Self, Vec<String>), InvalidSearch> {
        let (mut all, mut unknown) = (Vec::new(), Vec::new());
        for told in query.parameters().iter().filter(|told| !ours(told)) {
            match Criterion::understand(resource_type, told)? {
                Some(criterion) => all.push(criterion),
                None => unknown.push(told.name().to_owned()),
            }
        }
        Ok((Self { all }, unknown))
    }

    /// How a resource stands to them. `now` is for dates that are told as about so long ago, `follow`
    /// for criteria on what the resource refers to.
    pub fn verdict(&self, resource: &Resource, now: OffsetDateTime, follow: Follow<'_>) -> Verdict {
        let mut verdict = Verdict::Meets;
        for criterion in &self.all {
            match criterion.verdict(resource, now, follow) {
                Verdict::Meets => {}
                Verdict::Fails => return Verdict::Fails,
                unknown => verdict = unknown,
            }
        }
        verdict
    }

    /// The types that are referred to by what criteria are chained on.
    pub fn chained_types(&self) -> impl Iterator<Item = &'static str> {
        self.all.iter().flat_map(|criterion| match &criterion.test {
            Test::Chained(any) => any.iter().map(|(kind, _)| *kind).collect(),
            _ => Vec::new(),
        })
    }
}

impl Criterion {
    fn understand(
        resource_type: &str,
        told: &SearchParameter,
    ) -> Result<Option<Self>, InvalidSearch> {
        let (of, kind) = match told.name() {
            "_id" => (Of::Id, ParameterKind::Token),
            "_lastUpdated" => (Of::LastUpdated, ParameterKind::Date),
            name => match parameter(resource_type, name) {
                Some(known) => (Of::Parameter(known), known.kind),
                None => return Ok(None),
            },
        };
        let test = match (told.modifier(), kind) {
            (Some(Modifier::Missing), _) if told.chain().is_none() => Test::missing(told)?,
            (_, ParameterKind::Token) => Test::token(told)?,
            (_, ParameterKind::Date) => Test::date(told)?,
            (_, ParameterKind::Text) => Test::text(told)?,
            (_, ParameterKind::Reference { targets }) if told.chain().is_some() => {
                Test::chained(told, targets)?
            }
            (_, ParameterKind::Patient | ParameterKind::Reference { .. }) => Test::reference(told)?,
        };
        Ok(Some(Self { of, test }))
    }

    fn verdict(&self, resource: &Resource, now: OffsetDateTime, follow: Follow<'_>) -> Verdict {
        let values = self.values(resource);
        let met = match &self.test {
            Test::Missing(missing) => values.is_empty() == *missing,
            Test::Date(_) if values.is_empty() => return Verdict::Undated,
            Test::Date(any) => values.iter().any(|value| match value {
                ReadValue::Date(range) => any.iter().any(|date| date.matches(*range, now)),
                _ => false,
            }),
            Test::Token { any, negated } => {
                let is_one = |value: &ReadValue<'_>| any.iter().any(|token| value.is_token(token));
                values.iter().any(is_one) != *negated
            }
            Test::Text { any, how } => {
                values.iter().any(|value| any.iter().any(|text| how.finds(value, text)))
            }
            Test::Reference(any) => values.iter().any(|value| match value {
                ReadValue::Reference(told) => any.iter().any(|sought| leads_to(told, sought)),
                _ => false,
            }),
            Test::Chained(any) => return chained(any, &values, resource, now, follow),
        };
        if met { Verdict::Meets } else { Verdict::Fails }
    }

    fn values<'a>(&self, resource: &'a Resource) -> Vec<ReadValue<'a>> {
        match self.of {
            Of::Parameter(parameter) => parameter.read(resource.head()),
            Of::Id => {
                let id = resource.id().map(|id| ReadValue::Token { system: None, code: id.into() });
                id.into_iter().collect()
            }
            Of::LastUpdated => {
                let told = resource.head().first_at("meta.lastUpdated");
                let at = told.and_then(|told| TimeRange::parse(&told.text()?).ok());
                at.map(ReadValue::Date).into_iter().collect()
            }
        }
    }
}

impl Test {
    fn missing(told: &SearchParameter) -> Result<Self, InvalidSearch> {
        match told.text() {
            "true" => Ok(Self::Missing(true)),
            "false" => Ok(Self::Missing(false)),
            _ => Err(told.bad_value()),
        }
    }

    fn token(told: &SearchParameter) -> Result<Self, InvalidSearch> {
        let negated = match (told.modifier(), told.chain()) {
            (None, None) => false,
            (Some(Modifier::Not), None) => true,
            _ => return Err(unsupported(told)),
        };
        let any = told.values().map(|value| value.token().into_owned()).collect();
        Ok(Self::Token { any, negated })
    }

    fn date(told: &SearchParameter) -> Result<Self, InvalidSearch> {
        told.plain()?;
        let dates = told.values().map(|value| value.date().map_err(|_| told.bad_value()));
        Ok(Self::Date(dates.collect::<Result<_, _>>()?))
    }

    fn text(told: &SearchParameter) -> Result<Self, InvalidSearch> {
        let how = match (told.modifier(), told.chain()) {
            (None, None) => TextTest::StartsWith,
            (Some(Modifier::Contains), None) => TextTest::Contains,
            (Some(Modifier::Exact), None) => TextTest::Exact,
            _ => return Err(unsupported(told)),
        };
        let any = told.values().map(|value| match how {
            TextTest::Exact => value.text().into_owned(),
            TextTest::StartsWith | TextTest::Contains => fold(&value.text()),
        });
        Ok(Self::Text { any: any.collect(), how })
    }

    /// `param.chained=…` or `param:Type.chained=…`, for those of the types that have such a parameter.
    /// One step and no further, so that the work stays in proportion to the record.
    fn chained(
        told: &SearchParameter,
        targets: &'static [&'static str],
    ) -> Result<Self, InvalidSearch> {
        let of_type = match told.modifier() {
            None => None,
            Some(Modifier::Type(kind)) => Some(&**kind),
            Some(_) => return Err(unsupported(told)),
        };
        let (Some(chain), false) = (told.chain(), told.text().is_empty()) else {
            return Err(unsupported(told));
        };
        let inner = SearchParameter::parse(chain.to_owned(), told.text().to_owned())?;
        if inner.chain().is_some() {
            return Err(unsupported(told));
        }
        let mut any = Vec::new();
        for kind in targets.iter().filter(|kind| of_type.is_none_or(|told| told == **kind)) {
            any.extend(Criterion::understand(kind, &inner)?.map(|criterion| (*kind, criterion)));
        }
        if any.is_empty() { Err(unsupported(told)) } else { Ok(Self::Chained(any)) }
    }

    /// `id`, `Type/id`, a URL, or `param:Type=id`.
    fn reference(told: &SearchParameter) -> Result<Self, InvalidSearch> {
        let of_type = match (told.modifier(), told.chain()) {
            (None, None) => None,
            (Some(Modifier::Type(kind)), None) => Some(kind),
            _ => return Err(unsupported(told)),
        };
        let any = told.values().map(|value| {
            let text = value.text();
            match of_type {
                Some(kind) if !text.contains('/') => format!("{kind}/{text}"),
                _ => text.into_owned(),
            }
        });
        Ok(Self::Reference(any.collect()))
    }
}

fn unsupported(told: &SearchParameter) -> InvalidSearch {
    InvalidSearch::Modifier(told.name().to_owned())
}

impl TextTest {
    fn finds(self, value: &ReadValue<'_>, text: &str) -> bool {
        let ReadValue::Text(told) = value else { return false };
        match self {
            Self::StartsWith => fold(told).starts_with(text),
            Self::Contains => fold(told).contains(text),
            Self::Exact => told == text,
        }
    }
}

fn chained(
    any: &[(&str, Criterion)],
    values: &[ReadValue<'_>],
    resource: &Resource,
    now: OffsetDateTime,
    follow: Follow<'_>,
) -> Verdict {
    let mut verdict = Verdict::Fails;
    for value in values {
        let ReadValue::Reference(told) = value else { continue };
        let Some(target) = contained(resource, told).or_else(|| follow(told)) else {
            verdict = Verdict::Unfollowed;
            continue;
        };
        let mut asked = any.iter().filter(|(kind, _)| target.resource_type() == *kind);
        if asked.any(|(_, one)| one.verdict(&target, now, follow) == Verdict::Meets) {
            return Verdict::Meets;
        }
    }
    verdict
}

/// What a reference within the resource leads to.
fn contained(resource: &Resource, told: &str) -> Option<Resource> {
    let id = told.strip_prefix('#')?;
    let mut items = resource.head().field("contained")?.items();
    let found = items.find(|item| item.text_of("id").as_deref() == Some(id))?;
    Resource::parse(found.raw().as_bytes()).ok()
}

/// Whether a reference is the one that is looked for, which may be an id alone.
fn leads_to(told: &str, sought: &str) -> bool {
    let parts = |text: &'_ str| match Reference::parse(text) {
        Reference::Relative { resource_type, id }
        | Reference::Absolute { resource_type, id, .. } => {
            Some((resource_type.to_owned(), id.to_owned()))
        }
        _ => None,
    };
    match (parts(told), parts(sought)) {
        (Some(told), Some(sought)) => told == sought,
        (Some((_, id)), None) => id == sought,
        _ => told == sought,
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

    fn verdict(json: &str, query: &str) -> Verdict {
        let resource = Resource::parse(json.as_bytes()).expect("a resource");
        let query = SearchQuery::parse(query).expect("a query");
        let (criteria, unknown) =
            Criteria::understand(resource.resource_type(), &query, |_| false).expect("understood");
        assert!(unknown.is_empty(), "{unknown:?}");
        criteria.verdict(&resource, NOW, &|told| {
            (told == "Practitioner/anne.p1")
                .then(|| Resource::parse(NURSE.as_bytes()).expect("one"))
        })
    }

    fn check(json: &str, query: &str, met: bool) {
        let expected = if met { Verdict::Meets } else { Verdict::Fails };
        assert_eq!(verdict(json, query), expected, "{query}");
    }

    const NURSE: &str = r#"{"resourceType":"Practitioner","id":"anne.p1",
        "name":[{"family":"Strand","given":["Mia"]}]}"#;

    const OBSERVATION: &str = r#"{"resourceType":"Observation","id":"anne.o1","status":"final",
        "meta":{"lastUpdated":"2024-03-02T00:00:00Z"},
        "category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]}],
        "code":{"coding":[{"system":"urn:oid:2.16.840.1.113883.6.1","code":"6301-6"}]},
        "encounter":{"reference":"Encounter/anne.e1"},"effectiveDateTime":"2024-03-01T10:00:00Z"}"#;

    #[test]
    fn a_resource_meets_its_criteria_however_its_systems_are_spelled() {
        for query in [
            "code=6301-6",
            "code=http://loinc.org|6301-6",
            "code=https://LOINC.org|6301-6,http://loinc.org|1",
            "category=laboratory&status=final,amended",
            "date=ge2024-03-01&date=lt2024-03-02",
            "encounter=anne.e1",
            "encounter=Encounter/anne.e1",
            "encounter:Encounter=anne.e1",
            "encounter=https://gw.example/fhir/Encounter/anne.e1",
            "_id=anne.o1,anne.o2",
            "_lastUpdated=gt2024-03-01",
            "status:not=cancelled",
            "encounter:missing=false",
        ] {
            check(OBSERVATION, query, true);
        }
        for query in [
            "code=6301-7",
            "code=http://snomed.info/sct|6301-6",
            "category=vital-signs",
            "date=gt2024-03-01",
            "date=2023",
            "encounter=anne.e2",
            "encounter=Condition/anne.e1",
            "_id=anne.o2",
            "status:not=final",
            "encounter:missing=true",
            "code=6301-6&category=exam",
        ] {
            check(OBSERVATION, query, false);
        }
    }

    #[test]
    fn a_criterion_may_be_met_by_what_is_referred_to() {
        let document = |author: &str| {
            format!(
                r#"{{"resourceType":"DocumentReference","id":"1","author":[{author}],"contained":[
                {{"resourceType":"Practitioner","id":"a","name":[{{"family":"Strand"}}]}},
                {{"resourceType":"Organization","id":"b","name":"Strand"}}]}}"#
            )
        };
        let by = |reference: &str| document(&format!(r#"{{"reference":"{reference}"}}"#));
        for told in [by("Practitioner/anne.p1"), by("#a")] {
            check(&told, "author.family=strand", true);
            check(&told, "author:Practitioner.family:exact=Strand", true);
            check(&told, "author.family=jones", false);
        }
        check(&by("Practitioner/anne.p1"), "author.given=mia&author.family=str", true);
        check(&by("#b"), "author.family=strand", false);
        assert_eq!(
            verdict(&by("Practitioner/lake.p9"), "author.family=strand"),
            Verdict::Unfollowed
        );
        check(&document(""), "author.family=strand", false);
    }

    #[test]
    fn codes_are_compared_in_one_spelling() {
        let condition = r#"{"resourceType":"Condition","id":"1","code":{"coding":[
            {"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"E11.9"}]}}"#;
        check(condition, "code=http://hl7.org/fhir/sid/icd-10-cm|E119", true);
        check(condition, "code=http://hl7.org/fhir/sid/icd-10-cm|E11.8", false);
    }

    #[test]
    fn what_tells_no_date_is_told_apart_from_what_was_at_another() {
        let undated = r#"{"resourceType":"Condition","id":"1","code":{"text":"x"}}"#;
        assert_eq!(verdict(undated, "onset-date=ge2020"), Verdict::Undated);
        check(undated, "onset-date=ge2020&code=1", false);
    }

    #[test]
    fn a_modifier_that_is_not_known_is_refused_and_never_passed_over() {
        for query in [
            "code:above=1",
            "code:in=x",
            "status:text=a",
            "date:exact=2020",
            "encounter.colour=2020",
            "encounter:Patient.date=2020",
            "code.x=1",
            "encounter.service-provider.name=x",
        ] {
            let query = SearchQuery::parse(query).expect("a query");
            assert!(Criteria::understand("Observation", &query, |_| false).is_err(), "{query:?}");
        }
        let query = SearchQuery::parse("nothing=1").expect("a query");
        let (_, unknown) = Criteria::understand("Observation", &query, |_| false).expect("read");
        assert_eq!(unknown, ["nothing"]);
    }
}
