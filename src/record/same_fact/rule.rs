//! What makes two resources of one type one fact.

/// How the clinical times of two copies are held against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::record) enum Clock {
    /// The same instant in any zone, or a less precise telling of it.
    Moment,
    /// As `Moment`; one teller may have cut its clock to minutes.
    Minute,
    /// The same calendar day.
    Day,
    /// The fact has no time of its own.
    Timeless,
}

/// What it means where a reference leads to two facts. That it leads to one always decides between
/// several candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::record) enum Link {
    /// Nothing.
    Hint,
    /// Two facts, where the other's member tells the target's fact too, and links another.
    Bar,
    /// Two facts, as soon as both targets were sent.
    Strict,
    /// Two facts; and so where a target was not sent.
    Needed,
}

/// The rule of one resource type. Business identifiers are looked at first; then, where `by_content`,
/// what it is (codes), when it was, and what it says. Display texts are never looked at.
#[derive(Clone, Copy, Debug)]
pub(in crate::record) struct Rule {
    pub(in crate::record) resource_type: &'static str,
    /// Where business identifiers stand. Together with the code, since an accession number is
    /// shared by a whole panel.
    pub(in crate::record) identifiers: &'static [&'static str],
    /// What it is: the first of these elements that is told.
    pub(in crate::record) what: &'static [&'static str],
    /// Whether the text of `what` is the statement itself where it has no code.
    pub(in crate::record) is_statement: bool,
    /// Whether content alone can make it one fact.
    pub(in crate::record) by_content: bool,
    /// When it was: slots, each with its alternatives. The first slot that either tells decides.
    pub(in crate::record) when: &'static [&'static [&'static str]],
    pub(in crate::record) clock: Clock,
    /// Elements that both must tell.
    pub(in crate::record) needs: &'static [&'static str],
    /// Elements that say the same in both, or are in neither.
    pub(in crate::record) same: &'static [&'static str],
    /// Elements that say the same where both tell them.
    pub(in crate::record) compatible: &'static [&'static str],
    /// Elements whose agreement decides between several candidates, and whose difference is no bar.
    pub(in crate::record) preferred: &'static [&'static str],
    /// References whose targets are held against each other where they resolve.
    pub(in crate::record) links: &'static [(&'static str, Link)],
    /// Elements and the codes in them that turn the fact into its negation: another fact.
    pub(in crate::record) negation: &'static [(&'static str, &'static [&'static str])],
    /// Rules with a higher stage link to facts of a lower one.
    pub(in crate::record) stage: u8,
}

impl Rule {
    /// The cautious rule of every type that has none of its own: one fact only where a business
    /// identifier and the code, if any, are shared.
    pub(in crate::record) const fn cautious(resource_type: &'static str) -> Self {
        Self {
            resource_type,
            identifiers: &["identifier"],
            what: &["code"],
            is_statement: false,
            by_content: false,
            when: &[],
            clock: Clock::Timeless,
            needs: &[],
            same: &[],
            compatible: &[],
            preferred: &[],
            links: &[],
            negation: &[],
            stage: 2,
        }
    }
}
