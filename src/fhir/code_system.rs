//! Code systems and codes, whoever wrote them: one spelling for each.

use std::borrow::Cow;

/// Known systems: URI without scheme, in lower case; the OIDs by which they go too; canonical URI.
/// From HL7 Terminology (THO) 6 and the v3 and CDA code systems that feeds convert from.
const SYSTEMS: &[(&str, &[&str], &str)] = &[
    ("snomed.info/sct", &["2.16.840.1.113883.6.96"], SNOMED),
    ("loinc.org", &["2.16.840.1.113883.6.1"], LOINC),
    (
        "www.nlm.nih.gov/research/umls/rxnorm",
        &["2.16.840.1.113883.6.88"],
        "http://www.nlm.nih.gov/research/umls/rxnorm",
    ),
    ("hl7.org/fhir/sid/icd-10-cm", &["2.16.840.1.113883.6.90"], ICD_10_CM),
    (
        "www.cms.gov/medicare/coding/icd10",
        &["2.16.840.1.113883.6.4"],
        "http://www.cms.gov/Medicare/Coding/ICD10",
    ),
    ("hl7.org/fhir/sid/icd-10", &["2.16.840.1.113883.6.3"], ICD_10),
    (
        "hl7.org/fhir/sid/icd-9-cm",
        &["2.16.840.1.113883.6.103", "2.16.840.1.113883.6.104"],
        ICD_9_CM,
    ),
    ("hl7.org/fhir/sid/cvx", &["2.16.840.1.113883.12.292"], "http://hl7.org/fhir/sid/cvx"),
    ("hl7.org/fhir/sid/mvx", &["2.16.840.1.113883.12.227"], "http://hl7.org/fhir/sid/mvx"),
    ("hl7.org/fhir/sid/ndc", &["2.16.840.1.113883.6.69"], NDC),
    ("www.ama-assn.org/go/cpt", &["2.16.840.1.113883.6.12"], "http://www.ama-assn.org/go/cpt"),
    (
        "www.cms.gov/medicare/coding/hcpcsreleasecodesets",
        &["2.16.840.1.113883.6.285"],
        "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
    ),
    ("www.ada.org/cdt", &["2.16.840.1.113883.6.13"], "http://www.ada.org/cdt"),
    ("unitsofmeasure.org", &["2.16.840.1.113883.6.8"], UCUM),
    ("fdasis.nlm.nih.gov", &["2.16.840.1.113883.4.9"], "http://fdasis.nlm.nih.gov"),
    ("va.gov/terminology/medrt", &["2.16.840.1.113883.6.345"], "http://va.gov/terminology/medrt"),
    ("hl7.org/fhir/ndfrt", &["2.16.840.1.113883.6.209"], "http://hl7.org/fhir/ndfrt"),
    (
        "nucc.org/provider-taxonomy",
        &["2.16.840.1.113883.6.101"],
        "http://nucc.org/provider-taxonomy",
    ),
    (
        "dicom.nema.org/resources/ontology/dcm",
        &["1.2.840.10008.2.16.4"],
        "http://dicom.nema.org/resources/ontology/DCM",
    ),
    (
        "terminology.hl7.org/codesystem/v3-actcode",
        &["2.16.840.1.113883.5.4"],
        "http://terminology.hl7.org/CodeSystem/v3-ActCode",
    ),
    (
        "terminology.hl7.org/codesystem/v3-observationinterpretation",
        &["2.16.840.1.113883.5.83"],
        "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",
    ),
    (
        "terminology.hl7.org/codesystem/v3-nullflavor",
        &["2.16.840.1.113883.5.1008"],
        "http://terminology.hl7.org/CodeSystem/v3-NullFlavor",
    ),
];

/// SNOMED CT.
pub const SNOMED: &str = "http://snomed.info/sct";
/// LOINC.
pub const LOINC: &str = "http://loinc.org";
/// UCUM.
pub const UCUM: &str = "http://unitsofmeasure.org";
const ICD_10_CM: &str = "http://hl7.org/fhir/sid/icd-10-cm";
const ICD_10: &str = "http://hl7.org/fhir/sid/icd-10";
const ICD_9_CM: &str = "http://hl7.org/fhir/sid/icd-9-cm";
const NDC: &str = "http://hl7.org/fhir/sid/ndc";

