use std::collections::BTreeSet;

/// HL7 `v3-Confidentiality`, from low to high.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidentiality {
    /// U
    Unrestricted,
    /// L
    Low,
    /// M
    Moderate,
    /// N: what a record has that nobody labelled otherwise.
    Normal,
    /// R
    Restricted,
    /// V
    VeryRestricted,
}

impl Confidentiality {
    /// The code system of the codes.
    pub const SYSTEM: &'static str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";

    const ALL: [(&'static str, Self); 6] = [
        ("U", Self::Unrestricted),
        ("L", Self::Low),
        ("M", Self::Moderate),
        ("N", Self::Normal),
        ("R", Self::Restricted),
        ("V", Self::VeryRestricted),
    ];

    /// Parses the HL7 code.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find_map(|(known, value)| (known == code).then_some(value))
    }

    /// The next lower one; `None` below the lowest.
    pub(super) fn below(self) -> Option<Self> {
        Self::ALL.into_iter().rev().map(|(_, value)| value).find(|value| *value < self)
    }
}

/// The code system of sensitivity and policy codes.
const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";

/// A security label: one Coding of `meta.security`, in its canonical spelling.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecurityLabel {
    system: String,
    code: String,
}

impl SecurityLabel {
    /// Takes a Coding's system and code. Sensitivity codes that were once in the confidentiality
    /// system (ETH, HIV, PSY, SDV) are still met there; they mean the same.
    pub fn new(system: &str, code: &str) -> Self {
        let stray = system == Confidentiality::SYSTEM && Confidentiality::parse(code).is_none();
        let system = if stray { ACT_CODE } else { system };
        Self { system: system.to_owned(), code: code.to_owned() }
    }

    /// Its code system.
    pub fn system(&self) -> &str {
        &self.system
    }

    /// Its code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The degree of confidentiality, where it tells one.
    pub fn confidentiality(&self) -> Option<Confidentiality> {
        (self.system == Confidentiality::SYSTEM)
            .then(|| Confidentiality::parse(&self.code))
            .flatten()
    }

    /// Whether data labelled so belong to what `wider` names.
    fn is_a(&self, wider: &Self) -> bool {
        self == wider
            || self.system == ACT_CODE
                && wider.system == ACT_CODE
                && WIDER
                    .iter()
                    .filter(|(code, _)| *code == self.code)
                    .any(|(_, parent)| Self::new(ACT_CODE, parent).is_a(wider))
    }
}

/// Sensitivity codes and the wider ones (HL7 `v3-ActCode`, information sensitivity). Where the
/// tree leaves doubt it is read the wide way, so that withholding the wider code withholds more.
const WIDER: [(&str, &str); 17] = [
    ("BH", "SPI"),
    ("COGN", "BH"),
    ("DVD", "BH"),
    ("EMOTDIS", "BH"),
    ("MH", "BH"),
    ("PSY", "MH"),
    ("PSYTHPN", "MH"),
    ("HIPAAPsyNotes", "PSYTHPN"),
    ("SUD", "BH"),
    ("ETHUD", "SUD"),
    ("OPIOIDUD", "SUD"),
    ("42CFRPart2", "SUD"),
    // ETH and SUD both name substance use and neither contains the other.
    ("ETHUD", "ETH"),
    ("OPIOIDUD", "ETH"),
    ("42CFRPart2", "ETH"),
    ("HIV", "STD"),
    ("Title38Section7332", "SUD"),
];

/// What must be withheld of a permitted member's data, by its security labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Restrictions {
    confidentiality_max: Option<Confidentiality>,
    withheld: BTreeSet<SecurityLabel>,
    withhold_unlabelled: bool,
    nothing: bool,
}

impl Restrictions {
    /// Whether a resource with these labels (`meta.security`) may be released.
    ///
    /// Data without a confidentiality code count as normal, and as unlabelled: where something
    /// sensitive is withheld, the exchange's settings say whether they go out.
    pub fn releases(&self, labels: &[SecurityLabel]) -> bool {
        let told = labels.iter().filter_map(SecurityLabel::confidentiality).max();
        let within = self
            .confidentiality_max
            .is_none_or(|max| told.unwrap_or(Confidentiality::Normal) <= max);
        let sensitive =
            labels.iter().any(|label| self.withheld.iter().any(|withheld| label.is_a(withheld)));
        let unknown = self.withhold_unlabelled && !self.withheld.is_empty() && told.is_none();
        !self.nothing && within && !sensitive && !unknown
    }

