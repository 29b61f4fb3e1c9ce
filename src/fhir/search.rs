//! Search parameters as a URL or a form body tells them (FHIR R4 §3.1.1), before any server's
//! own list of parameters is consulted.

use std::{borrow::Cow, fmt};

use thiserror::Error;
use url::form_urlencoded;

use super::dates::{DateCriterion, InvalidDateTime};

/// The longest query, in bytes: room for some hundred ids in one `_id`.
pub const QUERY_BYTES_MAX: usize = 32 * 1024;
/// The most parameters in one query.
pub const PARAMETERS_MAX: usize = 64;
/// The most alternatives in one parameter.
pub const VALUES_MAX: usize = 512;

const NAME_BYTES_MAX: usize = 64;

/// The parameters of one search, in order. Repeats are all to be met (AND).
#[derive(Clone, Debug, Default)]
pub struct SearchQuery {
    parameters: Vec<SearchParameter>,
}

impl SearchQuery {
    /// Parses a query string or an `application/x-www-form-urlencoded` body. A parameter without a
    /// value is left out, as FHIR has it.
    pub fn parse(text: &str) -> Result<Self, InvalidSearch> {
        let mut query = Self::default();
        query.extend(text)?;
        Ok(query)
    }

    /// Adds the parameters of a form body to those of the URL.
    pub fn extend(&mut self, text: &str) -> Result<(), InvalidSearch> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(InvalidSearch::TooLong);
        }
        for (key, value) in form_urlencoded::parse(text.as_bytes()) {
            if value.is_empty() {
                continue;
            }
            if self.parameters.len() == PARAMETERS_MAX {
                return Err(InvalidSearch::TooMany);
            }
            self.parameters.push(SearchParameter::parse(key.into_owned(), value.into_owned())?);
        }
        Ok(())
    }

    /// All parameters.
    pub fn parameters(&self) -> &[SearchParameter] {
        &self.parameters
    }

    /// Every parameter of this name, whatever its modifier.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a SearchParameter> {
        self.parameters.iter().filter(move |parameter| parameter.name() == name)
    }

    /// The text of a parameter that may be given once and has neither modifier nor chain.
    pub fn single(&self, name: &'static str) -> Result<Option<&str>, InvalidSearch> {
        let mut all = self.named(name);
        let first = all.next();
        if all.next().is_some() {
            return Err(InvalidSearch::Repeated(name.to_owned()));
        }
        first.map(|parameter| parameter.plain().map(|()| parameter.text())).transpose()
    }

    /// `_count`: how many matches a page may have.
    pub fn count(&self) -> Result<Option<u32>, InvalidSearch> {
        let told = self.single("_count")?;
        told.map(|text| text.parse().map_err(|_| InvalidSearch::Value("_count".into()))).transpose()
    }

    /// Leaves out what `keep` does not want, such as parameters that were ignored.
    #[must_use]
    pub fn only(mut self, keep: impl FnMut(&SearchParameter) -> bool) -> Self {
        self.parameters.retain(keep);
        self
    }

    /// The query string that parses to this query, without `?`.
    pub fn encode(&self) -> String {
        let mut out = form_urlencoded::Serializer::new(String::new());
        for parameter in &self.parameters {
            out.append_pair(&parameter.key, &parameter.value);
        }
        out.finish()
    }
}

/// One parameter: `name:modifier=value,value` or `name.chain=value`.
#[derive(Clone)]
pub struct SearchParameter {
    key: String,
    value: String,
    name_bytes: usize,
    modifier: Option<Modifier>,
    chain: Option<String>,
}

impl SearchParameter {
    pub(super) fn parse(key: String, value: String) -> Result<Self, InvalidSearch> {
        let name_bytes = key.find([':', '.']).unwrap_or(key.len());
        let name = &key[..name_bytes];
        if !is_name(name) {
            return Err(InvalidSearch::Name);
        }
        let unclean = |c: char| c == char::REPLACEMENT_CHARACTER || c.is_control();
        if key.contains(unclean) || value.contains(unclean) {
            return Err(InvalidSearch::Characters);
        }
        if split_unescaped(&value, ',').count() > VALUES_MAX {
            return Err(InvalidSearch::TooManyValues(name.to_owned()));
        }
        let (modifier, chain) = read_suffix(name, &key[name_bytes..])?;
        Ok(Self { key, value, name_bytes, modifier, chain })
    }

    /// Its name, such as `code`.
    pub fn name(&self) -> &str {
        &self.key[..self.name_bytes]
    }

    /// Its modifier, where it has one.
    pub fn modifier(&self) -> Option<&Modifier> {
        self.modifier.as_ref()
    }

