use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::UtcOffset;

use super::{InvalidMember, Member};

/// Assigning authorities of one member.
const AUTHORITIES_MAX: usize = 64;
/// The longest name or OID of an authority, in bytes (HL7 v2 `HD` allows 199).
const TEXT_BYTES_MAX: usize = 199;

/// What the member's HL7 v2 messages call one of its namespaces of record numbers (PID-3.4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AssigningAuthority {
    /// PID-3.4.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// PID-3.4.2 of type ISO; a system that is `urn:oid:…` of it is found without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oid: Option<String>,
    /// The namespace's URI, one of the member's `identifier_systems`.
    pub system: String,
    /// Whether a record number without an authority is of this one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
}

/// Checks what a file tells of a member's authorities.
pub(super) fn check(told: &[AssigningAuthority], systems: &[String]) -> Result<(), InvalidMember> {
    if told.len() > AUTHORITIES_MAX {
        return Err(InvalidMember::Authorities);
    }
    let mut names = HashSet::new();
    for authority in told {
        let parts = [("namespace", &authority.namespace), ("oid", &authority.oid)];
        let told: Vec<(&str, &str)> =
            parts.into_iter().filter_map(|(key, part)| Some((key, part.as_deref()?))).collect();
        let whole = |text: &str| !text.trim().is_empty() && text.len() <= TEXT_BYTES_MAX;
        if told.is_empty() && !authority.default || !told.iter().all(|(_, text)| whole(text)) {
            return Err(InvalidMember::Authority);
        }
        if let Some((_, twice)) = told.iter().find(|part| !names.insert(**part)) {
            return Err(InvalidMember::SharedAuthority((*twice).to_owned()));
        }
        if !systems.contains(&authority.system) {
            return Err(InvalidMember::AuthoritySystem(authority.system.clone()));
        }
    }
    if told.iter().filter(|authority| authority.default).count() > 1 {
        return Err(InvalidMember::DefaultAuthorities);
    }
    Ok(())
}

/// Reads `±hh:mm`.
pub(super) fn utc_offset(told: &str) -> Result<UtcOffset, InvalidMember> {
    let (sign, rest) = told.split_at_checked(1).ok_or(InvalidMember::UtcOffset)?;
    let minus = match sign {
        "+" => 1,
        "-" => -1,
        _ => return Err(InvalidMember::UtcOffset),
    };
    let number = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i8>().ok().filter(|_| digits).ok_or(InvalidMember::UtcOffset)
    };
    let (hours, minutes) = rest.split_once(':').ok_or(InvalidMember::UtcOffset)?;
    UtcOffset::from_hms(minus * number(hours)?, minus * number(minutes)?, 0)
        .map_err(|_| InvalidMember::UtcOffset)
}

/// The parts of an authority name two namespaces; which one is meant cannot be told.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the parts of the assigning authority name different namespaces")]
pub struct ContradictingAuthority;

impl Member {
    /// The member's own namespace that an assigning authority means, by its local name, by its
    /// universal id as a URI, or by both, which then must agree; `None` where it is none of the
    /// member's. Where neither is told, the default holds.
    pub fn system_of_authority(
        &self,
        namespace: &str,
        uri: Option<&str>,
    ) -> Result<Option<&str>, ContradictingAuthority> {
        let authorities = self.authorities();
        if namespace.is_empty() && uri.is_none() {
            let default = authorities.iter().find(|authority| authority.default);
            return Ok(default.map(|authority| authority.system.as_str()));
        }
        let named = authorities.iter().find(|authority| {
            !namespace.is_empty() && authority.namespace.as_deref() == Some(namespace)
        });
        let by_uri = uri.and_then(|uri| self.system_of_uri(uri));
        let Some(named) = named else { return Ok(by_uri) };
        match (by_uri, uri) {
            (Some(system), _) if system != named.system => Err(ContradictingAuthority),
            // The name is known with another universal id than the one told.
            (None, Some(_)) if named.oid.is_some() || named.system.starts_with("urn:oid:") => {
                Err(ContradictingAuthority)
            }
            _ => Ok(Some(&named.system)),
        }
    }

