//! Numbers and units, whoever wrote them.

use std::{borrow::Cow, fmt};

use crate::fhir::Element;

/// A JSON number in one exact spelling, whatever zeros and exponent it was told with: `3.10`, `3.1`
/// and `31e-1` are one. Digits and a power of ten, since no float holds every decimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::record) struct Number {
    /// Sign and digits without zeros at either end; `0` for zero.
    digits: String,
    power: i64,
}

impl Number {
    /// Reads a number; `None` where it is none, or its exponent fits nothing.
    pub(in crate::record) fn parse(raw: &str) -> Option<Self> {
        let (negative, rest) = raw.strip_prefix('-').map_or((false, raw), |rest| (true, rest));
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
            return None;
        }
        let digits = format!("{whole}{fraction}");
        let significant = digits.trim_start_matches('0');
        let trimmed = significant.trim_end_matches('0');
        if trimmed.is_empty() {
            return Some(Self { digits: "0".to_owned(), power: 0 });
        }
        let zeros = (significant.len() - trimmed.len()) as i64;
        let power = exponent.checked_sub(fraction.len() as i64)?.checked_add(zeros)?;
        Some(Self { digits: format!("{}{trimmed}", if negative { "-" } else { "" }), power })
    }

    /// The number times a power of ten.
    fn scaled(&self, power: i64) -> Self {
        let is_zero = self.digits == "0";
        let power = if is_zero { 0 } else { self.power.saturating_add(power) };
        Self { digits: self.digits.clone(), power }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}e{}", self.digits, self.power)
    }
}

/// A Quantity or Money: comparator, number, unit.
#[derive(Clone, Debug)]
pub(in crate::record) struct Quantity {
    comparator: String,
    number: Number,
    unit: Unit,
}

impl Quantity {
    /// Reads an object that holds a number and what belongs to it, and nothing else.
    pub(in crate::record) fn of(element: Element<'_>) -> Option<Self> {
        let number = element.field("value").and_then(|value| Number::parse(value.raw()))?;
        let known = |name: &str| {
            matches!(
                name,
                "value"
                    | "comparator"
                    | "unit"
                    | "system"
                    | "code"
                    | "currency"
                    | "id"
                    | "extension"
            )
        };
        if !element.fields().all(|(name, _)| known(&name)) {
            return None;
        }
        let comparator = element.text_of("comparator").unwrap_or_default().into_owned();
        Some(Self { comparator, number, unit: Unit::of(element) })
    }

    /// Whether both are one quantity: `1 g/L` is `100 mg/dL`, exactly.
    pub(in crate::record) fn agrees(&self, other: &Self) -> bool {
        if self.comparator != other.comparator {
            return false;
        }
        match (self.unit.scale(), other.unit.scale()) {
            (Some((base, power)), Some((other_base, other_power))) => {
                base == other_base && self.number.scaled(power) == other.number.scaled(other_power)
            }
            _ => self.number == other.number && self.unit.agrees(&other.unit),
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit.scale() {
            Some((base, power)) => {
                write!(f, "{}{} {base}", self.comparator, self.number.scaled(power))
            }
            None => write!(f, "{}{} {}", self.comparator, self.number, self.unit.key()),
        }
    }
}

/// A unit as it was told: UCUM code and the unit that people read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Unit {
    code: Option<String>,
    text: Option<String>,
}

impl Unit {
    /// The unit of a Quantity or Money.
    fn of(quantity: Element<'_>) -> Self {
        let told = |name: &str| {
            quantity
                .text_of(name)
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
        };
        Self {
            code: told("code").or_else(|| told("currency")).map(|code| ucum(&code)),
            text: told("unit").map(|text| plain(&text)),
        }
    }

    /// One unit by whatever both tell, case aside; where both tell a code, that was compared.
    fn agrees(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        let spellings = |unit: &Self| {
            let code = unit.code.as_deref().map(plain);
            [code, unit.text.clone()].into_iter().flatten().collect::<Vec<_>>()
        };
        let other = spellings(other);
        spellings(self).iter().any(|own| other.contains(own))
    }

    /// Its UCUM code in base units, and the power of ten that leads there.
    fn scale(&self) -> Option<(String, i64)> {
        self.code.as_deref().map(scale)
    }

    /// One spelling, for content compared as a whole.
    fn key(&self) -> &str {
        self.code.as_deref().or(self.text.as_deref()).unwrap_or_default()
    }
}

