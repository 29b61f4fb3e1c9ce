//! Reads the bytes of a document through to its member (`Binary`; IHE MHD ITI-68).

use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Call, Exchange, ExchangeError, Snapshot,
    call::{About, Outcome, settle},
    read_patient::permit,
    read_resource::still_shown,
};
use crate::{
    access::{Closing, Disclosure, Interaction, OpenAudit, Released, Role},
    domain::MemberCode,
    fhir::{Element, Resource},
};

/// Of an answer in FHIR JSON, what stands around the bytes.
const ENVELOPE_BYTES: usize = 64 << 10;

/// The bytes of a document.
pub struct DocumentContent {
    /// Their media type, as the document's description tells it.
    pub content_type: String,
    /// As many, and of the hash, that the description tells.
    pub bytes: Bytes,
}

/// Where a document's bytes are, and what its description says of them.
struct Described {
    snapshot: Arc<Snapshot>,
    member: MemberCode,
    source_id: String,
    /// The description, as it was shown.
    json: String,
    content_type: Option<String>,
    size: Option<u64>,
    hash: Option<String>,
}

/// Reads `Binary/<member>.<id>`.
///
/// A `Binary` says nothing of a patient: it is released only where a document, report or image of a
/// record just shown leads to it, and consent lets this requester see that. In every other case there
/// is no such resource. The whole is read, within the exchange's bound, and held against the size,
/// hash and type that the description tells, before the first byte goes out.
pub async fn read_document(
    exchange: &Exchange,
    call: &Call,
    id: &str,
) -> Result<Released<DocumentContent>, ExchangeError> {
    let about = About::resource(format!("Binary/{id}"));
    let mut audit = call.open(exchange, Interaction::ResourceRead, about).await?;
    let outcome = read(exchange, call, &mut audit, id).await;
    settle(audit, outcome).await
}

async fn read(
    exchange: &Exchange,
    call: &Call,
    audit: &mut OpenAudit,
    id: &str,
) -> Outcome<DocumentContent> {
    call.requester()?.may(Role::Query)?;
    call.purpose()?;
    let described = described(exchange, id).ok_or(ExchangeError::UnknownResource)?;
    let permit = permit(exchange, call, described.snapshot.person)
        .map_err(|_| ExchangeError::UnknownResource)?;
    if !still_shown(&described.snapshot, &permit, &described.member, &described.json) {
        return Err(ExchangeError::UnknownResource);
    }
    let _slot = exchange.queries.try_acquire().map_err(|_| ExchangeError::Busy)?;
    audit.begun().await?;
    let bytes_max = exchange.settings.document_bytes_max;
    let patience = exchange.federation.settings().deadline(permit.purpose().is_emergency());
    let body = exchange
        .federation
        .read_binary(
            &permit,
            &described.member,
            &described.source_id,
            bytes_max / 3 * 4 + ENVELOPE_BYTES,
            Instant::now() + patience,
        )
        .await
        .map_err(|_| ExchangeError::DocumentUnavailable)?;
    let content = described.check(&body)?;
    if content.bytes.len() > bytes_max {
        return Err(ExchangeError::DocumentUnavailable);
    }
    Ok((Closing::Disclosed(vec![Disclosure::of(&permit)]), content))
}

/// The latest description that leads to a Binary.
fn described(exchange: &Exchange, id: &str) -> Option<Described> {
    let snapshot = exchange.snapshots.describing(id)?;
    let url = format!("Binary/{id}");
    let record = &snapshot.record;
    let described = record.originals().iter().find_map(|original| {
        let resource = Resource::parse(original.json.as_bytes()).ok()?;
        let leads = resource
            .links()
            .any(|link| link.is_attachment() && link.text().is_some_and(|told| told == url));
        if !leads {
            return None;
        }
        let attachment = attachment(resource.head().resource(), &url)?;
        let text = |name: &str| attachment.text_of(name).map(std::borrow::Cow::into_owned);
        let size = attachment.field("size").and_then(|size| size.raw().parse().ok());
        Some((
            original.member.clone(),
            original.json.clone(),
            text("contentType"),
            size,
            text("hash"),
        ))
    });
    let (member, json, content_type, size, hash) = described?;
    let hashed = record
        .id_mappings()
        .iter()
        .find(|mapping| mapping.gateway_id == id && mapping.resource_type == "Binary");
    let source_id = match hashed {
        Some(mapping) => mapping.source_id.clone()?,
        None => id.split_once('.')?.1.to_owned(),
    };
    Some(Described { snapshot, member, source_id, json, content_type, size, hash })
}

/// The Attachment with this URL, wherever it stands.
fn attachment<'a>(element: Element<'a>, url: &str) -> Option<Element<'a>> {
    if element.is_object() {
        if element.text_of("url").as_deref() == Some(url) {
            return Some(element);
        }
        return element.fields().find_map(|(_, value)| attachment(value, url));
    }
    element.items().find_map(|item| attachment(item, url))
}

impl Described {
    /// Takes the bytes out of what the member gave, and holds them against the description.
    fn check(&self, body: &Bytes) -> Result<DocumentContent, ExchangeError> {
        let wrapped = Resource::parse(body).ok().filter(|one| one.resource_type() == "Binary");
        let (bytes, told) = match &wrapped {
            Some(binary) => {
                let data = binary.head().text_of("data").ok_or(ExchangeError::DocumentDiffers)?;
                // FHIR allows line breaks within base64.
                let data: String = data.split_ascii_whitespace().collect();
                let bytes = STANDARD.decode(data).map_err(|_| ExchangeError::DocumentDiffers)?;
                (Bytes::from(bytes), binary.head().text_of("contentType"))
            }
            None => (body.clone(), None),
        };
        // An attachment that is assembled when it is asked for tells neither (IHE MHD).
        let size = self.size.is_none_or(|size| size == 0 || size == bytes.len() as u64);
        let hash =
            self.hash.as_ref().filter(|_| self.size != Some(0)).is_none_or(|hash| {
                *hash == STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &bytes))
            });
        let same_type = match (&self.content_type, &told) {
            (Some(described), Some(told)) => media_type(described) == media_type(told),
            _ => true,
        };
        if !size || !hash || !same_type {
            return Err(ExchangeError::DocumentDiffers);
        }
        let content_type = self.content_type.clone().or(told.map(std::borrow::Cow::into_owned));
        let content_type = content_type.unwrap_or_else(|| "application/octet-stream".to_owned());
        Ok(DocumentContent { content_type, bytes })
    }
}

/// Without parameters, in lower case.
fn media_type(told: &str) -> String {
    told.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
