//! What an ADT message says, in the words of the member that sent it. Pure.

use std::borrow::Cow;

use time::OffsetDateTime;

use crate::{
    access::FeedPermit,
    directory::Member,
    domain::{InvalidLocalId, LocalId, PartialDate, RecordKey},
    hl7v2::{
        Authority, Condition, Fault, IdentityEffect, Location, Message, Part, PatientIdentifier,
        PatientReader, PatientSnapshot, Segment,
    },
};

/// Types of identifiers that an authority may be taken for granted for (table 0203).
const RECORD_NUMBERS: [&str; 5] = ["", "MR", "MRT", "PI", "PT"];

/// The event, by its code.
fn event_of(message: &Message) -> Cow<'_, str> {
    let told = &message.header().event;
    let old = || message.segment("EVN").map(|evn| evn.field(1).text()).unwrap_or_default();
    if told.is_empty() { old() } else { Cow::Borrowed(told) }
}

/// Reads one member's messages.
#[derive(Clone, Copy)]
pub struct MessageReader<'a> {
    /// Who sent it.
    pub member: &'a Member,
    /// That it may feed.
    pub permit: &'a FeedPermit,
    /// The time of day.
    pub now: OffsetDateTime,
}

impl MessageReader<'_> {
    /// What the message's event does to identities. EVN-1 counts where MSH-9 tells no event, as
    /// before v2.3.
    pub fn effect_of(message: &Message) -> Result<IdentityEffect, Fault> {
        IdentityEffect::of(&event_of(message)).ok_or_else(|| {
            let text = "the event is none that an ADT message may have";
            Fault::reject(Condition::EventCode, text).at(Location::field("MSH", 9))
        })
    }

    /// Whether it tells that the patient has come to an emergency department: admitted or registered
    /// (A01, A04) in the class of patients E (HL7 table 0004).
    pub fn is_emergency_arrival(message: &Message) -> bool {
        let class = message.segment("PV1").map(|visit| visit.field(2).text().into_owned());
        ["A01", "A04"].contains(&&*event_of(message)) && class.as_deref() == Some("E")
    }

    /// When what it says held at the member.
    pub fn event_time(&self, message: &Message) -> Option<OffsetDateTime> {
        message.event_time(self.member.utc_offset())
    }

    /// The only segment with this id.
    pub fn only<'m>(&self, message: &'m Message, id: &'static str) -> Result<Segment<'m>, Fault> {
        let wrong =
            |text| Err(Fault::error(Condition::SegmentSequence, text).at(Location::segment(id)));
        let mut segments = message.segments_of(id);
        match (segments.next(), segments.next()) {
            (Some(segment), None) => Ok(segment),
            (None, _) => wrong("the segment is missing"),
            (Some(_), Some(_)) => wrong("one such segment is taken a message"),
        }
    }

    /// The member's own records that a field of identifiers names, in its order; at least one.
    pub fn records(&self, field: Part<'_>, place: Location) -> Result<Vec<RecordKey>, Fault> {
        let told = PatientIdentifier::of(field);
        if !told.iter().any(PatientIdentifier::names_a_patient) {
            let text = "there is no identifier of the patient";
            return Err(Fault::error(Condition::RequiredField, text).at(place));
        }
        let mut records = Vec::new();
        for identifier in told.iter().filter(|told| told.names_a_patient()) {
            let Some(system) = self.own_system(identifier, place)? else { continue };
            let record = LocalId::parse(system, &identifier.value).map_err(|invalid| {
                let text = match invalid {
                    InvalidLocalId::ControlCharacter => "the identifier holds a control character",
                    _ => "the identifier is too long",
                };
                Fault::error(Condition::DataType, text).at(place)
            })?;
            // Its systems are the member's own, so this can only be the permit's word.
            let Ok(record) = self.permit.record(record) else { continue };
            if !records.contains(&record) {
                records.push(record);
            }
        }
        if records.is_empty() {
            let text = "no identifier is of an assigning authority of this member";
            return Err(Fault::error(Condition::UnknownKey, text).at(place));
        }
        Ok(records)
    }

    /// The records of MRG-1 and of PID-3 where a message tells that the first is now the second; of
    /// one assigning authority.
    pub fn prior_and_present(&self, message: &Message) -> Result<(RecordKey, RecordKey), Fault> {
        let (pid, mrg) = (self.only(message, "PID")?, self.only(message, "MRG")?);
        let place = Location::field("MRG", 1);
        let present = self.records(pid.field(3), Location::field("PID", 3))?;
        let prior = self.records(mrg.field(1), place)?;
        let pairs = prior.into_iter().filter_map(|prior| {
            let system = prior.local_id.system();
            let present = present.iter().find(|one| one.local_id.system() == system)?;
            Some((prior.clone(), present.clone()))
        });
        let mut pairs: Vec<_> = pairs.collect();
        match pairs.len() {
            1 => Ok(pairs.remove(0)),
            0 => {
                let text = "the identifiers are of two assigning authorities";
                Err(Fault::error(Condition::UnknownKey, text).at(place))
            }
            _ => {
                let text = "one prior identifier is taken a message";
                Err(Fault::error(Condition::DuplicateKey, text).at(place))
            }
        }
    }

    /// The records of the two PIDs of a link or unlink.
    pub fn two(&self, message: &Message) -> Result<[Vec<RecordKey>; 2], Fault> {
        let pids: Vec<Segment<'_>> = message.segments_of("PID").collect();
        let [one, other] = pids[..] else {
            let text = "two such segments are needed, one for each patient";
            return Err(Fault::error(Condition::SegmentSequence, text).at(Location::segment("PID")));
        };
        let place = |occurrence| Location { segment: "PID", occurrence, field: 3 };
        Ok([self.records(one.field(3), place(1))?, self.records(other.field(3), place(2))?])
    }

    fn own_system(
        &self,
        identifier: &PatientIdentifier,
        place: Location,
    ) -> Result<Option<&str>, Fault> {
        let Authority { namespace, .. } = &identifier.authority;
        let uri = identifier.authority.uri();
        let nameless = namespace.is_empty() && uri.is_none();
        let may_be_default = identifier.authority.is_empty()
            && RECORD_NUMBERS.contains(&identifier.type_code.as_str());
        if nameless && !may_be_default {
            return Ok(None);
        }
        self.member.system_of_authority(namespace, uri.as_deref()).map_err(|_| {
            let text = "the parts of the assigning authority contradict each other";
            Fault::error(Condition::UnknownKey, text).at(place)
        })
    }

    /// Who the patient is, as PID tells it.
    pub fn snapshot(&self, pid: Segment<'_>) -> Result<PatientSnapshot, Fault> {
        let date = self.now.date();
        let today = PartialDate::new(date.year() as u16, date.month().into(), Some(date.day()))
            .expect("the clock tells days of the calendar");
        let system_of = |told: &PatientIdentifier| self.system_of(told);
        PatientReader { today, system_of: &system_of }.read(pid)
    }

    /// The namespace of an identifier, also of somebody else's. A name that only the member knows
    /// stays its own, so that two members' names are never taken for one.
    fn system_of(&self, told: &PatientIdentifier) -> String {
        let own = self.own_system(told, Location::field("PID", 3)).ok().flatten();
        if let Some(system) = own {
            return system.to_owned();
        }
        told.authority.uri().unwrap_or_else(|| match told.authority.namespace.as_str() {
            "" => String::new(),
            name => format!("urn:tessera:authority:{}:{name}", self.member.code()),
        })
    }
}