/// A UCUM code without its annotations (`{beats}/min` is `/min`), with `L` for liter and `*` for
/// the power sign, as UCUM §2.1 and §2.3 allow both.
fn ucum(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut depth = 0_u32;
    for c in code.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            '^' => out.push('*'),
            _ => out.push(c),
        }
    }
    let parts: Vec<Cow<'_, str>> = out
        .split_inclusive(['/', '.'])
        .map(|part| {
            let (symbol, sign) = match part.strip_suffix(['/', '.']) {
                Some(symbol) => (symbol, part.get(symbol.len()..).unwrap_or_default()),
                None => (part, ""),
            };
            match symbol.strip_suffix('l') {
                Some(prefix) if LITER_PREFIXES.contains(&prefix) => {
                    Cow::Owned(format!("{prefix}L{sign}"))
                }
                _ => Cow::Borrowed(part),
            }
        })
        .collect();
    parts.concat()
}

/// Metric units of UCUM that laboratories use: they take prefixes (UCUM §4.2).
const METRIC: &[&str] = &[
    "g", "L", "m", "mol", "s", "eq", "osm", "[IU]", "[iU]", "U", "kat", "Pa", "Hz", "J", "W", "V",
    "A", "K", "N", "C", "cal", "Gy", "Sv", "Bq", "m[Hg]", "m[H2O]",
];

/// UCUM prefixes and their powers of ten (UCUM table 1).
const PREFIXES: &[(&str, i64)] = &[
    ("da", 1),
    ("f", -15),
    ("p", -12),
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("c", -2),
    ("d", -1),
    ("h", 2),
    ("k", 3),
    ("M", 6),
    ("G", 9),
];

/// A UCUM code in base units and a power of ten: `mg/dL` is 10^-2 `g/L`, `10*3/uL` is 10^9 `/L`. A unit
/// that takes no prefix stays as it is. Exact, for only powers of ten are taken out.
fn scale(code: &str) -> (String, i64) {
    let (mut parts, mut power) = (Vec::new(), 0);
    // UCUM reads from the left: a slash inverts what follows it, and no more.
    let mut sign = 1;
    for part in code.split_inclusive(['/', '.']) {
        let symbol = part.trim_end_matches(['/', '.']);
        if !symbol.is_empty() {
            let (base, exponent, tens) = component(symbol);
            power += sign * tens;
            if !base.is_empty() {
                parts.push(format!("{base}{}", sign * exponent));
            }
        }
        sign = if part.ends_with('/') { -1 } else { 1 };
    }
    parts.sort_unstable();
    (parts.join("."), power)
}

/// Base unit, exponent, and power of ten of one component, such as `mm2` or `10*3`.
fn component(symbol: &str) -> (&str, i64, i64) {
    if let Some(tens) = symbol.strip_prefix("10*").and_then(|tens| tens.parse().ok()) {
        return ("", 1, tens);
    }
    let unit = symbol.trim_end_matches(|c: char| c.is_ascii_digit());
    let unit = unit.strip_suffix(['-', '+']).unwrap_or(unit);
    let exponent: Option<i64> = symbol.get(unit.len()..).and_then(|told| told.parse().ok());
    let (unit, exponent) = match exponent {
        Some(exponent) if !unit.is_empty() && exponent.abs() < 100 => (unit, exponent),
        _ => (symbol, 1),
    };
    let metric = |unit: &str| METRIC.contains(&unit);
    let prefixed = PREFIXES.iter().find_map(|(prefix, tens)| {
        let base = unit.strip_prefix(prefix).filter(|base| metric(base))?;
        Some((base, *tens))
    });
    let (base, tens) = match prefixed {
        Some(found) if !metric(unit) => found,
        _ => (unit, 0),
    };
    (if base == "[iU]" { "[IU]" } else { base }, exponent, tens * exponent)
}

const LITER_PREFIXES: &[&str] = &["", "d", "c", "m", "u", "n", "p", "f"];

