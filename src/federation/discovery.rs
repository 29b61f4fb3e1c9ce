//! Looking for a person at a member that does not feed its patients: whom does it know of these
//! demographics?
//!
//! What it gives are candidates, in no order that counts and with no score that does: whoever asks
//! judges them. No identifier goes out, since one of another member would tell where the person was
//! treated; and no URL holds demographics, unless the member takes no search by POST.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use serde_json::json;
use tokio::{task::JoinSet, time::Instant};

use super::{
    fan_out::Federation,
    member_base::MemberBase,
    member_client::{Ask, AskError, MemberClient, Transport},
    outcome::{Fault, NotAsked, Status},
    settings::FederationSettings,
};
use crate::{
    access::Permit,
    directory::{Discovery, Member, Quirk},
    domain::{Demographics, LocalId, MemberCode},
    fhir::{
        Bundle,
        patient::{demographics_to_patient, read_patient},
    },
};

/// Family names told in one search: the present one, the maiden one, one more.
const FAMILIES_MAX: usize = 3;
/// Bytes of an answer: some twenty Patients, each with a photograph the size of a stamp.
const ANSWER_BYTES_MAX: usize = 2 << 20;

/// Patients of a member who may be the one who is looked for.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    /// Each once, by its first record number.
    pub patients: Vec<Candidate>,
    /// Whether there are more than were looked at.
    pub beyond: bool,
    /// How many carry none of the member's record numbers.
    pub unnumbered: usize,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The member's record number.
    pub local_id: LocalId,
    /// What the member tells of the patient.
    pub demographics: Demographics,
}

impl Federation {
    /// Asks one member whom it knows of these demographics. Whoever calls has put on record that
    /// they go there. Dropping the future stops the work.
    pub async fn look_for(
        &self,
        permit: &Permit,
        member: &MemberCode,
        sought: &Demographics,
        deadline: Duration,
    ) -> Result<Candidates, Status> {
        if !permit.permits_member(member) {
            return Err(Status::NotAsked(NotAsked::NotPermitted));
        }
        let connection = self.connection_to(member)?;
        let own = Duration::from_millis(connection.member.deadline_ms().into());
        let most = Duration::from_millis(self.settings().discovery_deadline_ms);
        let deadline = Instant::now() + deadline.min(own).min(most);
        let (sought, settings) = (sought.clone(), self.shared_settings());
        // A connection is driven by the runtime that dialled it; and the task ends with its set.
        let mut task = JoinSet::new();
        let work = async move {
            let lookup = Lookup {
                client: &connection.client,
                base: &connection.base,
                member: &connection.member,
                settings: &settings,
                deadline,
            };
            lookup.candidates(&sought).await
        };
        task.spawn_on(work, self.handle());
        match task.join_next().await {
            Some(Ok(found)) => found,
            _ => Err(Status::Unreachable(Fault::Internal)),
        }
    }
}

/// One question at one member.
pub(super) struct Lookup<'a, T> {
    pub(super) client: &'a MemberClient<T>,
    pub(super) base: &'a MemberBase,
    pub(super) member: &'a Member,
    pub(super) settings: &'a FederationSettings,
    pub(super) deadline: Instant,
}

