//! Numbers and units, whoever wrote them.

use std::borrow::Cow;

use crate::record::element::Element;

/// A JSON number in one exact spelling, whatever zeros and exponent it was told with:
/// `3.10`, `3.1` and `31e-1` are one. Text, since no float holds every decimal.
pub(in crate::record) fn decimal(raw: &str) -> Option<String> {
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
        return Some("0".to_owned());
    }
    let zeros = (significant.len() - trimmed.len()) as i64;
    let power = exponent.checked_sub(fraction.len() as i64)?.checked_add(zeros)?;
    Some(format!("{}{trimmed}e{power}", if negative { "-" } else { "" }))
}

/// A unit as it was told: UCUM code and the unit that people read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::record) struct Unit {
    code: Option<String>,
    text: Option<String>,
}

impl Unit {
    /// The unit of a Quantity or Money.
    pub(in crate::record) fn of(quantity: Element<'_>) -> Self {
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

    /// One unit: by code where both tell one, else by whatever both tell, case aside.
    pub(in crate::record) fn agrees(&self, other: &Self) -> bool {
        if let (Some(a), Some(b)) = (&self.code, &other.code) {
            return a == b;
        }
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

    /// One spelling, for content compared as a whole.
    pub(in crate::record) fn key(&self) -> &str {
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

    fn unit(json: &str) -> Unit {
        Unit::of(Element::new(json))
    }

    fn check(a: &str, b: &str, agrees: bool) {
        assert_eq!(unit(a).agrees(&unit(b)), agrees, "{a} {b}");
        assert_eq!(unit(b).agrees(&unit(a)), agrees, "{b} {a}");
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
}
