//! Where training starts, and what it leans on where a population tells little: how matches, households,
//! twins, parents and children of one name, and namesakes usually compare.
//!
//! Strangers are measured in the population itself.

use super::{CLASSES, Class, ClassTable, Model, Trained, normalize_contexts, vocabulary};
use crate::matching::{
    levels::{ATTRIBUTES, Attribute, LEVELS},
    term_frequency::Collisions,
};

/// Records that the sizes below stand for.
const RECORDS: f64 = 100_000.0;

type Levels = [[f64; LEVELS]; ATTRIBUTES];

/// Costs of a wrong link: twins are told apart by the least, and look most alike afterwards.
const COST_KIN: f64 = 2.0;
const COST_TWIN: f64 = 4.0;
/// Twins of nearly one name cost so many times more: nothing would ever show that their link is wrong.
const COST_NEAR_TWIN: f64 = 5.0;

/// The model before any training.
pub(crate) fn model() -> Model {
    let classes: [ClassTable; CLASSES] = Class::ALL.map(|class| ClassTable {
        pairs: pairs(class, RECORDS),
        probabilities: probabilities(class, &strangers()),
    });
    let mut costs = [1.0; CLASSES];
    costs[Class::Household as usize] = COST_KIN;
    costs[Class::JuniorSenior as usize] = COST_KIN;
    costs[Class::Twin as usize] = COST_TWIN;
    let unlisted = [1e-4, 2e-5];
    Model {
        version: "start".to_owned(),
        trained: Trained { how: "start values, not trained".to_owned(), ..Trained::default() },
        records: RECORDS,
        classes,
        costs,
        near_twin_cost: COST_NEAR_TWIN,
        link_bits: None,
        collisions: Collisions {
            given: [2e-4, 2e-3, 2e-3],
            family: [1e-4, 4e-4, 2e-4],
            birth_date: [1e-9, 4e-5],
            social_security: 1e-9,
            phone: [1e-5, 1e-6],
            email: 1e-6,
            building: [2e-5, 1e-5],
        },
        fuzzy: [9.2, 9.2],
        given: Vec::new(),
        family: Vec::new(),
        unlisted,
        vocabulary: vocabulary(&[], &[], unlisted),
    }
}

/// How many pairs of a class to expect among `records`.
fn pairs(class: Class, records: f64) -> f64 {
    match class {
        Class::Stranger => records * (records - 1.0) / 2.0,
        Class::Match | Class::Namesake => 0.3 * records,
        Class::Household => 0.5 * records,
        Class::Twin | Class::JuniorSenior => 0.01 * records,
    }
}

/// How strangers compare where nobody measured it.
fn strangers() -> Levels {
    let mut levels = [[0.0; LEVELS]; ATTRIBUTES];
    for attribute in Attribute::ALL {
        levels[attribute as usize][..attribute.levels().len()].fill(0.02);
    }
    levels[Attribute::GivenName as usize][..13].copy_from_slice(&[
        0.91, 0.05, 0.005, 0.003, 0.003, 1e-5, 2e-4, 3e-3, 2e-3, 0.003, 0.003, 3e-4, 0.02,
    ]);
    levels[Attribute::Sex as usize][..6].copy_from_slice(&[0.5, 0.5, 0.03, 0.97, 0.5, 0.5]);
    levels[Attribute::MiddleName as usize][..8]
        .copy_from_slice(&[0.9, 0.07, 0.01, 0.02, 0.9, 0.07, 0.01, 0.02]);
    let family = [0.97, 0.02, 0.002, 0.004, 1e-5, 1e-4, 4e-4, 2e-4];
    levels[Attribute::FamilyName as usize][..8].copy_from_slice(&family);
    levels[Attribute::FamilyName as usize][8..16].copy_from_slice(&family);
    levels[Attribute::Suffix as usize][..4].copy_from_slice(&[0.001, 0.05, 0.001, 0.948]);
    levels[Attribute::BirthDate as usize][..14].copy_from_slice(&[
        0.95, 0.012, 0.001, 1e-3, 5e-4, 5e-5, 1e-9, 4e-5, 5e-5, 0.024, 2e-4, 0.002, 0.985, 0.015,
    ]);
    levels[Attribute::SocialSecurity as usize][..7]
        .copy_from_slice(&[0.9999, 1e-4, 1e-7, 1e-4, 1e-9, 0.9999, 3e-6]);
    for context in 0..3 {
        levels[Attribute::Phone as usize][4 * context..4 * context + 4]
            .copy_from_slice(&[1.0, 1e-5, 1e-5, 1e-6]);
    }
    levels[Attribute::Email as usize][..3].copy_from_slice(&[0.999, 1e-3, 1e-6]);
    levels[Attribute::Location as usize][..9]
        .copy_from_slice(&[0.97, 0.03, 3e-3, 1e-4, 1e-5, 1e-5, 1e-5, 2e-5, 1e-5]);
    levels[Attribute::RecordNumber as usize][..2].copy_from_slice(&[1.0, 1e-6]);
    levels[Attribute::Identifier as usize][..2].copy_from_slice(&[1.0, 1e-7]);
    levels
}