    fn system_of_uri(&self, uri: &str) -> Option<&str> {
        let told = |authority: &&AssigningAuthority| {
            let oid = authority.oid.as_deref();
            oid.is_some_and(|oid| uri.strip_prefix("urn:oid:") == Some(oid))
        };
        let own = self.identifier_systems().iter().find(|system| *system == uri);
        let named = self.authorities().iter().find(told).map(|authority| &authority.system);
        named.or(own).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::parse_members_toml;
    use crate::domain::MemberCode;

    fn file(rest: &str) -> String {
        format!(
            r#"
            [[member]]
            code = "anne"
            name = "St. Anne"
            organization = "urn:oid:1.2"
            identifier_systems = ["urn:oid:1.2.1", "https://anne.example/mrn"]
            fhir_base = "https://anne.example/fhir"
            {rest}
            "#
        )
    }

    fn member(rest: &str) -> Member {
        let roster = parse_members_toml(&file(rest)).expect("a good file");
        roster.member(&MemberCode::parse("anne").expect("a code")).expect("told").clone()
    }

    const AUTHORITIES: &str = r#"
        utc_offset = "-05:00"
        [[member.authority]]
        namespace = "MAIN"
        system = "urn:oid:1.2.1"
        [[member.authority]]
        namespace = "LAB"
        oid = "9.9"
        system = "https://anne.example/mrn"
        default = true
    "#;

    #[test]
    fn an_authority_is_found_by_name_by_universal_id_or_by_both() {
        let anne = member(AUTHORITIES);
        let (main, lab) = (Ok(Some("urn:oid:1.2.1")), Ok(Some("https://anne.example/mrn")));
        for (namespace, uri, expected) in [
            ("MAIN", None, main),
            ("", Some("urn:oid:1.2.1"), main),
            ("MAIN", Some("urn:oid:1.2.1"), main),
            ("Some name", Some("urn:oid:1.2.1"), main),
            ("LAB", None, lab),
            ("", Some("urn:oid:9.9"), lab),
            ("LAB", Some("urn:oid:9.9"), lab),
            ("", None, lab),
            ("main", None, Ok(None)),
            ("OTHER", None, Ok(None)),
            ("", Some("urn:oid:7"), Ok(None)),
            ("MAIN", Some("urn:oid:9.9"), Err(ContradictingAuthority)),
            ("MAIN", Some("urn:oid:7"), Err(ContradictingAuthority)),
            ("LAB", Some("urn:oid:7"), Err(ContradictingAuthority)),
        ] {
            assert_eq!(anne.system_of_authority(namespace, uri), expected, "{namespace} {uri:?}");
        }
        assert_eq!(anne.utc_offset().whole_hours(), -5);
        let none = member("");
        assert_eq!(none.system_of_authority("", None), Ok(None));
        assert!(none.utc_offset().is_utc());
    }

    #[test]
    fn each_fault_is_named() {
        for (rest, words) in [
            ("[[member.authority]]\nnamespace=\"A\"\nsystem=\"urn:x\"", "urn:x"),
            ("[[member.authority]]\nsystem=\"urn:oid:1.2.1\"", "namespace, an oid"),
            ("[[member.authority]]\nnamespace=\"\"\nsystem=\"urn:oid:1.2.1\"", "namespace, an oid"),
            (
                "[[member.authority]]\nnamespace=\"A\"\nsystem=\"urn:oid:1.2.1\"\n[[member.authority]]\nnamespace=\"A\"\nsystem=\"urn:oid:1.2.1\"",
                "told twice",
            ),
            (
                "[[member.authority]]\ndefault=true\nsystem=\"urn:oid:1.2.1\"\n[[member.authority]]\ndefault=true\nsystem=\"urn:oid:1.2.1\"",
                "one authority",
            ),
            ("utc_offset = \"5\"", "utc_offset"),
            ("utc_offset = \"+25:99\"", "utc_offset"),
        ] {
            let told = parse_members_toml(&file(rest)).expect_err(rest).to_string();
            assert!(told.contains(words), "{rest}: {told}");
        }
    }
}
