//! `Patient/{id}/$everything` (FHIR R4 OperationDefinition/Patient-everything).

use std::collections::BTreeSet;

use time::OffsetDateTime;

use super::{
    answer::Refusal,
    data::{MemberData, Record, RecordNo},
    faults::{CompartmentFault, Faults},
    search::{Handling, Selection, answered_for},
};
use crate::fhir::{
    dates::TimeRange,
    search::{InvalidSearch, SearchQuery},
};

/// What is asked of a patient's compartment.
#[derive(Debug)]
pub(super) struct Everything {
    patient: RecordNo,
    types: Option<BTreeSet<String>>,
    since: Option<OffsetDateTime>,
    care: TimeRange,
    /// What was understood, for the self link.
    pub(super) used: SearchQuery,
}

impl Everything {
    /// Understands the parameters of the operation.
    pub(super) fn understand(
        patient: RecordNo,
        query: SearchQuery,
        handling: Handling,
    ) -> Result<Self, Refusal> {
        query.count()?;
        let unknown = query.parameters().iter().find(|told| !is_known(told.name()));
        if let (Handling::Strict, Some(told)) = (handling, unknown) {
            return Err(Refusal::UnknownParameter(told.name().to_owned()));
        }
        let mut types = BTreeSet::new();
        for told in query.named("_type") {
            told.plain()?;
            types.extend(told.values().map(|value| value.text().into_owned()));
        }
        let since = query.single("_since")?.map(instant).transpose()?;
        let care = TimeRange::period(query.single("start")?, query.single("end")?)
            .map_err(|_| InvalidSearch::Value("start or end".to_owned()))?;
        let types = (!types.is_empty()).then_some(types);
        Ok(Self { patient, types, since, care, used: query.only(|told| is_known(told.name())) })
    }

    /// The patient's resources, and what they refer to, faults included.
    pub(super) fn select(&self, data: &MemberData, faults: &Faults) -> Selection {
        let about: Vec<RecordNo> = match faults.compartment {
            CompartmentFault::Ignored => {
                data.all().filter(|no| !data.record(*no).patients.is_empty()).collect()
            }
            CompartmentFault::None | CompartmentFault::AnotherPatient => {
                let patient = answered_for(data, self.patient, faults);
                patient.map_or_else(Vec::new, |patient| data.of_patient(patient).to_vec())
            }
        };
        let in_care: Vec<_> =
            about.into_iter().filter(|no| self.is_in_care(data.record(*no))).collect();
        let context = context_of(data, &in_care);
        let wanted = |no: &RecordNo| self.is_wanted(data.record(*no));
        Selection {
            matches: in_care.into_iter().filter(wanted).collect(),
            included: context.into_iter().filter(wanted).collect(),
        }
    }

    /// Whether one of its clinical dates falls into the time asked for; what has none always does.
    fn is_in_care(&self, record: &Record) -> bool {
        let mut dates = record.dates().peekable();
        dates.peek().is_none() || dates.any(|date| date.overlaps(self.care))
    }

    fn is_wanted(&self, record: &Record) -> bool {
        let of_type = |types: &BTreeSet<String>| types.contains(record.resource.resource_type());
        self.types.as_ref().is_none_or(of_type)
            && self.since.is_none_or(|since| record.last_updated > since)
    }
}

fn is_known(name: &str) -> bool {
    matches!(name, "_type" | "_since" | "start" | "end" | "_count" | "_format")
}

fn instant(text: &str) -> Result<OffsetDateTime, InvalidSearch> {
    let range = TimeRange::parse(text).ok().and_then(TimeRange::start);
    range.ok_or_else(|| InvalidSearch::Value("_since".to_owned()))
}

/// What the resources refer to, step by step, that is nobody's in particular: practitioners,
/// organizations, places, medications.
fn context_of(data: &MemberData, of: &[RecordNo]) -> BTreeSet<RecordNo> {
    let mut context = BTreeSet::new();
    let mut ahead = of.to_vec();
    while let Some(no) = ahead.pop() {
        for other in &data.record(no).refers_to {
            if data.record(*other).patients.is_empty() && context.insert(*other) {
                ahead.push(*other);
            }
        }
    }
    context
}