/// How a class compares before it is estimated; `strangers` where it is tied to them.
fn probabilities(class: Class, strangers: &Levels) -> Box<Levels> {
    let mut levels = Box::new(*strangers);
    match class {
        Class::Stranger => {}
        Class::Match => fill(&mut levels, MATCH),
        Class::Household => fill(&mut levels, HOUSEHOLD),
        Class::Twin => fill(&mut levels, TWIN),
        Class::JuniorSenior => fill(&mut levels, JUNIOR_SENIOR),
        Class::Namesake => fill(&mut levels, NAMESAKE),
    }
    normalize_contexts(&mut levels);
    levels
}

fn fill(levels: &mut Levels, table: &[(Attribute, &[f64])]) {
    for (attribute, values) in table {
        levels[*attribute as usize][..values.len()].copy_from_slice(values);
    }
}

type Table = [(Attribute, &'static [f64])];

/// One person twice: what data entry, moves, marriages and second phones do to a record.
const MATCH: &Table = &[
    (
        Attribute::GivenName,
        &[0.01, 0.01, 0.015, 0.03, 0.05, 0.01, 0.2, 0.35, 0.31, 0.015, 0.01, 0.005, 0.005],
    ),
    (Attribute::Sex, &[0.05, 0.95, 0.01, 0.99, 0.01, 0.99]),
    (Attribute::MiddleName, &[0.1, 0.3, 0.1, 0.5, 0.03, 0.4, 0.04, 0.53]),
    (
        Attribute::FamilyName,
        &[
            0.01, 0.01, 0.04, 0.04, 0.01, 0.4, 0.4, 0.09, 0.12, 0.01, 0.04, 0.06, 0.01, 0.35, 0.35,
            0.06,
        ],
    ),
    (Attribute::Suffix, &[0.002, 0.05, 0.04, 0.9]),
    (
        Attribute::BirthDate,
        &[
            0.005, 0.004, 0.005, 0.004, 0.02, 0.008, 0.02, 0.93, 0.004, 0.004, 0.004, 0.001, 0.03,
            0.97,
        ],
    ),
    (Attribute::SocialSecurity, &[0.015, 0.005, 0.02, 0.95, 0.95, 0.03, 0.005]),
    (
        Attribute::Phone,
        &[0.37, 0.03, 0.582, 0.018, 0.53, 0.02, 0.4365, 0.0135, 0.23, 0.02, 0.7275, 0.0225],
    ),
    (Attribute::Email, &[0.1, 0.05, 0.85]),
    (Attribute::Location, &[0.1, 0.05, 0.03, 0.02, 0.08, 0.02, 0.10, 0.55, 0.03]),
    (Attribute::RecordNumber, &[0.5, 0.5]),
    (Attribute::Identifier, &[0.1, 0.9]),
];

const KIN_LOCATION: &[f64] = &[0.05, 0.05, 0.05, 0.01, 0.05, 0.02, 0.10, 0.65, 0.02];
const KIN_EMAIL: &[f64] = &[0.97, 0.02, 0.01];
const KIN_PHONE: &[f64] =
    &[0.59, 0.01, 0.388, 0.012, 0.79, 0.01, 0.194, 0.006, 0.49, 0.01, 0.485, 0.015];
const KIN_IDENTIFIER: &[f64] = &[0.98, 0.02];

/// Two people of one household.
const HOUSEHOLD: &Table = &[
    (
        Attribute::GivenName,
        &[0.85, 0.08, 0.02, 0.01, 0.005, 0.0005, 0.01, 0.01, 0.01, 0.01, 0.01, 0.005, 0.02],
    ),
    (Attribute::Sex, &[0.6, 0.4, 0.1, 0.9, 0.5, 0.5]),
    (
        Attribute::FamilyName,
        &[
            0.25, 0.02, 0.02, 0.08, 0.001, 0.3, 0.3, 0.05, 0.25, 0.02, 0.02, 0.08, 0.001, 0.3, 0.3,
            0.05,
        ],
    ),
    (Attribute::Suffix, &[0.02, 0.1, 0.01, 0.87]),
    (
        Attribute::BirthDate,
        &[
            0.9, 0.02, 0.001, 0.004, 0.003, 0.001, 0.001, 0.005, 0.002, 0.06, 2e-4, 0.002, 0.97,
            0.03,
        ],
    ),
    (Attribute::SocialSecurity, &[0.98, 0.001, 0.005, 0.01, 0.01, 0.98, 0.002]),
    (Attribute::Phone, KIN_PHONE),
    (Attribute::Email, KIN_EMAIL),
    (Attribute::Location, KIN_LOCATION),
    (Attribute::Identifier, KIN_IDENTIFIER),
];

/// Born together.
const TWIN: &Table = &[
    (
        Attribute::GivenName,
        &[0.82, 0.15, 0.02, 0.01, 0.002, 0.0005, 0.002, 0.003, 0.002, 0.01, 0.02, 0.005, 0.02],
    ),
    (Attribute::Sex, &[0.4, 0.6, 0.1, 0.9, 0.3, 0.7]),
    (Attribute::MiddleName, &[0.8, 0.1, 0.05, 0.05, 0.8, 0.1, 0.05, 0.05]),
    (
        Attribute::FamilyName,
        &[
            0.03, 0.01, 0.02, 0.10, 0.001, 0.4, 0.4, 0.05, 0.03, 0.01, 0.02, 0.10, 0.001, 0.4, 0.4,
            0.05,
        ],
    ),
    (
        Attribute::BirthDate,
        &[
            0.001, 0.001, 0.001, 0.002, 0.01, 0.005, 0.01, 0.97, 0.001, 0.001, 0.002, 2e-4, 0.02,
            0.98,
        ],
    ),
    (Attribute::SocialSecurity, &[0.95, 0.01, 0.02, 0.02, 0.02, 0.98, 0.01]),
    (
        Attribute::Phone,
        &[0.49, 0.01, 0.485, 0.015, 0.59, 0.01, 0.388, 0.012, 0.39, 0.01, 0.582, 0.018],
    ),
    (Attribute::Email, KIN_EMAIL),
    (Attribute::Location, KIN_LOCATION),
    (Attribute::Identifier, KIN_IDENTIFIER),
];

/// Parent and child of one name.
const JUNIOR_SENIOR: &Table = &[
    (
        Attribute::GivenName,
        &[0.01, 0.01, 0.015, 0.02, 0.05, 0.001, 0.2, 0.35, 0.31, 0.015, 0.01, 0.001, 0.002],
    ),
    (Attribute::Sex, &[0.1, 0.9, 0.01, 0.99, 0.01, 0.99]),
    (
        Attribute::FamilyName,
        &[
            0.01, 0.01, 0.02, 0.05, 0.001, 0.4, 0.4, 0.05, 0.01, 0.01, 0.02, 0.05, 0.001, 0.4, 0.4,
            0.05,
        ],
    ),
    (Attribute::Suffix, &[0.2, 0.4, 0.02, 0.3]),
    (
        Attribute::BirthDate,
        &[
            0.96, 0.01, 0.001, 0.002, 0.003, 0.001, 0.001, 0.001, 0.002, 0.02, 2e-4, 0.003, 0.98,
            0.02,
        ],
    ),
    (Attribute::SocialSecurity, &[0.98, 0.001, 0.005, 0.01, 0.01, 0.98, 0.002]),
    (Attribute::Phone, KIN_PHONE),
    (Attribute::Email, KIN_EMAIL),
    (Attribute::Location, KIN_LOCATION),
    (Attribute::Identifier, KIN_IDENTIFIER),
];

/// Strangers of one name.
const NAMESAKE: &Table = &[
    (
        Attribute::GivenName,
        &[0.01, 0.01, 0.05, 0.02, 0.02, 0.001, 0.1, 0.3, 0.5, 0.01, 0.01, 0.001, 0.002],
    ),
    (
        Attribute::FamilyName,
        &[
            0.02, 0.01, 0.02, 0.02, 0.001, 0.2, 0.5, 0.2, 0.02, 0.01, 0.02, 0.02, 0.001, 0.2, 0.5,
            0.2,
        ],
    ),
    (Attribute::Sex, &[0.1, 0.9, 0.01, 0.99, 0.5, 0.5]),
];