    /// Whether everything may be released.
    pub fn is_none(&self) -> bool {
        !self.nothing && self.confidentiality_max.is_none() && self.withheld.is_empty()
    }

    pub(super) fn withhold_unlabelled(&mut self) {
        self.withhold_unlabelled = true;
    }

    /// Withholds what is more confidential than `max`.
    pub(super) fn limit(&mut self, max: Confidentiality) {
        self.confidentiality_max = Some(self.confidentiality_max.map_or(max, |own| own.min(max)));
    }

    /// Withholds what has this label. Withholding a degree of confidentiality withholds the higher
    /// ones too.
    pub(super) fn withhold(&mut self, label: &SecurityLabel) {
        if let Some(degree) = label.confidentiality() {
            match degree.below() {
                Some(max) => self.limit(max),
                None => self.nothing = true,
            }
            return;
        }
        self.withheld.insert(label.clone());
        // Neither contains the other, yet whoever hides one means both.
        for (one, other) in [("ETH", "SUD"), ("SUD", "ETH")] {
            if label.system == ACT_CODE && label.code == one {
                self.withheld.insert(SecurityLabel::new(ACT_CODE, other));
            }
        }
    }

    /// Both this and the other's.
    pub(super) fn join(&mut self, other: &Self) {
        if let Some(max) = other.confidentiality_max {
            self.limit(max);
        }
        self.withheld.extend(other.withheld.iter().cloned());
        self.withhold_unlabelled |= other.withhold_unlabelled;
        self.nothing |= other.nothing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(code: &str) -> SecurityLabel {
        let system = if code.len() == 1 { Confidentiality::SYSTEM } else { ACT_CODE };
        SecurityLabel::new(system, code)
    }

    fn check(withheld: &[&str], labels: &[&str], released: bool) {
        let mut restrictions = Restrictions::default();
        for code in withheld {
            restrictions.withhold(&label(code));
        }
        let labels: Vec<SecurityLabel> = labels.iter().map(|code| label(code)).collect();
        assert_eq!(restrictions.releases(&labels), released, "{withheld:?} {labels:?}");
    }

    #[test]
    fn labels_are_withheld_with_all_that_is_narrower() {
        check(&[], &["V", "HIV"], true);
        check(&["HIV"], &["N", "HIV"], false);
        check(&["HIV"], &["N", "SDV"], true);
        check(&["STD"], &["N", "HIV"], false);
        check(&["BH"], &["R", "OPIOIDUD"], false);
        check(&["SPI"], &["R", "PSYTHPN"], false);
        check(&["PSY"], &["R", "MH"], true);
        check(&["SUD"], &["R", "ETH"], false);
        check(&["ETH"], &["R", "SUD"], false);
        check(&["ETH"], &["R", "42CFRPart2"], false);
    }

    #[test]
    fn withholding_a_degree_withholds_the_higher_ones() {
        check(&["R"], &["N"], true);
        check(&["R"], &[], true);
        check(&["R"], &["R"], false);
        check(&["R"], &["N", "V"], false);
        check(&["N"], &[], false);
        check(&["U"], &["U"], false);
    }

    #[test]
    fn an_old_spelling_of_a_label_means_the_same() {
        let mut restrictions = Restrictions::default();
        restrictions.withhold(&SecurityLabel::new(ACT_CODE, "HIV"));
        assert!(!restrictions.releases(&[SecurityLabel::new(Confidentiality::SYSTEM, "HIV")]));
    }

    #[test]
    fn what_nobody_labelled_is_withheld_where_the_exchange_says_so() {
        let mut restrictions = Restrictions::default();
        restrictions.withhold_unlabelled();
        assert!(restrictions.releases(&[]), "nothing sensitive is withheld");
        restrictions.withhold(&label("HIV"));
        assert!(!restrictions.releases(&[]));
        assert!(restrictions.releases(&[label("N")]));
    }
}