    /// What follows a dot (`identifier` of `patient.identifier`) or `_has:`.
    pub fn chain(&self) -> Option<&str> {
        self.chain.as_deref()
    }

    /// The value as sent, commas and escapes included.
    pub fn text(&self) -> &str {
        &self.value
    }

    /// The alternatives (OR); empty ones are left out.
    pub fn values(&self) -> impl Iterator<Item = SearchValue<'_>> {
        split_unescaped(&self.value, ',').filter(|value| !value.is_empty()).map(SearchValue)
    }

    /// Refuses a modifier or chain; for parameters that know none.
    pub fn plain(&self) -> Result<(), InvalidSearch> {
        if self.modifier.is_some() || self.chain.is_some() {
            return Err(InvalidSearch::Modifier(self.name().to_owned()));
        }
        Ok(())
    }

    /// The error that the value of this parameter is none of its type.
    pub fn bad_value(&self) -> InvalidSearch {
        InvalidSearch::Value(self.name().to_owned())
    }
}

impl fmt::Debug for SearchParameter {
    // A value may be a patient's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SearchParameter({}=…)", self.key)
    }
}

fn is_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'$');
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(legal)
}

/// Reads `:modifier`, `:Type.chain`, `.chain` or what follows `_has:`.
fn read_suffix(
    name: &str,
    suffix: &str,
) -> Result<(Option<Modifier>, Option<String>), InvalidSearch> {
    if let Some(chain) = suffix.strip_prefix('.') {
        return Ok((None, Some(chain.to_owned())));
    }
    let Some(suffix) = suffix.strip_prefix(':') else { return Ok((None, None)) };
    if name == "_has" {
        return Ok((None, Some(suffix.to_owned())));
    }
    let (modifier, chain) = match suffix.split_once('.') {
        Some((modifier, chain)) => (modifier, Some(chain.to_owned())),
        None => (suffix, None),
    };
    let modifier = Modifier::parse(modifier);
    Ok((Some(modifier.ok_or_else(|| InvalidSearch::Modifier(name.to_owned()))?), chain))
}

/// The modifiers of FHIR R4 §3.1.1.4.5. Which of them a parameter takes, its server knows; it
/// must refuse the others, since to ignore one changes the question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Modifier {
    /// `:missing=true|false`
    Missing,
    /// `:exact`
    Exact,
    /// `:contains`
    Contains,
    /// `:text`
    Text,
    /// `:not`
    Not,
    /// `:above`
    Above,
    /// `:below`
    Below,
    /// `:in`
    In,
    /// `:not-in`
    NotIn,
    /// `:of-type`, written `:ofType` in R4
    OfType,
    /// `:identifier`
    Identifier,
    /// `:iterate` of `_include` and `_revinclude`
    Iterate,
    /// `:Patient` and other resource types, on a reference
    Type(String),
}

impl Modifier {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "missing" => Self::Missing,
            "exact" => Self::Exact,
            "contains" => Self::Contains,
            "text" => Self::Text,
            "not" => Self::Not,
            "above" => Self::Above,
            "below" => Self::Below,
            "in" => Self::In,
            "not-in" => Self::NotIn,
            "of-type" | "ofType" => Self::OfType,
            "identifier" => Self::Identifier,
            "iterate" | "recurse" => Self::Iterate,
            _ if is_type(text) => Self::Type(text.to_owned()),
            _ => return None,
        })
    }
}

fn is_type(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX
        && text.bytes().all(|b| b.is_ascii_alphabetic())
        && text.bytes().next().is_some_and(|b| b.is_ascii_uppercase())
}

/// One alternative of a parameter, its escapes still in place.
#[derive(Clone, Copy)]
pub struct SearchValue<'a>(&'a str);

impl<'a> SearchValue<'a> {
    /// The text, escapes undone.
    pub fn text(self) -> Cow<'a, str> {
        unescape(self.0)
    }

    /// Read as a token: `code`, `system|code`, `|code` or `system|`.
    pub fn token(self) -> Token<'a> {
        let first = split_unescaped(self.0, '|').next().unwrap_or_default();
        if first.len() == self.0.len() {
            return Token { system: TokenSystem::Any, code: Some(unescape(first)) };
        }
        // A second bar belongs to the code, as clients write `system|a|b` without escaping it.
        let second = &self.0[first.len() + 1..];
        let system =
            if first.is_empty() { TokenSystem::None } else { TokenSystem::Is(unescape(first)) };
        Token { system, code: (!second.is_empty()).then(|| unescape(second)) }
    }

    /// Read as a date with a prefix.
    pub fn date(self) -> Result<DateCriterion, InvalidDateTime> {
        DateCriterion::parse(self.0)
    }
}

impl fmt::Debug for SearchValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SearchValue(…)")
    }
}

