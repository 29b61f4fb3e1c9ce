//! Why a pair scored as it did: a waterfall from the prior to the verdict.

use serde::Serialize;

use super::{
    columns::{Field, NameRow, PlaceRow, Side, View},
    comparison::{Chosen, Comparison, compare},
    grade::MatchGrade,
    levels::{ATTRIBUTES, Attribute, MISSING, Pattern},
    model::{Class, Model},
    normalize::BirthDate,
    scoring::Scorer,
    term_frequency::TermWeights,
    veto::Veto,
};

/// How a verdict came about. Holds the values compared: PHI.
#[derive(Clone, Serialize)]
pub struct Explanation {
    /// The model's version.
    pub model: String,
    /// Bits before anything is compared: how rare matches are among pairs.
    pub prior_bits: f32,
    /// One step for each attribute; prior and steps add up to `bits`.
    pub steps: Vec<Step>,
    /// The weight.
    pub bits: f32,
    /// What it means.
    pub grade: MatchGrade,
    /// What forbids a link.
    pub vetoes: Vec<Veto>,
    /// How likely each kind of pair is, given all that was compared; they sum to 1.
    pub kinds: Vec<Kind>,
    /// The thresholds in bits: link, review.
    pub thresholds: (f32, f32),
}

/// One attribute's part in the weight.
#[derive(Clone, Serialize)]
pub struct Step {
    /// The attribute.
    pub attribute: &'static str,
    /// The values compared, normalized; of several the best pair.
    pub left: String,
    /// The other record's.
    pub right: String,
    /// The comparison level, or `missing`.
    pub level: &'static str,
    /// P(level | same person).
    pub m_probability: f64,
    /// P(level | strangers), before the value's frequency counts.
    pub u_probability: f64,
    /// Bits by which the value's own frequency moves strangers' agreement: negative for rare values.
    pub frequency_bits: f32,
    /// What the step adds to the weight. Kinds of pairs are weighed together, so this depends on the steps
    /// before it.
    pub bits: f32,
}

/// One kind of pair.
#[derive(Clone, Serialize)]
pub struct Kind {
    /// Its name.
    pub kind: &'static str,
    /// P(kind | comparison).
    pub probability: f64,
}

pub(crate) fn explain(
    view: View<'_>,
    model: &Model,
    scorer: &Scorer,
    terms: &TermWeights,
    (a, b): (Side<'_>, Side<'_>),
) -> Explanation {
    let comparison = compare(view, terms, a, b);
    let values = Values { view, a, b, chosen: comparison.chosen };
    let mut pattern = Pattern::EMPTY;
    let mut frequency = 0.0;
    let mut bits = scorer.score_pattern(pattern, frequency).bits;
    let prior_bits = bits;
    let mut steps = Vec::with_capacity(ATTRIBUTES);
    for attribute in Attribute::ALL {
        let level = comparison.pattern.level(attribute);
        pattern = pattern.with(attribute, level);
        frequency += comparison.frequency[attribute as usize];
        let after = scorer.score_pattern(pattern, frequency).bits;
        let (left, right) = values.of(attribute);
        let ln = scorer.ln_level(attribute, level);
        steps.push(Step {
            attribute: attribute.name(),
            left,
            right,
            level: level_name(attribute, level),
            m_probability: f64::from(ln[Class::Match as usize]).exp(),
            u_probability: f64::from(ln[Class::Stranger as usize]).exp(),
            frequency_bits: comparison.frequency[attribute as usize] * std::f32::consts::LOG2_E,
            bits: after - bits,
        });
        bits = after;
    }
    Explanation {
        model: model.version().to_owned(),
        prior_bits,
        steps,
        bits,
        grade: MatchGrade::of(model, bits, !comparison.vetoes.is_empty()),
        vetoes: comparison.vetoes.iter().collect(),
        kinds: kinds(scorer, &comparison),
        thresholds: (model.link_bits(), model.review_bits()),
    }
}

fn level_name(attribute: Attribute, level: u8) -> &'static str {
    if level == MISSING { "missing" } else { attribute.levels()[usize::from(level)] }
}

