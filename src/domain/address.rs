use serde::{Deserialize, Serialize};

/// A postal address as it was told; `matching` normalizes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    /// Street lines, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
    /// City or town.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub city: String,
    /// State or province, usually two letters.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub state: String,
    /// Postal code as told; ZIP or ZIP+4 in the US.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub postal_code: String,
    /// Country as told.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub country: String,
    /// Whether the source says that it no longer holds (`use` = old, or a period that ended).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub old: bool,
}

impl Address {
    /// Whether nothing at all was told.
    pub fn is_empty(&self) -> bool {
        self.lines.iter().all(String::is_empty)
            && self.city.is_empty()
            && self.state.is_empty()
            && self.postal_code.is_empty()
    }
}
