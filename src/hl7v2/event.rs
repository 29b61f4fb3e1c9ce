/// What an ADT event means for who is who. Visits, beds and accounts are no matter of identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityEffect {
    /// PID tells who the patient is: registered, or updated.
    Demographics,
    /// The patient is no longer kept at the member.
    Delete,
    /// The patient of MRG turned out to be the patient of PID.
    Merge,
    /// The patient of MRG is now called as PID says.
    ChangeIdentifier,
    /// The patients of the two PIDs are one person.
    Link,
    /// The patients of the two PIDs are two persons.
    Unlink,
    /// Nothing.
    None,
}

impl IdentityEffect {
    /// What an event does, by its code (HL7 table 0003); `None` where it is no ADT event.
    ///
    /// An event that cancels a visit, or that moves or merges visits and accounts, has no effect:
    /// the person stays. What HL7 withdrew in favor of A40 is taken as A40.
    pub fn of(event: &str) -> Option<Self> {
        let digits = event.strip_prefix('A').filter(|told| told.len() == 2)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: u8 = digits.parse().ok()?;
        Some(match number {
            1..=10 | 12..=16 | 21 | 22 | 28 | 31..=33 | 52..=55 => Self::Demographics,
            24 => Self::Link,
            29 => Self::Delete,
            18 | 30 | 34 | 36 | 39 | 40 => Self::Merge,
            37 => Self::Unlink,
            47 => Self::ChangeIdentifier,
            11 | 17 | 19 | 20 | 23 | 25..=27 | 35 | 38 | 41..=46 | 48..=51 | 60..=62 => Self::None,
            _ => return None,
        })
    }

    /// One or two words for acknowledgements and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Demographics => "demographics",
            Self::Delete => "delete",
            Self::Merge => "merge",
            Self::ChangeIdentifier => "change identifier",
            Self::Link => "link",
            Self::Unlink => "unlink",
            Self::None => "no identity effect",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_do_to_an_identity_what_the_standard_says() {
        use IdentityEffect::{ChangeIdentifier, Delete, Demographics, Link, Merge, None, Unlink};
        for (event, effect) in [
            ("A01", Demographics),
            ("A08", Demographics),
            ("A13", Demographics),
            ("A28", Demographics),
            ("A31", Demographics),
            ("A11", None),
            ("A23", None),
            ("A24", Link),
            ("A29", Delete),
            ("A37", Unlink),
            ("A40", Merge),
            ("A41", None),
            ("A43", None),
            ("A45", None),
            ("A47", ChangeIdentifier),
            ("A60", None),
        ] {
            assert_eq!(IdentityEffect::of(event), Some(effect), "{event}");
        }
        for unknown in ["", "A", "A1", "A001", "A99", "A00", "R01", "a08", "A+1"] {
            assert_eq!(IdentityEffect::of(unknown), Option::None, "{unknown}");
        }
    }
}
