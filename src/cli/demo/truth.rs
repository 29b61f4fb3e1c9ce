use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// What is true of a folder of members: who is who, and what is one fact told twice.
///
/// A resource is named `<member>/<Type>/<id>`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Truth {
    /// What the folder was made from.
    pub(super) seed: u64,
    /// Patient to member to the member's local patient id.
    pub(super) patients: BTreeMap<String, BTreeMap<String, String>>,
    /// Member to resource type to number of resources.
    pub(super) counts: BTreeMap<String, BTreeMap<String, usize>>,
    /// Patient to the number of resources about them over all members.
    pub(super) expected: BTreeMap<String, usize>,
    /// One fact told twice.
    pub(super) same_fact: Vec<[String; 2]>,
    /// One fact told twice, once with a less precise date: grouping is right, leaving apart cautious.
    pub(super) same_fact_hard: Vec<[String; 2]>,
    /// Resources that differ in nothing but ids: whether they are one fact nobody can tell.
    pub(super) alike: Vec<Vec<String>>,
    /// Two resources that contradict each other, and how: `status`, `dose` or `nka`.
    pub(super) conflicts: Vec<(String, String, String)>,
}

impl Truth {
    /// The file's name in a folder of members.
    pub(super) const FILE: &'static str = "truth.json";

    /// Reads the folder's truth; `None` where it has none.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(Self::FILE);
        if !path.exists() {
            return Ok(None);
        }
        let json = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&json)
            .map(Some)
            .with_context(|| format!("{} is not a truth file", path.display()))
    }

    /// Writes it into the folder.
    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        let path = dir.join(Self::FILE);
        let json = serde_json::to_vec_pretty(self)?;
        fs::write(&path, json).with_context(|| format!("cannot write {}", path.display()))
    }
}
