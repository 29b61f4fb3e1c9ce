//! Measurements, reports, images, specimens, devices.

use crate::record::same_fact::rule::{Clock, Link, Rule};

pub(super) const RULES: &[Rule] = &[
    // Laboratory, vital signs, social history, panels alike: code, minute, value with unit; a panel
    // by its components as a set. A focus (a fetus, a graft) is another subject.
    Rule {
        by_content: true,
        when: &[&["effectiveDateTime", "effectiveInstant", "effectivePeriod.start"], &["issued"]],
        clock: Clock::Minute,
        same: &["value[x]", "component", "dataAbsentReason", "focus"],
        compatible: &["effectivePeriod.end", "bodySite", "method"],
        preferred: &["category", "referenceRange", "interpretation"],
        links: &[("specimen", Link::Bar)],
        ..Rule::cautious("Observation")
    },
    // `issued` differs between a preliminary and a final telling, so the clinical time counts.
    Rule {
        by_content: true,
        when: &[&["effectiveDateTime", "effectivePeriod.start"], &["issued"]],
        clock: Clock::Minute,
        compatible: &["effectivePeriod.end", "presentedForm.hash"],
        preferred: &["issued", "conclusion", "conclusionCode"],
        links: &[("result", Link::Hint), ("specimen", Link::Bar), ("imagingStudy", Link::Bar)],
        stage: 3,
        ..Rule::cautious("DiagnosticReport")
    },
    // DICOM UIDs are unique in the world: of the study, and of its series where it is not told.
    Rule {
        identifiers: &["identifier", "series.uid"],
        what: &[],
        ..Rule::cautious("ImagingStudy")
    },
    // Several tubes share one accession: the type must be the same too.
    Rule {
        identifiers: &["identifier", "accessionIdentifier"],
        what: &["type"],
        stage: 1,
        ..Rule::cautious("Specimen")
    },
    // The device identifier names the model; only with the serial number it is one device. Its
    // carrier string holds both (FDA UDI).
    Rule {
        identifiers: &["identifier", "udiCarrier.carrierHRF", SERIAL],
        what: &[],
        ..Rule::cautious("Device")
    },
];

/// Device identifier and serial number, read together.
pub(in crate::record) const SERIAL: &str = "udiCarrier.deviceIdentifier+serialNumber";
