use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Member, Quirk};

/// What a check noticed of a member's server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Learned {
    /// What is odd about it.
    pub quirks: Vec<Quirk>,
    /// The most matches that it gives a page, where it fails on more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_matches: Option<u16>,
    /// Types that it lists and does not serve.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unserved_types: Vec<String>,
}

impl Learned {
    /// Whether nothing was noticed.
    pub fn is_empty(&self) -> bool {
        self.quirks.is_empty() && self.page_matches.is_none() && self.unserved_types.is_empty()
    }

    /// Notices an oddity, once.
    pub fn quirk(&mut self, quirk: Quirk) {
        if !self.quirks.contains(&quirk) {
            self.quirks.push(quirk);
        }
    }

    /// What of it a member's entry does not tell.
    #[must_use]
    pub fn beyond(&self, member: &Member) -> Self {
        let new_quirk = |quirk: &&Quirk| !member.has_quirk(**quirk);
        let new_type = |kind: &&String| !member.unserved_types().contains(kind);
        Self {
            quirks: self.quirks.iter().filter(new_quirk).copied().collect(),
            page_matches: self.page_matches.filter(|_| self.page_matches != member.page_matches()),
            unserved_types: self.unserved_types.iter().filter(new_type).cloned().collect(),
        }
    }
}

impl fmt::Display for Learned {
    /// As `members.toml` spells it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = Vec::new();
        if !self.quirks.is_empty() {
            let codes: Vec<&str> = self.quirks.iter().map(|quirk| quirk.code()).collect();
            told.push(format!("quirks = {codes:?}"));
        }
        if let Some(matches) = self.page_matches {
            told.push(format!("page_matches = {matches}"));
        }
        if !self.unserved_types.is_empty() {
            told.push(format!("unserved_types = {:?}", self.unserved_types));
        }
        f.write_str(&told.join("; "))
    }
}
