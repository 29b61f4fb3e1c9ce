//! `Patient/{id}/$everything`, its pages, and reads by gateway id.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use super::{
    Gateway, body,
    caller::Caller,
    error::ApiError,
    everything_stream::stream_everything,
    job_routes,
    negotiate::{check_accept, query_value, responds_async, wants_ndjson},
    parameters::{Parameter, Parameters},
    patient_routes::enterprise_id,
    render::{fhir_json, instant},
    search_input::{COUNT_MAX, OFFSET, SNAPSHOT},
    searchset::{Mode, Searchset},
};
use crate::{
    access::Interaction,
    domain::{EnterpriseId, PartialDate},
    exchange::{EverythingQuery, RetrievedRecord, next_page, read_resource, retrieve_record},
    fhir::{Issue, OperationOutcome},
};

/// Types that one query may name; FHIR R4 has 148.
const TYPES_MAX: usize = 148;
/// Organizations that one query may name, for the patient to be looked for there.
const ORGANIZATIONS_MAX: usize = 64;

/// What was asked, as parameters of the URL or of a `Parameters` resource.
#[derive(Debug, Default)]
struct Asked {
    query: EverythingQuery,
    count: Option<usize>,
    page: Option<(Uuid, usize)>,
}

/// `GET /fhir/Patient/{id}/$everything`.
pub(super) async fn get_everything(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    let answer = async {
        let given = Given::as_asked(&request)?;
        let pairs = url::form_urlencoded::parse(request.query_string().as_bytes());
        let asked = Asked::from_pairs(pairs.map(|(name, value)| (name.into(), value.into())))?;
        give(&gateway, &caller, enterprise_id(&id)?, (asked, given)).await
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::Everything, answer).await
}

/// `POST /fhir/Patient/{id}/$everything` with a `Parameters` resource.
pub(super) async fn post_everything(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let answer = async {
        let given = Given::as_asked(&request)?;
        let body = body::of_fhir(&gateway, &request, payload).await?;
        let asked = Asked::from_parameters(&Parameters::parse(&body)?)?;
        give(&gateway, &caller, enterprise_id(&id)?, (asked, given)).await
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::Everything, answer).await
}

/// How a record is given.
#[derive(Clone, Copy)]
enum Given {
    /// As a Bundle, once all members have answered; further pages keep this `_format`.
    Whole,
    /// As NDJSON, as members answer.
    Streamed,
    /// By a job, to be fetched.
    Later,
}

impl Given {
    fn as_asked(request: &HttpRequest) -> Result<Self, ApiError> {
        if responds_async(request) {
            Ok(Self::Later)
        } else if wants_ndjson(request) {
            Ok(Self::Streamed)
        } else {
            check_accept(request).map(|()| Self::Whole)
        }
    }
}

async fn give(
    gateway: &web::Data<Gateway>,
    caller: &Caller,
    id: EnterpriseId,
    (asked, given): (Asked, Given),
) -> Result<HttpResponse, ApiError> {
    // A page is there already: nobody need wait for it.
    match given {
        Given::Streamed if asked.page.is_none() => {
            stream_everything(gateway, caller, id, asked.query).await
        }
        Given::Later if asked.page.is_none() => {
            job_routes::begin(gateway, caller, id, asked.query).await
        }
        Given::Whole | Given::Streamed | Given::Later => retrieve(gateway, caller, id, asked).await,
    }
}

async fn retrieve(
    gateway: &Gateway,
    caller: &Caller,
    id: EnterpriseId,
    asked: Asked,
) -> Result<HttpResponse, ApiError> {
    let exchange = &gateway.exchange;
    let (offset, retrieved) = if let Some((token, offset)) = asked.page {
        (offset, next_page(exchange, caller.call(), id, token).await?)
    } else {
        // Nobody waits for what a client that hung up asked for: members are left in peace.
        let retrieved = tokio::select! {
            retrieved = retrieve_record(exchange, caller.call(), id, asked.query) => retrieved?,
            () = caller.gone() => return Err(ApiError::ClientGone),
        };
        (0, retrieved)
    };
    let retrieved = retrieved.into_inner();
    let self_url = format!("{}{}", gateway.settings.base_url, fhir_path(caller));
    let count = asked.count.unwrap_or(gateway.settings.page_entries_max);
    let page = Page { offset, count, format: told_format(caller) };
    let json = render(gateway, &retrieved, &page, self_url);
    Ok(fhir_json(StatusCode::OK).body(json))
}

