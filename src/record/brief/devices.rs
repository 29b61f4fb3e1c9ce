//! What is in or on the patient's body.

use serde_json::Value;

use super::{
    Chart, Section, Told, Tone,
    clinical::{group_line, join},
    reading::{moment, says, words},
};

/// Devices that are said to be the patient's; a scanner of the ward is none.
pub(super) fn devices(chart: &Chart<'_>) -> Section {
    let mut section = Section::new("devices", "IMPLANTS AND DEVICES", Tone::Plain);
    let told = chart.told("Device");
    let used = chart.told("DeviceUseStatement");
    let own = |one: &&Told<'_>| one.is_shown && one.json["patient"].is_object();
    for one in told.iter().filter(own) {
        let gone = says(&one.json["status"], &["inactive"]);
        let text = device_in_words(chart, &one.json);
        let text = if gone { format!("past: {text}") } else { text };
        let tone = if gone { Tone::Faint } else { Tone::Plain };
        section.lines.push(group_line(chart, text, &[one], &["manufactureDate"], tone));
    }
    for one in used.iter().filter(|one| one.is_shown) {
        let device = one.json["device"]["reference"].as_str().and_then(|told| chart.read(told));
        // One that is listed above by itself is not told again.
        if device.as_ref().is_some_and(|(_, device)| device["patient"].is_object()) {
            continue;
        }
        let name = device.map_or_else(
            || one.json["device"]["display"].as_str().unwrap_or("a device").to_owned(),
            |(_, device)| device_in_words(chart, &device),
        );
        let text = join(vec![name, words(&one.json["bodySite"])]);
        let dates = ["timingDateTime", "timingPeriod", "recordedOn"];
        section.lines.push(group_line(chart, text, &[one], &dates, Tone::Plain));
    }
    section
}

fn device_in_words(chart: &Chart<'_>, device: &Value) -> String {
    let name = device["deviceName"][0]["name"].as_str().unwrap_or_default();
    let kind = words(&device["type"]);
    let told = |element: &str, label: &str| {
        let value = device[element].as_str().filter(|value| !value.is_empty());
        value.map(|value| format!("{label} {value}")).unwrap_or_default()
    };
    let udi = device["udiCarrier"][0]["deviceIdentifier"].as_str();
    let mut parts = vec![kind];
    if !parts[0].eq_ignore_ascii_case(name) {
        parts.push(name.to_owned());
    }
    parts.extend([told("manufacturer", "by"), told("modelNumber", "model")]);
    parts.extend([told("lotNumber", "lot"), told("serialNumber", "serial")]);
    parts.push(udi.map(|udi| format!("UDI-DI {udi}")).unwrap_or_default());
    let expiry = moment(device, &["expirationDate"]);
    let expired = expiry.filter(|expiry| expiry.at < chart.now);
    parts.push(expired.map(|at| format!("EXPIRED {}", at.day)).unwrap_or_default());
    let text = join(parts);
    if text.is_empty() { "a device".to_owned() } else { text }
}