fn kinds(scorer: &Scorer, comparison: &Comparison) -> Vec<Kind> {
    let expected = scorer.ln_expected(comparison.pattern, comparison.frequency());
    let largest = expected.iter().copied().fold(f32::MIN, f32::max);
    let shares = expected.map(|ln| f64::from(ln - largest).exp());
    let total: f64 = shares.iter().sum();
    let kind =
        |class: Class| Kind { kind: class.name(), probability: shares[class as usize] / total };
    Class::ALL.into_iter().map(kind).collect()
}

struct Values<'a> {
    view: View<'a>,
    a: Side<'a>,
    b: Side<'a>,
    chosen: Chosen,
}

impl<'a> Values<'a> {
    fn of(&self, attribute: Attribute) -> (String, String) {
        let chosen = &self.chosen;
        let both = |places: (u8, u8), read: &dyn Fn(Side<'a>, u8) -> String| {
            (read(self.a, places.0), read(self.b, places.1))
        };
        let name = |read: &dyn Fn(&NameRow) -> String| {
            both(chosen.name, &|side, place| {
                side.names().nth(usize::from(place)).map(read).unwrap_or_default()
            })
        };
        match attribute {
            Attribute::GivenName => name(&|n| self.text(Field::Name, n.given)),
            Attribute::MiddleName => name(&|n| self.text(Field::Name, n.middle)),
            Attribute::FamilyName => name(&|n| self.text(Field::Name, n.family)),
            Attribute::Suffix => name(&|n| n.suffix.text().to_owned()),
            Attribute::Sex => both((0, 0), &|side, _| sex(side.row.sex)),
            Attribute::BirthDate => both((0, 0), &|side, _| date(side.row.birth_date)),
            Attribute::SocialSecurity => both(chosen.ssn, &|side, place| {
                let ssn = side.ssns().nth(usize::from(place)).copied().unwrap_or_default();
                let id = if ssn.whole == 0 { ssn.last_four } else { ssn.whole };
                self.text(Field::Ssn, id)
            }),
            Attribute::Phone => {
                both(chosen.phone, &|side, place| self.nth(Field::Phone, side.phones(), place))
            }
            Attribute::Email => {
                both(chosen.email, &|side, place| self.nth(Field::Email, side.emails(), place))
            }
            Attribute::Location => both(chosen.place, &|side, place| {
                side.places().nth(usize::from(place)).map(|p| self.place(p)).unwrap_or_default()
            }),
            Attribute::RecordNumber => {
                both(chosen.record_number, &|side, place| self.number(side.record_numbers(), place))
            }
            Attribute::Identifier => {
                both(chosen.identifier, &|side, place| self.number(side.identifiers(), place))
            }
        }
    }

    fn nth(&self, field: Field, mut ids: impl Iterator<Item = u32>, place: u8) -> String {
        self.text(field, ids.nth(usize::from(place)).unwrap_or(0))
    }

    fn number(&self, mut ids: impl Iterator<Item = u32>, place: u8) -> String {
        let number = self.view.number(ids.nth(usize::from(place)).unwrap_or(0));
        // The namespace's end is a control character.
        String::from_utf8_lossy(&number).replace('\u{1f}', " ")
    }

    fn text(&self, field: Field, id: u32) -> String {
        String::from_utf8_lossy(self.view.text(field, id)).into_owned()
    }

    fn place(&self, place: &PlaceRow) -> String {
        let parts = [
            (Field::Street, place.number),
            (Field::Street, place.street),
            (Field::Street, place.unit),
            (Field::Area, place.city),
            (Field::Area, place.postal_code),
        ];
        let texts = parts.map(|(field, id)| self.text(field, id));
        let told: Vec<&str> =
            texts.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
        told.join(" ")
    }
}

fn sex(code: u8) -> String {
    if code == 0 { String::new() } else { char::from(code).to_string() }
}

fn date(date: BirthDate) -> String {
    match (date.is_told(), date.month(), date.day()) {
        (false, ..) => String::new(),
        (_, 0, _) => format!("{:04}", date.year()),
        (_, month, 0) => format!("{:04}-{month:02}", date.year()),
        (_, month, day) => format!("{:04}-{month:02}-{day:02}", date.year()),
    }
}
