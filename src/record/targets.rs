//! What references lead to, as their sender meant them.

use foldhash::{HashMap, HashMapExt};

use super::{
    gateway_id::is_hashed,
    intake::{Intake, Told},
    same_fact::Resolve,
};
use crate::fhir::{Element, Head, Reference};

/// Every resource of an intake by its id at its source.
pub(super) struct Targets<'a> {
    intake: &'a Intake,
    /// Member, type and original id to place.
    places: HashMap<(u16, &'a str, &'a str), u32>,
}

impl<'a> Targets<'a> {
    pub(super) fn of(intake: &'a Intake) -> Self {
        let mut places = HashMap::with_capacity(intake.told.len());
        for (place, told) in intake.told.iter().enumerate() {
            let Some(id) = told.resource.id() else { continue };
            let key = (told.member, told.resource.resource_type(), id);
            // Of two under one id, references lead to the one that has it.
            if !is_hashed(&told.gateway_id) || !places.contains_key(&key) {
                places.insert(key, place as u32);
            }
        }
        Self { intake, places }
    }

    /// References as a member's resources tell them.
    pub(super) fn seen_by(&self, member: u16) -> SeenBy<'_, 'a> {
        SeenBy { targets: self, member }
    }

    fn told(&self, place: u32) -> Option<&'a Told> {
        self.intake.told.get(place as usize)
    }
}

/// References of one member.
pub(super) struct SeenBy<'t, 'a> {
    targets: &'t Targets<'a>,
    member: u16,
}

impl<'a> Resolve<'a> for SeenBy<'_, 'a> {
    fn resource(&self, from: Head<'a>, reference: &str) -> Option<Element<'a>> {
        if let Reference::Contained(id) = Reference::parse(reference) {
            let contained = from.field("contained")?;
            return contained.items().find(|inner| inner.text_of("id").as_deref() == Some(id));
        }
        Some(self.targets.told(self.place(reference)?)?.resource.head().resource())
    }

    fn place(&self, reference: &str) -> Option<u32> {
        let sender = self.targets.intake.members.get(usize::from(self.member))?;
        let (kind, id) = Reference::parse(reference).on_server(&sender.base_url)?;
        self.targets.places.get(&(self.member, kind, id)).copied()
    }
}