/// A printed unit, folded; the printed forms of common UCUM codes become one.
fn plain(text: &str) -> String {
    let folded: String =
        text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase();
    match folded.as_str() {
        "mm[hg]" => "mmhg".to_owned(),
        "cel" | "°c" | "degc" => "degc".to_owned(),
        "[degf]" | "°f" | "degf" => "degf".to_owned(),
        "[in_i]" | "in" | "inch" | "inches" => "in".to_owned(),
        "[lb_av]" | "lb" | "lbs" => "lb".to_owned(),
        "{score}" | "score" => "score".to_owned(),
        "bpm" | "beats/min" | "{beats}/min" | "/min" => "/min".to_owned(),
        _ => folded.replace(['µ', 'μ'], "u"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_compared_exactly() {
        let decimal = Number::parse;
        let same = |a: &str, b: &str| assert_eq!(decimal(a), decimal(b), "{a} {b}");
        same("3.10", "3.1");
        same("31e-1", "3.1");
        same("1000", "1E3");
        same("-0.0", "0");
        same("0.1e1", "1");
        assert_ne!(decimal("3.1"), decimal("3.100000000000000000001"));
        assert_ne!(decimal("1"), decimal("-1"));
        assert_ne!(decimal("1"), decimal("10"));
        assert!(decimal("\"1\"").is_none() && decimal("1e99999999999999999999").is_none());
    }

    fn quantity(json: &str) -> Quantity {
        Quantity::of(Element::new(json)).expect("a quantity")
    }

    fn check_quantity(a: &str, b: &str, agrees: bool) {
        assert_eq!(quantity(a).agrees(&quantity(b)), agrees, "{a} {b}");
        assert_eq!(quantity(b).agrees(&quantity(a)), agrees, "{b} {a}");
    }

    /// The same, for the unit alone.
    fn check(a: &str, b: &str, agrees: bool) {
        let with_value = |json: &str| json.replacen('{', r#"{"value":1,"#, 1).replace(",}", "}");
        check_quantity(&with_value(a), &with_value(b), agrees);
    }

    #[test]
    fn one_unit_is_written_in_many_ways() {
        check(r#"{"unit":"MG/DL","code":"mg/dL"}"#, r#"{"unit":"mg/dL","code":"mg/dL"}"#, true);
        check(r#"{"unit":"MG/DL"}"#, r#"{"unit":"mg/dL","code":"mg/dL"}"#, true);
        check(r#"{"unit":"mmHg"}"#, r#"{"code":"mm[Hg]"}"#, true);
        check(r#"{"code":"mg/dl"}"#, r#"{"code":"mg/dL"}"#, true);
        check(r#"{"code":"{beats}/min"}"#, r#"{"code":"/min"}"#, true);
        check(r#"{"code":"10^3/uL"}"#, r#"{"code":"10*3/uL"}"#, true);
        check("{}", "{}", true);
        check(r#"{"code":"mg/dL"}"#, r#"{"code":"mmol/L"}"#, false);
        check(r#"{"unit":"x","code":"mg"}"#, r#"{"unit":"x","code":"g"}"#, false);
        check(r#"{"unit":"mg"}"#, "{}", false);
        check(r#"{"code":"mol"}"#, r#"{"code":"moL"}"#, false);
    }

    #[test]
    fn one_quantity_in_two_units_is_one_and_no_digit_is_lost() {
        let told = |value: &str, code: &str| format!(r#"{{"value":{value},"code":"{code}"}}"#);
        let same = |(a, x): (&str, &str), (b, y): (&str, &str), agrees| {
            check_quantity(&told(a, x), &told(b, y), agrees);
        };
        same(("100", "mg/dL"), ("1.00", "g/L"), true);
        same(("100.0000000000000000001", "mg/dL"), ("1", "g/L"), false);
        same(("5.2", "10*3/uL"), ("5.2", "10*9/L"), true);
        same(("5.2", "10*3/uL"), ("5200", "/uL"), true);
        same(("0", "mg"), ("0", "g"), true);
        same(("1", "mmol/L"), ("1000", "umol/L"), true);
        same(("1", "m[IU]/L"), ("1", "u[iU]/mL"), true);
        same(("120", "mm[Hg]"), ("12", "cm[Hg]"), true);
        same(("1", "mg/dL"), ("1", "mg/L"), false);
        same(("1", "mg/kg/d"), ("1", "mg/d/kg"), true);
        same(("1", "min"), ("1", "m"), false);
        same(("2", "cm2"), ("200", "mm2"), true);
        check_quantity(
            r#"{"value":1,"comparator":"<","code":"g"}"#,
            r#"{"value":1000,"code":"mg"}"#,
            false,
        );
    }
}