/// Which part of a record is shown.
struct Page {
    offset: usize,
    count: usize,
    /// `_format`, as it was told.
    format: Option<String>,
}

/// `_format` of the request, for the links of its answer.
fn told_format(caller: &Caller) -> Option<String> {
    query_value(&caller.call().raw.query_string, "_format")
}

/// The path and query below the FHIR base, as they were asked for.
pub(super) fn fhir_path(caller: &Caller) -> String {
    let raw = &caller.call().raw;
    let path = raw.path.strip_prefix("/fhir").unwrap_or(&raw.path);
    if raw.query_string.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", raw.query_string)
    }
}

/// One page: the person on the first, then facts and what the exchange says of them, and on every
/// page who answered and what is missing.
fn render(
    gateway: &Gateway,
    retrieved: &RetrievedRecord,
    page: &Page,
    self_url: String,
) -> Vec<u8> {
    let Page { offset, count, .. } = *page;
    let snapshot = &retrieved.snapshot;
    let base = &gateway.settings.base_url;
    let mut set = Searchset::new(Uuid::new_v4().to_string(), instant(snapshot.taken));
    set.link("self", self_url);
    // A partial sum is not the number of matches (STANDARDS: a total only where all answered).
    if snapshot.complete {
        set.total(snapshot.record.facts().count() + 1);
    }
    if offset == 0 {
        let url = format!("{base}/Patient/{}", snapshot.person);
        set.push(Some(&url), &snapshot.view.to_json(), Mode::Match);
    }
    let shown = || snapshot.record.entries().skip(offset).take(count);
    set.reserve(shown().map(|entry| entry.json.len() + 192).sum());
    for entry in shown() {
        let url = format!("{base}/{}/{}", entry.resource_type, entry.id);
        let mode = if entry.is_own { Mode::Include } else { Mode::Match };
        set.push(Some(&url), entry.json, mode);
    }
    let next = offset.saturating_add(count);
    if next < snapshot.record.entries().count() {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair(SNAPSHOT, &retrieved.token.to_string());
        query.append_pair(OFFSET, &next.to_string()).append_pair("_count", &count.to_string());
        // A link is followed as it is: it leads to the format that was asked for.
        if let Some(format) = &page.format {
            query.append_pair("_format", format);
        }
        let (person, query) = (snapshot.person, query.finish());
        set.link("next", format!("{base}/Patient/{person}/$everything?{query}"));
    }
    set.push(None, &outcome_json(&snapshot.statement), Mode::Outcome);
    set.into_json()
}

/// The completeness statement as a resource.
pub(super) fn outcome_json(issues: &[Issue]) -> String {
    let outcome = OperationOutcome::new(issues.to_vec());
    serde_json::to_string(&outcome).expect("an outcome is plain data")
}