impl<T: Transport> Lookup<'_, T> {
    pub(super) async fn candidates(&self, sought: &Demographics) -> Result<Candidates, Status> {
        let sought = Sought::of(sought).ok_or(Status::NotAsked(NotAsked::TooLittleKnown))?;
        if self.member.discovery() == Discovery::Match {
            return self.ask(&self.matching(&sought)).await;
        }
        let found = self.ask(&self.searching(&sought, None)).await?;
        match sought.given() {
            // A common name on a common date: the given name narrows it, or nothing does.
            Some(given) if found.beyond => {
                let narrowed = self.ask(&self.searching(&sought, Some(given))).await?;
                let nobody = narrowed.patients.is_empty();
                Ok(Candidates { beyond: narrowed.beyond || nobody, ..narrowed })
            }
            _ => Ok(found),
        }
    }

    /// `POST Patient/$match` (FHIR R4). All grades are asked for: whether a second patient may be
    /// meant is not the member's to decide.
    fn matching(&self, sought: &Sought) -> Ask {
        let mut patient = demographics_to_patient(&sought.told);
        patient.insert("resourceType".to_owned(), json!("Patient"));
        let parameters = json!({
            "resourceType": "Parameters",
            "parameter": [
                {"name": "resource", "resource": patient},
                {"name": "onlyCertainMatches", "valueBoolean": false},
                {"name": "count", "valueInteger": self.count()},
            ],
        });
        let url = self.base.below(&["Patient", "$match"]);
        Ask::operation(url, Bytes::from(parameters.to_string()))
    }

    /// `Patient?family=…&birthdate=…` (FHIR R4), posted.
    fn searching(&self, sought: &Sought, given: Option<&str>) -> Ask {
        let has = |quirk| self.member.has_quirk(quirk);
        let count = (!has(Quirk::NoCount)).then(|| self.count());
        let url = self.base.patients_like(&sought.families, &sought.born, given, count);
        Ask::search(url, !has(Quirk::GetOnly))
    }

    /// One more than are looked at: without it, one who was cut off would look like nobody.
    fn count(&self) -> usize {
        self.settings.discovery_candidates_max + 1
    }

    async fn ask(&self, ask: &Ask) -> Result<Candidates, Status> {
        let bytes_max = ANSWER_BYTES_MAX.min(self.member.limits().page_bytes_max as usize);
        let body = match self.client.ask(ask, bytes_max, self.deadline).await {
            Ok(body) => body,
            Err(error) => return Err(AskError::status(error)),
        };
        let bundle = Bundle::parse(&body).map_err(|_| Status::Unreachable(Fault::NotFhir))?;
        Ok(self.read(bundle))
    }

    fn read(&self, bundle: Bundle) -> Candidates {
        let mut found = Candidates {
            beyond: bundle.link("next").is_some() || bundle.malformed_entries > 0,
            ..Candidates::default()
        };
        let (mut seen, mut known) = (0, BTreeSet::new());
        for entry in bundle.entries {
            if entry.resource.resource_type() != "Patient" {
                continue;
            }
            seen += 1;
            if seen > self.settings.discovery_candidates_max {
                found.beyond = true;
                break;
            }
            let Ok(told) = read_patient(&entry.resource) else {
                found.unnumbered += 1;
                continue;
            };
            // What was merged away or ended is nobody to ask for.
            if !told.active || told.replaced_by.is_some() {
                continue;
            }
            match told.local_ids.into_iter().find(|id| self.member.owns_system(id.system())) {
                None => found.unnumbered += 1,
                Some(local_id) if known.insert(local_id.clone()) => {
                    found.patients.push(Candidate { local_id, demographics: told.demographics });
                }
                Some(_) => {}
            }
        }
        found
    }
}

/// What goes out of a person who is looked for.
struct Sought {
    told: Demographics,
    families: Vec<String>,
    /// The whole date.
    born: String,
}

impl Sought {
    /// Names, birth date, sex, current addresses and contacts. `None` where that would fit many:
    /// without a family name or the whole date of birth.
    fn of(person: &Demographics) -> Option<Self> {
        let born = person.birth_date.filter(|date| date.is_full())?.to_string();
        let mut families: Vec<String> = Vec::new();
        for name in &person.names {
            let family = name.family.trim();
            let known = families.iter().any(|other| other.eq_ignore_ascii_case(family));
            if !family.is_empty() && !known && families.len() < FAMILIES_MAX {
                families.push(family.to_owned());
            }
        }
        if families.is_empty() {
            return None;
        }
        let told = Demographics {
            names: person.names.clone(),
            birth_date: person.birth_date,
            sex: person.sex,
            addresses: person.addresses.iter().filter(|one| !one.old).cloned().collect(),
            phones: person.phones.clone(),
            emails: person.emails.clone(),
            multiple_birth: person.multiple_birth,
            birth_order: person.birth_order,
            ..Demographics::default()
        };
        Some(Self { told, families, born })
    }

    fn given(&self) -> Option<&str> {
        let given = self.told.names.iter().flat_map(|name| &name.given);
        given.map(|given| given.trim()).find(|given| !given.is_empty())
    }
}

#[cfg(test)]
mod tests;
