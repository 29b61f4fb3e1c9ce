//! One resource read at a member by its id.
//!
//! An id names no patient, so whose the resource is can be known only once it is there. What is read
//! to find that out is not given away: [`Federation::whose`] tells identifiers alone, with which the
//! person is found and consent is decided.

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    fan_out::Federation,
    member_base::is_addressable,
    member_client::Ask,
    outcome::{Fault, Status},
};
use crate::{
    access::Permit,
    domain::{LocalId, MemberCode},
    fhir::{Reference, Resource, patient::read_patient, subject::subject_references},
};

impl Federation {
    /// The identifiers of the one patient that a member's resource is about; none where there is no
    /// such resource, or it does not say whose it is, or speaks of several.
    pub async fn whose(
        &self,
        member: &MemberCode,
        resource_type: &str,
        id: &str,
        deadline: Instant,
    ) -> Vec<LocalId> {
        let read = async {
            let resource = self.read_at(member, resource_type, id, deadline).await?;
            if resource.resource_type() == "Patient" {
                return Some(read_patient(&resource).ok()?.local_ids);
            }
            let base = self.base_of(member)?;
            let mut patients: Vec<String> = Vec::new();
            for told in subject_references(&resource) {
                match Reference::parse(&told).on_server(&base) {
                    Some(("Patient", id)) => patients.push(id.to_owned()),
                    _ => return None,
                }
            }
            patients.dedup();
            let [patient] = patients.as_slice() else { return None };
            let patient = self.read_at(member, "Patient", patient, deadline).await?;
            Some(read_patient(&patient).ok()?.local_ids)
        };
        read.await.unwrap_or_default()
    }

    /// The bytes that a member gives for a `Binary`: as a FHIR resource, or as they are. To be asked
    /// for only where a document that the permit shows leads there.
    pub async fn read_binary(
        &self,
        permit: &Permit,
        member: &MemberCode,
        id: &str,
        bytes_max: usize,
        deadline: Instant,
    ) -> Result<Bytes, Status> {
        if !permit.permits_member(member) {
            return Err(Status::NotAsked(super::NotAsked::NotPermitted));
        }
        self.get(member, &["Binary", id], bytes_max, deadline).await
    }

    async fn read_at(
        &self,
        member: &MemberCode,
        resource_type: &str,
        id: &str,
        deadline: Instant,
    ) -> Option<Resource> {
        let bytes_max = self.page_bytes_max(member)?;
        let body = self.get(member, &[resource_type, id], bytes_max, deadline).await.ok()?;
        let resource = Resource::parse(&body).ok()?;
        let asked = resource.resource_type() == resource_type && resource.id() == Some(id);
        asked.then_some(resource)
    }

    async fn get(
        &self,
        member: &MemberCode,
        path: &[&str],
        bytes_max: usize,
        deadline: Instant,
    ) -> Result<Bytes, Status> {
        if !path.iter().all(|segment| is_addressable(segment)) {
            return Err(Status::Unreachable(Fault::NotFhir));
        }
        let Some(asking) = self.asking(member) else {
            return Err(Status::NotAsked(super::NotAsked::NotActive));
        };
        let ask = Ask::get(asking.base().below(path));
        // A connection is driven by the runtime that dialled it.
        let task = self.handle().spawn(async move { asking.ask(&ask, bytes_max, deadline).await });
        match task.await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(error)) => Err(error.status()),
            Err(_) => Err(Status::Unreachable(Fault::Internal)),
        }
    }
}