/// A token to look for.
#[derive(Clone, PartialEq, Eq)]
pub struct Token<'a> {
    /// In which system.
    pub system: TokenSystem<'a>,
    /// The code or value; `None` for any (`system|`).
    pub code: Option<Cow<'a, str>>,
}

impl fmt::Debug for Token<'_> {
    // The value of an identifier is PHI.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({:?}|…)", self.system)
    }
}

/// What a token says of its system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSystem<'a> {
    /// `code`: whichever.
    Any,
    /// `|code`: explicitly none.
    None,
    /// `system|…`.
    Is(Cow<'a, str>),
}

impl Token<'_> {
    /// The same token, borrowing nothing.
    pub fn into_owned(self) -> Token<'static> {
        let system = match self.system {
            TokenSystem::Any => TokenSystem::Any,
            TokenSystem::None => TokenSystem::None,
            TokenSystem::Is(system) => TokenSystem::Is(Cow::Owned(system.into_owned())),
        };
        Token { system, code: self.code.map(|code| Cow::Owned(code.into_owned())) }
    }

    /// Whether a coded value or identifier is meant. Compared exactly, case included.
    pub fn matches(&self, system: Option<&str>, code: &str) -> bool {
        let in_system = match &self.system {
            TokenSystem::Any => true,
            TokenSystem::None => system.is_none(),
            TokenSystem::Is(told) => system == Some(told),
        };
        in_system && self.code.as_ref().is_none_or(|told| told == code)
    }
}

/// Splits at a separator that no backslash stands before.
fn split_unescaped(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    text.split(move |c| {
        let here = c == separator && !escaped;
        escaped = c == '\\' && !escaped;
        here
    })
}

/// Undoes `\,` `\|` `\$` and `\\`; any other backslash stands for itself.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let next = characters.peek().copied().filter(|next| matches!(next, ',' | '|' | '$' | '\\'));
        match next {
            Some(next) if c == '\\' => {
                characters.next();
                out.push(next);
            }
            _ => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Escapes text so that it is one value of a parameter: the inverse of [`SearchValue::text`].
pub fn escape(text: &str) -> Cow<'_, str> {
    const SPECIAL: [char; 4] = ['\\', ',', '|', '$'];
    if !text.contains(SPECIAL) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 4);
    for c in text.chars() {
        if SPECIAL.contains(&c) {
            out.push('\\');
        }
        out.push(c);
    }
    Cow::Owned(out)
}

