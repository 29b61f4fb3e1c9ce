use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::Semaphore;

use super::*;
use crate::{
    directory::parse_members_toml,
    domain::{Address, Identifier, IdentifierKind, IdentifierUse, Name, PartialDate, Sex},
    federation::member_client::{Reply, Sending, TransportError},
};

/// What was asked: the address, and what went in the body.
type Asked = Arc<Mutex<Vec<(String, Option<String>)>>>;

/// Answers one line after the other.
struct Script {
    lines: Mutex<Vec<(u16, String)>>,
    asked: Asked,
}

impl Transport for Script {
    async fn send(&self, ask: &Ask, _: usize) -> Result<Reply, TransportError> {
        let (address, body) = match &ask.sending {
            Sending::Get => (ask.url.to_string(), None),
            Sending::PostedSearch => {
                (ask.url.path().to_owned(), Some(ask.url.query().unwrap_or_default().to_owned()))
            }
            Sending::Operation(json) => {
                (ask.url.to_string(), Some(String::from_utf8_lossy(json).into_owned()))
            }
        };
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push((address, body));
        let (status, body) = self.lines.lock().unwrap_or_else(PoisonError::into_inner).remove(0);
        Ok(Reply { status, retry_after: None, body: Bytes::from(body) })
    }
}

fn ruth() -> Demographics {
    let identifier = |kind, system: &str, value: &str| Identifier {
        kind,
        system: system.to_owned(),
        value: value.to_owned(),
        identifier_use: IdentifierUse::Current,
    };
    let name = |family: &str| Name {
        family: family.to_owned(),
        given: vec!["Ruth".to_owned()],
        ..Name::default()
    };
    let old = Address { lines: vec!["1 Former Rd".to_owned()], old: true, ..Address::default() };
    Demographics {
        names: vec![name("Okonkwo, Jr"), name("Reyes"), name("reyes")],
        birth_date: PartialDate::parse("1984-03-05").ok(),
        sex: Some(Sex::Female),
        addresses: vec![old],
        phones: vec!["508-555-0142".to_owned()],
        identifiers: vec![
            identifier(IdentifierKind::MedicalRecord, "urn:clinic-for-addiction", "77"),
            identifier(IdentifierKind::SocialSecurity, "", "521-54-7381"),
        ],
        ..Demographics::default()
    }
}

fn patient(id: &str, system: &str) -> Value {
    json!({"resource": {"resourceType": "Patient", "id": id,
        "identifier": [{"system": system, "value": id}]}})
}

fn bundle(entries: &[Value], next: bool) -> String {
    let link = if next {
        json!([{"relation": "next", "url": "https://a.example/fhir?2"}])
    } else {
        json!([])
    };
    json!({"resourceType": "Bundle", "type": "searchset", "link": link, "entry": entries})
        .to_string()
}

async fn look(
    told: &str,
    sought: &Demographics,
    lines: Vec<(u16, String)>,
) -> (Result<Candidates, Status>, Vec<(String, Option<String>)>) {
    let members = format!(
        "[[member]]\ncode = \"mercy\"\nname = \"Mercy\"\norganization = \"urn:org\"\n\
         identifier_systems = [\"urn:mrn\"]\nfhir_base = \"https://a.example/fhir\"\n{told}\n"
    );
    let roster = parse_members_toml(&members).expect("members");
    let member = roster.members().next().expect("one");
    let base = MemberBase::parse(member.base()).expect("a base");
    let settings = FederationSettings {
        attempts_max: 1,
        discovery_candidates_max: 2,
        ..FederationSettings::default()
    };
    let asked = Asked::default();
    let script = Script { lines: Mutex::new(lines), asked: Arc::clone(&asked) };
    let in_all = Arc::new(Semaphore::new(8));
    let client = MemberClient::new(member.code().clone(), script, 8, in_all, &settings);
    let deadline = Instant::now() + Duration::from_mins(1);
    let lookup = Lookup { client: &client, base: &base, member, settings: &settings, deadline };
    let found = lookup.candidates(sought).await;
    let asked = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (found, asked)
}

