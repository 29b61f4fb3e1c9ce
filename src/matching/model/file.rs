//! The model file: JSON that a person can read, compare and edit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CLASSES, Class, ClassTable, InvalidModel, Model, vocabulary};
use crate::matching::{
    levels::{ATTRIBUTES, Attribute, LEVELS, MISSING},
    term_frequency::Collisions,
};

/// How a model came to be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trained {
    /// With labels or without, and from which prior.
    pub(crate) how: String,
    /// Names of the files or populations.
    pub(crate) on: Vec<String>,
    /// RFC 3339, UTC.
    pub(crate) at: String,
    pub(crate) records: u64,
    pub(crate) pairs_compared: u64,
    pub(crate) iterations: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelFile {
    version: String,
    trained: Trained,
    /// Records of the population that `pairs` holds for.
    population: f64,
    /// Cost of linking twins of nearly one name, beside that of other twins.
    near_twin_cost: f64,
    classes: Vec<ClassFile>,
    frequencies: FrequenciesFile,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassFile {
    class: Class,
    pairs: f64,
    /// Cost of linking such a pair wrongly, where missing a match costs 1.
    cost: f64,
    levels: BTreeMap<String, BTreeMap<String, f64>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FrequenciesFile {
    version: String,
    collisions: Collisions,
    similar_names: [f64; 2],
    unlisted: [f64; 2],
    given_names: Vec<(String, f64)>,
    family_names: Vec<(String, f64)>,
}

pub(super) fn read(text: &str) -> Result<Model, InvalidModel> {
    let file: ModelFile = serde_json::from_str(text)?;
    let positive = |value: f64, what| {
        if value.is_finite() && value > 0.0 {
            Ok(value)
        } else {
            Err(InvalidModel::OutOfRange(what))
        }
    };
    let mut costs = [1.0; CLASSES];
    let mut classes = Vec::with_capacity(CLASSES);
    for class in Class::ALL {
        let mut found = file.classes.iter().filter(|table| table.class == class);
        let (Some(table), None) = (found.next(), found.next()) else {
            return Err(InvalidModel::Class(class.name()));
        };
        costs[class as usize] = positive(table.cost, "cost")?;
        classes.push(ClassTable {
            pairs: positive(table.pairs, "pairs")?,
            probabilities: read_levels(class, &table.levels)?,
        });
    }
    let frequencies = file.frequencies;
    for (_, share) in frequencies.given_names.iter().chain(&frequencies.family_names) {
        positive(*share, "share of a name")?;
    }
    for (_, _, chance) in frequencies.collisions.levels() {
        positive(chance, "collision")?;
    }
    for share in frequencies.unlisted {
        positive(share, "unlisted")?;
    }
    Ok(Model {
        version: file.version,
        trained: file.trained,
        records: positive(file.population, "population")?,
        classes: classes.try_into().map_err(|_| InvalidModel::Class("match"))?,
        costs,
        near_twin_cost: positive(file.near_twin_cost, "cost")?,
        link_bits: None,
        vocabulary: vocabulary(
            &frequencies.given_names,
            &frequencies.family_names,
            frequencies.unlisted,
        ),
        collisions: frequencies.collisions,
        fuzzy: frequencies.similar_names,
        given: frequencies.given_names,
        family: frequencies.family_names,
        unlisted: frequencies.unlisted,
    })
}

fn read_levels(
    class: Class,
    levels: &BTreeMap<String, BTreeMap<String, f64>>,
) -> Result<Box<[[f64; LEVELS]; ATTRIBUTES]>, InvalidModel> {
    let mut table = Box::new([[0.0; LEVELS]; ATTRIBUTES]);
    for attribute in Attribute::ALL {
        let wrong = || InvalidModel::Levels { class: class.name(), attribute: attribute.name() };
        let told = levels.get(attribute.name()).ok_or_else(wrong)?;
        if told.len() != attribute.levels().len() {
            return Err(wrong());
        }
        let row = &mut table[attribute as usize];
        for (slot, name) in row.iter_mut().zip(attribute.levels()) {
            let p = *told.get(*name).ok_or_else(wrong)?;
            if !(p > 0.0 && p <= 1.0) {
                return Err(InvalidModel::OutOfRange("probability of a level"));
            }
            *slot = p;
        }
        row[usize::from(MISSING)] = 1.0;
    }
    Ok(table)
}

pub(super) fn write(model: &Model) -> String {
    let classes = Class::ALL
        .into_iter()
        .map(|class| ClassFile {
            class,
            pairs: rounded(model.classes[class as usize].pairs),
            cost: model.costs[class as usize],
            levels: Attribute::ALL
                .into_iter()
                .map(|attribute| {
                    let row = model.classes[class as usize].at(attribute);
                    let levels = attribute.levels().iter().zip(row);
                    let levels = levels.map(|(name, p)| ((*name).to_owned(), rounded(*p)));
                    (attribute.name().to_owned(), levels.collect())
                })
                .collect(),
        })
        .collect();
    let names = |names: &[(String, f64)]| {
        names.iter().map(|(name, share)| (name.clone(), rounded(*share))).collect()
    };
    let file = ModelFile {
        version: model.version.clone(),
        trained: model.trained.clone(),
        population: model.records,
        near_twin_cost: model.near_twin_cost,
        classes,
        frequencies: FrequenciesFile {
            version: model.version.clone(),
            collisions: model.collisions.clone(),
            similar_names: model.fuzzy.map(rounded),
            unlisted: model.unlisted,
            given_names: names(&model.given),
            family_names: names(&model.family),
        },
    };
    serde_json::to_string_pretty(&file).expect("maps of text and finite numbers serialize")
}

/// Six significant digits: more is noise to a reader.
fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}
