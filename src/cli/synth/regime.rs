/// How a region registers its people: what a population differs by from another.
///
/// Rates stand beside those of the usual regime, where they are 1; shares are shares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Regime {
    /// Typing errors in names, dates, numbers and addresses.
    pub(super) slips: f32,
    /// Share of birth dates of which day, month or year is quite another.
    pub(super) other_dates: f32,
    /// Share of middle names told where another one is meant.
    pub(super) other_middle: f32,
    /// Share of people with a second e-mail address.
    pub(super) second_email: f32,
    /// Pet names, initials and middle names for the given name.
    pub(super) other_forms: f32,
    /// How often a social security number is written down.
    pub(super) ssn: f32,
    pub(super) email: f32,
    pub(super) middle: f32,
    /// Telephone numbers left out.
    pub(super) phone_missing: f32,
    /// Addresses left out.
    pub(super) address_missing: f32,
    /// Moves of whole households and of adults.
    pub(super) moves: f32,
    /// Births of twins.
    pub(super) twins: f32,
    /// Share of twins whose names sound alike.
    pub(super) alike_twins: f32,
    /// Share of those whose names differ in one letter, as JAYDEN and HAYDEN do.
    pub(super) rhyming_twins: f32,
    /// Share of children whose e-mail address is a parent's.
    pub(super) guardian_email: f32,
    /// Share of couples with one e-mail address.
    pub(super) couple_email: f32,
    /// Share of records with the household's telephone, where it has one.
    pub(super) shared_line: f32,
    /// Share of newborns registered before they have a name.
    pub(super) unnamed: f32,
}

/// Regimes to choose from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum RegimeName {
    /// What most regions look like
    #[default]
    Usual,
    /// Few slips, most numbers known
    Careful,
    /// Many slips, much left out, many moves
    Hurried,
    /// No social security numbers, hardly an e-mail address
    Sparse,
    /// Many children and twins under their parents' telephone and e-mail address
    Families,
}

const USUAL: Regime = Regime {
    slips: 1.0,
    other_dates: 0.0,
    other_middle: 0.0,
    second_email: 0.0,
    other_forms: 1.0,
    ssn: 1.0,
    email: 1.0,
    middle: 1.0,
    phone_missing: 1.0,
    address_missing: 1.0,
    moves: 1.0,
    twins: 1.0,
    alike_twins: 0.3,
    rhyming_twins: 0.0,
    guardian_email: 0.0,
    couple_email: 0.08,
    shared_line: 0.263,
    unnamed: 0.7,
};

impl RegimeName {
    /// What the name stands for.
    pub(super) const fn regime(self) -> Regime {
        match self {
            Self::Usual => USUAL,
            Self::Careful => Regime {
                slips: 0.3,
                other_dates: 0.002,
                other_middle: 0.01,
                second_email: 0.1,
                other_forms: 0.5,
                ssn: 1.4,
                email: 1.5,
                middle: 1.2,
                phone_missing: 0.3,
                address_missing: 0.3,
                guardian_email: 0.3,
                rhyming_twins: 0.3,
                ..USUAL
            },
            Self::Hurried => Regime {
                slips: 2.5,
                other_dates: 0.02,
                other_middle: 0.04,
                second_email: 0.2,
                other_forms: 1.3,
                ssn: 0.6,
                email: 0.6,
                middle: 0.6,
                phone_missing: 1.5,
                address_missing: 2.0,
                moves: 1.4,
                guardian_email: 0.2,
                rhyming_twins: 0.3,
                ..USUAL
            },
            Self::Sparse => Regime {
                other_dates: 0.005,
                other_middle: 0.02,
                second_email: 0.1,
                ssn: 0.0,
                email: 0.2,
                middle: 0.5,
                phone_missing: 1.5,
                rhyming_twins: 0.3,
                ..USUAL
            },
            Self::Families => Regime {
                other_dates: 0.005,
                other_middle: 0.02,
                second_email: 0.2,
                ssn: 0.5,
                email: 1.4,
                twins: 5.0,
                alike_twins: 0.5,
                rhyming_twins: 0.5,
                guardian_email: 0.8,
                couple_email: 0.4,
                shared_line: 0.4,
                unnamed: 0.9,
                ..USUAL
            },
        }
    }
}

impl Regime {
    /// Of a draw out of a thousand, or ten thousand: so many more than the usual `count`.
    pub(super) fn slipped(&self, count: u32) -> u32 {
        scaled(count, self.slips)
    }
}

/// `count` times `rate`, to the nearest whole one.
pub(super) fn scaled(count: u32, rate: f32) -> u32 {
    (count as f32 * rate).round() as u32
}