/// Why a search cannot be understood. Names the parameter, never its value.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidSearch {
    /// More than [`QUERY_BYTES_MAX`].
    #[error("the query is longer than {QUERY_BYTES_MAX} bytes")]
    TooLong,
    /// More than [`PARAMETERS_MAX`].
    #[error("the query has more than {PARAMETERS_MAX} parameters")]
    TooMany,
    /// More than [`VALUES_MAX`].
    #[error("parameter {0} has more than {VALUES_MAX} values")]
    TooManyValues(String),
    /// A name that no parameter can have.
    #[error("a parameter has no legal name")]
    Name,
    /// Not UTF-8, or control characters.
    #[error("a parameter is not plain UTF-8 text")]
    Characters,
    /// A modifier or chain that is not known or not supported there.
    #[error("parameter {0} does not take that modifier or chain")]
    Modifier(String),
    /// A value that is none of the parameter's type.
    #[error("parameter {0} has a value that is not of its type")]
    Value(String),
    /// Given twice where once is all.
    #[error("parameter {0} may be given once")]
    Repeated(String),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(text: &str) -> SearchParameter {
        let query = SearchQuery::parse(text).expect("a query");
        assert_eq!(query.parameters().len(), 1);
        query.parameters()[0].clone()
    }

    fn values(text: &str) -> Vec<String> {
        one(text).values().map(|value| value.text().into_owned()).collect()
    }

    fn error(text: &str) -> InvalidSearch {
        SearchQuery::parse(text).expect_err("refused")
    }

    #[test]
    fn commas_are_alternatives_unless_escaped() {
        assert_eq!(values("status=active,on-hold"), ["active", "on-hold"]);
        assert_eq!(values(r"name=a\,b,c\\,d,,e\x"), ["a,b", r"c\", "d", r"e\x"]);
        assert_eq!(values("code=a%2Cb"), ["a", "b"], "percent-decoded first, then split");
    }

    #[test]
    fn repeats_are_kept_and_empty_values_left_out() {
        let query = SearchQuery::parse("date=ge2024&date=le2025&code=&status=final");
        let query = query.expect("a query");
        assert_eq!(query.named("date").count(), 2);
        assert_eq!(query.parameters().len(), 3);
    }

    #[test]
    fn tokens_are_taken_apart_at_an_unescaped_bar() {
        let token = |text: &str| {
            let parameter = one(&format!("code={text}"));
            let value = parameter.values().next().expect("a value");
            let Token { system, code } = value.token();
            let system = match system {
                TokenSystem::Any => "any".to_owned(),
                TokenSystem::None => "none".to_owned(),
                TokenSystem::Is(system) => system.into_owned(),
            };
            (system, code.map(Cow::into_owned))
        };
        assert_eq!(token("a"), ("any".into(), Some("a".into())));
        assert_eq!(
            token("http://loinc.org|8480-6"),
            ("http://loinc.org".into(), Some("8480-6".into()))
        );
        assert_eq!(token("|a"), ("none".into(), Some("a".into())));
        assert_eq!(token("urn:x|"), ("urn:x".into(), None));
        assert_eq!(token(r"urn:x|a\|b"), ("urn:x".into(), Some("a|b".into())));
        assert_eq!(token("urn:x|a|b"), ("urn:x".into(), Some("a|b".into())));
        assert_eq!(token("|"), ("none".into(), None));
    }

    #[test]
    fn a_token_matches_exactly() {
        let token = |text: &'static str| SearchValue(text).token();
        assert!(token("a").matches(Some("urn:x"), "a") && token("a").matches(None, "a"));
        assert!(token("|a").matches(None, "a") && !token("|a").matches(Some("urn:x"), "a"));
        assert!(token("urn:x|").matches(Some("urn:x"), "z") && !token("urn:x|").matches(None, "z"));
        assert!(!token("urn:x|a").matches(Some("urn:x"), "A"));
    }

    #[test]
    fn modifiers_and_chains_are_told_apart() {
        assert_eq!(one("code:not=a").modifier(), Some(&Modifier::Not));
        assert_eq!(one("subject:Patient=1").modifier(), Some(&Modifier::Type("Patient".into())));
        let chained = one("subject:Patient.identifier=a");
        assert_eq!((chained.name(), chained.chain()), ("subject", Some("identifier")));
        assert_eq!(one("patient.identifier=x|1").chain(), Some("identifier"));
        assert_eq!(
            one("_has:Observation:patient:code=1").chain(),
            Some("Observation:patient:code")
        );
        assert_eq!(one("_include:iterate=A:b").modifier(), Some(&Modifier::Iterate));
        assert_eq!(error("code:sounds-like=a"), InvalidSearch::Modifier("code".into()));
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_by_name() {
        assert_eq!(error(&format!("a={}", "x".repeat(QUERY_BYTES_MAX))), InvalidSearch::TooLong);
        assert_eq!(error(&"a=1&".repeat(65)), InvalidSearch::TooMany);
        assert_eq!(
            error(&format!("a={}", "1,".repeat(512))),
            InvalidSearch::TooManyValues("a".into())
        );
        assert_eq!(error("a=%FF"), InvalidSearch::Characters);
        assert_eq!(error("a=%00"), InvalidSearch::Characters);
        assert_eq!(error("=x"), InvalidSearch::Name);
        assert_eq!(error("a%20b=x"), InvalidSearch::Name);
    }

    #[test]
    fn a_count_is_one_number() {
        let count = |text: &str| SearchQuery::parse(text).expect("a query").count();
        assert_eq!(count("_count=20"), Ok(Some(20)));
        assert_eq!(count("code=a"), Ok(None));
        assert_eq!(count("_count=-1"), Err(InvalidSearch::Value("_count".into())));
        assert_eq!(count("_count=1&_count=2"), Err(InvalidSearch::Repeated("_count".into())));
        assert_eq!(count("_count:not=1"), Err(InvalidSearch::Modifier("_count".into())));
    }

    #[test]
    fn debug_never_shows_a_value() {
        let parameter = one("identifier=urn:x|secret");
        let value = parameter.values().next().expect("a value");
        assert!(!format!("{parameter:?}{value:?}{:?}", value.token()).contains("secret"));
    }

    proptest! {
        #[test]
        fn an_escaped_text_is_one_value_again(text in "[^\\p{Cc}\u{FFFD}]{1,40}") {
            let encoded = form_urlencoded::Serializer::new(String::new())
                .append_pair("name", &escape(&text))
                .finish();
            prop_assert_eq!(values(&encoded), vec![text]);
        }

        #[test]
        fn an_encoded_query_parses_to_itself(text in "[a-z_=&|,%+ \\\\]{0,60}") {
            if let Ok(query) = SearchQuery::parse(&text) {
                let again = SearchQuery::parse(&query.encode()).expect("our own encoding");
                prop_assert_eq!(again.encode(), query.encode());
            }
        }
    }
}