#[tokio::test]
async fn no_identifier_and_no_former_address_goes_out() {
    let (found, asked) =
        look("discovery = \"match\"", &ruth(), vec![(200, bundle(&[], false))]).await;
    assert!(found.expect("nobody").patients.is_empty());
    let (address, body) = &asked[0];
    assert_eq!(address, "https://a.example/fhir/Patient/$match");
    let body = body.as_deref().expect("posted");
    assert!(body.contains("Reyes") && body.contains("1984-03-05") && body.contains("508-555-0142"));
    for kept_back in ["addiction", "521-54-7381", "Former"] {
        assert!(!body.contains(kept_back), "{body}");
    }
}

#[tokio::test]
async fn a_search_names_every_family_name_once_in_its_body() {
    let (_, asked) = look("discovery = \"search\"", &ruth(), vec![(200, bundle(&[], false))]).await;
    let (address, body) = &asked[0];
    assert_eq!(address, "/fhir/Patient");
    assert_eq!(
        body.as_deref(),
        Some("family=Okonkwo%5C%2C+Jr%2CReyes&birthdate=1984-03-05&_count=3")
    );
    let told = "discovery = \"search\"\nquirks = [\"get_only\", \"no_count\"]";
    let (_, asked) = look(told, &ruth(), vec![(200, bundle(&[], false))]).await;
    assert_eq!(asked[0].1, None);
    assert!(asked[0].0.ends_with("birthdate=1984-03-05"), "{asked:?}");
}

#[tokio::test]
async fn a_name_that_many_bear_is_narrowed_once() {
    let three = [patient("1", "urn:mrn"), patient("2", "urn:mrn"), patient("3", "urn:mrn")];
    let lines = || vec![(200, bundle(&three, false)), (200, bundle(&three[..1], false))];
    let (found, asked) = look("discovery = \"search\"", &ruth(), lines()).await;
    let found = found.expect("found");
    assert!(!found.beyond && found.patients.len() == 1 && asked.len() == 2);
    assert!(asked[1].1.as_deref().is_some_and(|form| form.contains("given=Ruth")), "{asked:?}");
    // Nobody of that given name says nothing of those who were too many to be looked at.
    let lines = vec![(200, bundle(&three, false)), (200, bundle(&[], false))];
    let (found, _) = look("discovery = \"search\"", &ruth(), lines).await;
    assert!(found.expect("found").beyond);
}

#[tokio::test]
async fn what_is_cut_off_is_never_taken_for_all() {
    let one = [patient("1", "urn:mrn")];
    for (body, beyond) in [(bundle(&one, false), false), (bundle(&one, true), true)] {
        let (found, _) = look("discovery = \"match\"", &ruth(), vec![(200, body)]).await;
        assert_eq!(found.expect("found").beyond, beyond);
    }
    let three = [patient("1", "urn:mrn"), patient("2", "urn:mrn"), patient("3", "urn:mrn")];
    let (found, _) =
        look("discovery = \"match\"", &ruth(), vec![(200, bundle(&three, false))]).await;
    assert!(found.expect("found").beyond);
}

#[tokio::test]
async fn only_active_patients_with_a_number_of_the_member_are_candidates() {
    let mut merged = patient("2", "urn:mrn");
    merged["resource"]["active"] = json!(false);
    let entries = [patient("1", "urn:other"), merged];
    let (found, _) =
        look("discovery = \"match\"", &ruth(), vec![(200, bundle(&entries, false))]).await;
    let found = found.expect("found");
    assert_eq!((found.patients.len(), found.unnumbered, found.beyond), (0, 1, false));
}

#[tokio::test]
async fn who_is_known_too_little_is_not_looked_for() {
    let mut vague = ruth();
    vague.birth_date = PartialDate::parse("1984").ok();
    let mut nameless = ruth();
    nameless.names.clear();
    for sought in [vague, nameless] {
        let (found, asked) = look("discovery = \"match\"", &sought, Vec::new()).await;
        assert_eq!(found.err(), Some(Status::NotAsked(NotAsked::TooLittleKnown)));
        assert!(asked.is_empty());
    }
}
