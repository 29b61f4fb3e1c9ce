use super::{Condition, Fault, Location};

/// The characters that part a message, as its MSH-1 and MSH-2 tell them (HL7 v2.5 §2.5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delimiters {
    pub(super) field: char,
    pub(super) component: char,
    pub(super) repetition: char,
    pub(super) escape: char,
    pub(super) subcomponent: char,
}

impl Default for Delimiters {
    /// The ones that HL7 recommends: `|^~\&`.
    fn default() -> Self {
        Self { field: '|', component: '^', repetition: '~', escape: '\\', subcomponent: '&' }
    }
}

impl Delimiters {
    /// Reads the delimiters from the bytes after `MSH`. Three characters in MSH-2 are the least;
    /// `&` then parts subcomponents. A fifth, for truncation, is passed over.
    pub(super) fn read(after_msh: &[u8]) -> Result<Self, Fault> {
        let usable = |byte: &u8| byte.is_ascii_punctuation() && *byte != b'"';
        let (&field, rest) =
            after_msh.split_first().filter(|(field, _)| usable(field)).ok_or_else(unusable)?;
        let told: Vec<u8> =
            rest.iter().copied().take_while(|byte| *byte != field && *byte != b'\r').collect();
        if !(3..=5).contains(&told.len()) || !told.iter().all(usable) {
            return Err(unusable());
        }
        let delimiters = Self {
            field: field.into(),
            component: told[0].into(),
            repetition: told[1].into(),
            escape: told[2].into(),
            subcomponent: told.get(3).copied().unwrap_or(b'&').into(),
        };
        let mut all = delimiters.all();
        all.sort_unstable();
        if all.windows(2).any(|pair| pair[0] == pair[1]) { Err(unusable()) } else { Ok(delimiters) }
    }

    fn all(self) -> [char; 5] {
        [self.field, self.component, self.repetition, self.escape, self.subcomponent]
    }

    /// MSH-2.
    pub(super) fn encoding_characters(self) -> String {
        [self.component, self.repetition, self.escape, self.subcomponent].iter().collect()
    }
}

fn unusable() -> Fault {
    let text = "the delimiters must be four or five different punctuation marks, as in MSH|^~\\&";
    Fault::reject(Condition::SegmentSequence, text).at(Location::field("MSH", 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_are_what_the_header_says() {
        let usual = Delimiters::read(br"|^~\&|APP").expect("usable");
        assert_eq!(usual, Delimiters::default());
        let odd = Delimiters::read(b"!@#$%!APP").expect("usable");
        assert_eq!((odd.field, odd.component, odd.subcomponent), ('!', '@', '%'));
        assert!(Delimiters::read(br"|^~\&#|APP").is_ok(), "with truncation (v2.7)");
        assert!(Delimiters::read(br"|^~\|APP").is_ok(), "without subcomponents");
    }

    #[test]
    fn delimiters_that_cannot_part_anything_are_refused() {
        for bad in [
            &b""[..],
            b"|",
            br"|^^\&|",
            br"|^~|A",
            b"AB~\\&A",
            b"|^~\\&####|",
            b"|^~\\\"|",
            b"\r^~\\&",
        ] {
            assert!(Delimiters::read(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }
}
