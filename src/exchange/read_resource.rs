//! Reads one resource by its gateway id: a fact of a record just shown, or an original behind a group.

use super::{
    Call, Exchange, ExchangeError,
    call::{About, Outcome, settle},
    read_patient::permit,
};
use crate::{
    access::{Closing, Disclosure, Interaction, Released, Role},
    fhir::Resource,
    record::releases,
};

/// Reads `Type/<member>.<id>`.
///
/// The id names no patient, so the person is the one whose record showed it last; consent is decided
/// for that person and this requester. In every other case there is no such resource.
pub async fn read_resource(
    exchange: &Exchange,
    call: &Call,
    resource_type: &str,
    id: &str,
) -> Result<Released<String>, ExchangeError> {
    let about = About::resource(format!("{resource_type}/{id}"));
    let audit = call.open(exchange, Interaction::ResourceRead, about).await?;
    let outcome = read(exchange, call, resource_type, id);
    settle(audit, outcome).await
}

fn read(exchange: &Exchange, call: &Call, resource_type: &str, id: &str) -> Outcome<String> {
    // Who may not ask at all hears that, and not whether the resource is known.
    call.requester()?.may(Role::Query)?;
    call.purpose()?;
    let snapshot =
        exchange.snapshots.holding(resource_type, id).ok_or(ExchangeError::UnknownResource)?;
    // A refusal would tell that the resource is there.
    let permit =
        permit(exchange, call, snapshot.person).map_err(|_| ExchangeError::UnknownResource)?;
    let original =
        snapshot.record.original(resource_type, id).ok_or(ExchangeError::UnknownResource)?;
    // Another client's snapshot may hold more than this one may see.
    let resource = Resource::parse(original.json.as_bytes())?;
    let released =
        permit.restrictions(&original.member).is_some_and(|one| releases(one, &resource))
            && snapshot.still_linked(&permit, &original.member);
    if !released {
        return Err(ExchangeError::UnknownResource);
    }
    Ok((Closing::Disclosed(vec![Disclosure::of(&permit)]), original.json.clone()))
}