/// `GET /fhir/{Type}/{member}.{id}`.
pub(super) async fn get_resource(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> HttpResponse {
    let (resource_type, id) = path.into_inner();
    get_by_gateway_id(&gateway, &caller, &request, &resource_type, &id).await
}

/// `GET /fhir/Consent/{member}.{id}`: a Consent that a member holds, not one that was recorded here.
pub(super) async fn get_consent(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    get_by_gateway_id(&gateway, &caller, &request, "Consent", &id).await
}

/// Reads a member's resource under its gateway id.
pub(super) async fn get_by_gateway_id(
    gateway: &Gateway,
    caller: &Caller,
    request: &HttpRequest,
    resource_type: &str,
    id: &str,
) -> HttpResponse {
    let answer = async {
        check_accept(request)?;
        let read = read_resource(&gateway.exchange, caller.call(), resource_type, id).await?;
        Ok(fhir_json(StatusCode::OK).body(read.into_inner()))
    };
    let answer = answer.await;
    caller.conclude(gateway, Interaction::ResourceRead, answer).await
}

impl Asked {
    fn from_pairs(pairs: impl Iterator<Item = (String, String)>) -> Result<Self, ApiError> {
        let mut asked = Self::default();
        let (mut token, mut offset) = (None, None);
        for (name, value) in pairs {
            match name.as_str() {
                SNAPSHOT => {
                    let told = Uuid::parse_str(&value);
                    token = Some(told.map_err(|_| ApiError::invalid(SNAPSHOT, "not a page"))?);
                }
                OFFSET => {
                    let told = value.parse();
                    offset = Some(told.map_err(|_| ApiError::invalid(OFFSET, "not a page"))?);
                }
                _ => asked.take(&name, &value)?,
            }
        }
        asked.page = token.zip(offset.or(Some(0)));
        Ok(asked)
    }

    fn from_parameters(told: &Parameters) -> Result<Self, ApiError> {
        let mut asked = Self::default();
        for parameter in &told.parameter {
            let value = text_of(parameter);
            let value = value.ok_or(ApiError::invalid("Parameters.parameter", "has no value"))?;
            asked.take(&parameter.name, &value)?;
        }
        Ok(asked)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), ApiError> {
        match name {
            "_type" => {
                self.query.types.extend(value.split(',').map(|one| one.trim().to_owned()));
                self.query.types.remove("");
                if self.query.types.len() > TYPES_MAX {
                    return Err(ApiError::invalid("_type", "names more types than there are"));
                }
            }
            "_since" => {
                let since = OffsetDateTime::parse(value, &Rfc3339);
                self.query.since =
                    Some(since.map_err(|_| ApiError::invalid("_since", "is not an instant"))?);
            }
            "organization" => {
                let told = value.split(',').map(|one| one.trim().to_owned());
                self.query.organizations.extend(told.filter(|one| !one.is_empty()));
                if self.query.organizations.len() > ORGANIZATIONS_MAX {
                    return Err(ApiError::invalid("organization", "names too many"));
                }
            }
            "start" => self.query.start = Some(date("start", value)?),
            "end" => self.query.end = Some(date("end", value)?),
            "_count" => {
                let count = value.parse().ok().filter(|count: &usize| *count > 0);
                let count = count.ok_or(ApiError::invalid("_count", "is not a number above 0"))?;
                self.count = Some(count.min(COUNT_MAX));
            }
            // An unknown parameter is passed over (FHIR R4 §3.1.1.3).
            _ => {}
        }
        Ok(())
    }
}

fn date(place: &'static str, value: &str) -> Result<PartialDate, ApiError> {
    PartialDate::parse(value).map_err(|_| ApiError::invalid(place, "is not a date"))
}

/// The value of a parameter of `$everything`, as its URL tells it.
fn text_of(told: &Parameter) -> Option<String> {
    let text = told.value_code.as_ref().or(told.value_date.as_ref());
    let text = text.or(told.value_uri.as_ref()).or(told.value_string.as_ref());
    text.or(told.value_instant.as_ref())
        .cloned()
        .or_else(|| told.value_integer.map(|number| number.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Result<Asked, ApiError> {
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        Asked::from_pairs(pairs.map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn the_parameters_of_everything_are_read() {
        let asked = asked(
            "_type=Observation,Condition&_type=Goal&_since=2024-01-02T03:04:05Z&start=2020&end=2021-05&_count=20",
        )
        .expect("understood");
        assert_eq!(asked.query.types.len(), 3);
        assert!(asked.query.since.is_some() && asked.query.start.is_some());
        assert_eq!(asked.count, Some(20));
    }

    #[test]
    fn a_parameter_that_cannot_be_read_is_refused() {
        for bad in ["_since=yesterday", "start=2020-13", "_count=0", "_count=x", "_snapshot=1"] {
            assert!(asked(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn parameters_may_come_as_a_resource() {
        let told = Parameters::parse(
            br#"{"resourceType":"Parameters","parameter":[{"name":"_type","valueCode":"Goal"},
                {"name":"start","valueDate":"2020-01-01"},{"name":"_count","valueInteger":5}]}"#,
        )
        .expect("parameters");
        let asked = Asked::from_parameters(&told).expect("understood");
        assert!(asked.query.types.contains("Goal") && asked.count == Some(5));
    }
}