/// Registries whose every URI is a code system that all share: HL7's own and other standards'.
const SHARED: &[&str] =
    &["terminology.hl7.org/", "hl7.org/fhir/", "www.nubc.org/codesystem/", "nucc.org/"];

/// The canonical URI of a code system that everybody shares; `None` for a local or unknown one.
pub fn known_system(told: &str) -> Option<Cow<'_, str>> {
    let told = told.trim();
    if let Some((_, _, uri)) = SYSTEMS.iter().find(|(_, _, uri)| *uri == told) {
        return Some(Cow::Borrowed(uri));
    }
    // A version may follow: `system|version`.
    let unversioned = told.split('|').next().unwrap_or_default();
    let oid = unversioned.strip_prefix("urn:oid:").unwrap_or(unversioned);
    if oid.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return SYSTEMS
            .iter()
            .find(|(_, oids, _)| oids.contains(&oid))
            .map(|(_, _, uri)| Cow::Borrowed(*uri));
    }
    let lower = unversioned.to_ascii_lowercase();
    if lower.starts_with("urn:iso:") || lower.starts_with("urn:ietf:") {
        return Some(Cow::Owned(lower));
    }
    let rest = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://"))?;
    let rest = rest.trim_end_matches('/');
    // SNOMED CT editions: `http://snomed.info/sct/731000124108/version/20190901`.
    let rest = if rest.starts_with("snomed.info/sct/") { "snomed.info/sct" } else { rest };
    if let Some((_, _, uri)) = SYSTEMS.iter().find(|(path, _, _)| *path == rest) {
        return Some(Cow::Borrowed(uri));
    }
    SHARED.iter().any(|shared| rest.starts_with(shared)).then(|| Cow::Owned(rest.to_owned()))
}

/// The canonical spelling of a code: ICD without its dot, NDC with eleven digits.
pub fn canonical_code<'a>(system: &str, code: Cow<'a, str>) -> Cow<'a, str> {
    match system {
        ICD_10_CM | ICD_10 | ICD_9_CM => Cow::Owned(code.trim().replace('.', "").to_uppercase()),
        NDC => Cow::Owned(eleven_digits(&code)),
        _ if code.trim().len() == code.len() => code,
        _ => Cow::Owned(code.trim().to_owned()),
    }
}

/// NDC `5-3-2`, `4-4-2` and `5-4-1` become the billing form `5-4-2`; without hyphens nobody can
/// tell which zero is missing, so such a code stays as it is.
fn eleven_digits(code: &str) -> String {
    let parts: Vec<&str> = code.trim().split('-').collect();
    match parts.as_slice() {
        [labeler, product, package] => format!("{labeler:0>5}{product:0>4}{package:0>2}"),
        _ => code.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(told: &str, expected: Option<&str>) {
        assert_eq!(known_system(told).as_deref(), expected, "{told}");
    }

    #[test]
    fn one_system_has_many_spellings() {
        for told in [
            "http://snomed.info/sct",
            "https://snomed.info/sct/",
            "HTTP://SNOMED.info/sct",
            "urn:oid:2.16.840.1.113883.6.96",
            "2.16.840.1.113883.6.96",
            "http://snomed.info/sct|http://snomed.info/sct/900000000000207008/version/20240101",
            "http://snomed.info/sct/731000124108/version/20190901",
        ] {
            check(told, Some(SNOMED));
        }
        let v2 = "https://terminology.hl7.org/CodeSystem/v2-0074/";
        check(v2, Some("terminology.hl7.org/codesystem/v2-0074"));
        for local in ["https://mercy.example/codes", "urn:oid:1.2.3", "", "http://loinc.org.evil"] {
            check(local, None);
        }
    }

    #[test]
    fn codes_have_one_spelling() {
        let icd = |code| canonical_code(ICD_10_CM, Cow::Borrowed(code));
        assert_eq!(icd("e11.9"), icd("E119"));
        assert_eq!(eleven_digits("0777-3105-02"), "00777310502");
        assert_eq!(eleven_digits("50242-040-62"), "50242004062");
        assert_eq!(eleven_digits("1234567890"), "1234567890");
    }
}
