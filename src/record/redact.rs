use serde::Deserialize;

use crate::{
    access::{Restrictions, SecurityLabel},
    fhir::Resource,
};

/// Whether a resource may be released under these restrictions, by its own security labels and
/// those of everything inside it (HL7 DS4P: a container is as sensitive as what it contains).
///
/// A resource whose labels cannot be read is withheld wherever anything is.
pub fn releases(restrictions: &Restrictions, resource: &Resource) -> bool {
    if restrictions.is_none() {
        return true;
    }
    let Ok(labelled) = resource.read::<Labelled>() else { return false };
    let mut labels = Vec::new();
    labelled.collect(&mut labels);
    restrictions.releases(&labels)
}

#[derive(Deserialize)]
struct Labelled {
    meta: Option<Meta>,
    #[serde(default)]
    contained: Vec<Labelled>,
    #[serde(default)]
    entry: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    resource: Option<Labelled>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(default)]
    security: Vec<Coding>,
}

#[derive(Deserialize)]
struct Coding {
    #[serde(default)]
    system: String,
    #[serde(default)]
    code: String,
}

impl Labelled {
    fn collect(&self, labels: &mut Vec<SecurityLabel>) {
        let own = self.meta.iter().flat_map(|meta| &meta.security);
        labels.extend(own.map(|coding| SecurityLabel::new(&coding.system, &coding.code)));
        let inside =
            self.contained.iter().chain(self.entry.iter().filter_map(|one| one.resource.as_ref()));
        for part in inside {
            part.collect(labels);
        }
    }
}
