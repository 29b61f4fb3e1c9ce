//! DLN: a driver's licence. Each state of the USA has a namespace, by its FIPS code.

use super::{Part, current};
use crate::domain::{Identifier, IdentifierKind};

/// PID-20: number and issuing state; without a state that is known, the number has no namespace.
pub(super) fn license(dln: Part<'_>) -> Vec<Identifier> {
    let number = dln.text();
    let state = dln.component(2).text().to_ascii_uppercase();
    let code = FIPS.iter().find(|(name, _)| *name == state).map(|(_, code)| code);
    let system =
        code.map_or_else(String::new, |code| format!("urn:oid:2.16.840.1.113883.4.3.{code}"));
    vec![current(IdentifierKind::DriversLicense, &system, &number)]
}

const FIPS: [(&str, u8); 51] = [
    ("AL", 1),
    ("AK", 2),
    ("AZ", 4),
    ("AR", 5),
    ("CA", 6),
    ("CO", 8),
    ("CT", 9),
    ("DE", 10),
    ("DC", 11),
    ("FL", 12),
    ("GA", 13),
    ("HI", 15),
    ("ID", 16),
    ("IL", 17),
    ("IN", 18),
    ("IA", 19),
    ("KS", 20),
    ("KY", 21),
    ("LA", 22),
    ("ME", 23),
    ("MD", 24),
    ("MA", 25),
    ("MI", 26),
    ("MN", 27),
    ("MS", 28),
    ("MO", 29),
    ("MT", 30),
    ("NE", 31),
    ("NV", 32),
    ("NH", 33),
    ("NJ", 34),
    ("NM", 35),
    ("NY", 36),
    ("NC", 37),
    ("ND", 38),
    ("OH", 39),
    ("OK", 40),
    ("OR", 41),
    ("PA", 42),
    ("RI", 44),
    ("SC", 45),
    ("SD", 46),
    ("TN", 47),
    ("TX", 48),
    ("UT", 49),
    ("VT", 50),
    ("VA", 51),
    ("WA", 53),
    ("WV", 54),
    ("WI", 55),
    ("WY", 56),
];
