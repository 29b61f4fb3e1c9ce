//! Review tasks as FHIR R4 `Task`s, and the operations by which a steward answers them.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};

use super::{
    Gateway, body,
    caller::Caller,
    error::ApiError,
    everything_routes::get_by_gateway_id,
    negotiate::check_accept,
    parameters::Parameters,
    render::{fhir_json, instant},
    review_render::{acted, evidence, state_codes, task},
    searchset::{Mode, Searchset},
};
use crate::{
    access::Interaction,
    domain::MemberCode,
    exchange::{
        claim_review, decide_review, list_reviews, read_review, release_review, review_evidence,
    },
    index::{ReviewQuery, ReviewVerdict, StewardRefusal, TaskKind, TaskState},
};

/// Tasks on one page where the caller names no bound, and the most it may name.
const COUNT_DEFAULT: usize = 50;
const COUNT_MAX: usize = 200;
/// Where a page link says after which task it begins.
const AFTER: &str = "_after";

/// `GET /fhir/Task`.
pub(super) async fn search_tasks(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
) -> HttpResponse {
    let answer = search(&gateway, &caller, &request).await;
    caller.conclude(&gateway, Interaction::ReviewRead, answer).await
}

async fn search(
    gateway: &Gateway,
    caller: &Caller,
    request: &HttpRequest,
) -> Result<HttpResponse, ApiError> {
    check_accept(request)?;
    let query = review_query(request.query_string())?;
    let page = list_reviews(&gateway.exchange, caller.call(), &query).await?.into_inner();
    let base = &gateway.settings.base_url;
    let now = instant(gateway.exchange.clock.now());
    let mut set = Searchset::new(caller.call().request_id.to_string(), now);
    set.total(page.total);
    let asked = |pairs: &[(String, String)]| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(pairs);
        format!("{base}/Task?{}", query.finish())
    };
    let mut pairs: Vec<(String, String)> =
        url::form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect();
    set.link("self", asked(&pairs));
    if let (true, Some(last)) = (page.more, page.tasks.last()) {
        pairs.retain(|(name, _)| name != AFTER);
        pairs.push((AFTER.to_owned(), last.no.to_string()));
        set.link("next", asked(&pairs));
    }
    for one in &page.tasks {
        let url = format!("{base}/Task/{}", one.no);
        set.push(Some(&url), &task(one).to_string(), Mode::Match);
    }
    Ok(fhir_json(StatusCode::OK).body(set.into_json()))
}

fn review_query(query: &str) -> Result<ReviewQuery, ApiError> {
    let mut wanted = ReviewQuery { tasks_max: COUNT_DEFAULT, ..ReviewQuery::default() };
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "status" => {
                for code in value.split(',') {
                    let states = state_codes(code);
                    if states.is_empty() {
                        return Err(ApiError::invalid("status", "is not a status of a Task here"));
                    }
                    wanted.states.extend(states);
                }
            }
            "business-status" => {
                let state = TaskState::parse(token(&value));
                let state = state.ok_or(ApiError::invalid("business-status", "is not known"))?;
                wanted.states.push(state);
            }
            "code" => {
                let kind = TaskKind::ALL.into_iter().find(|one| one.as_str() == token(&value));
                wanted.kinds.push(kind.ok_or(ApiError::invalid("code", "is not known"))?);
            }
            "owner" => wanted.owner = Some(value.into_owned()),
            "member" => {
                let member = MemberCode::parse(&value);
                wanted.member =
                    Some(member.map_err(|_| ApiError::invalid("member", "is not a member code"))?);
            }
            "_count" => {
                let count = value.parse().ok().filter(|count: &usize| *count > 0);
                let count = count.ok_or(ApiError::invalid("_count", "is not a number above 0"))?;
                wanted.tasks_max = count.min(COUNT_MAX);
            }
            AFTER => {
                let after = value.parse();
                wanted.after = Some(after.map_err(|_| ApiError::invalid(AFTER, "not a page"))?);
            }
            "_format" | "_pretty" => {}
            // A filter that is not applied would show more than was asked for.
            _ => {
                return Err(ApiError::NotSupported(
                    "Tasks are searched by status, business-status, code, owner and member",
                ));
            }
        }
    }
    Ok(wanted)
}

/// The code of a `system|code` token.
fn token(value: &str) -> &str {
    value.rsplit('|').next().unwrap_or_default()
}

fn task_no(id: &str) -> Result<u64, ApiError> {
    // Only the canonical spelling names it.
    let no = id.parse().ok().filter(|no: &u64| no.to_string() == id);
    no.ok_or(ApiError::Exchange(StewardRefusal::UnknownTask.into()))
}

/// `GET /fhir/Task/{no}`, or a member's own Task as `{member}.{id}`.
pub(super) async fn get_task(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    if id.contains('.') {
        return get_by_gateway_id(&gateway, &caller, &request, "Task", &id).await;
    }
    let answer = async {
        check_accept(&request)?;
        let no = task_no(&id)?;
        let one = read_review(&gateway.exchange, caller.call(), no).await?.into_inner();
        Ok(fhir_json(StatusCode::OK).body(task(&one).to_string()))
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::ReviewRead, answer).await
}

/// `GET /fhir/Task/{no}/$evidence`.
pub(super) async fn get_evidence(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    let answer = async {
        check_accept(&request)?;
        let no = task_no(&id)?;
        let found = review_evidence(&gateway.exchange, caller.call(), no).await?.into_inner();
        Ok(fhir_json(StatusCode::OK).body(evidence(&found).to_string()))
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::ReviewRead, answer).await
}

/// `POST /fhir/Task/{no}/$claim`.
pub(super) async fn post_claim(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    let answer = async {
        check_accept(&request)?;
        let no = task_no(&id)?;
        let done = claim_review(&gateway.exchange, caller.call(), no).await?;
        Ok(fhir_json(StatusCode::OK).body(acted(&done.into_inner()).to_string()))
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::ReviewWrite, answer).await
}

/// `POST /fhir/Task/{no}/$release`.
pub(super) async fn post_release(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    let answer = async {
        check_accept(&request)?;
        let no = task_no(&id)?;
        let done = release_review(&gateway.exchange, caller.call(), no).await?;
        Ok(fhir_json(StatusCode::OK).body(acted(&done.into_inner()).to_string()))
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::ReviewWrite, answer).await
}

/// `POST /fhir/Task/{no}/$decide`.
pub(super) async fn post_decide(
    gateway: web::Data<Gateway>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let answer = async {
        let body = body::fhir(&gateway, &request, payload).await?;
        let no = task_no(&id)?;
        let told = Parameters::parse(&body)?;
        let verdict = match told.code("verdict")? {
            "same" => ReviewVerdict::Same,
            "different" => ReviewVerdict::Different,
            "cannot-tell" => ReviewVerdict::CannotTell,
            _ => {
                return Err(ApiError::invalid("verdict", "is same, different or cannot-tell"));
            }
        };
        let (call, reason) = (caller.with_body(&body), told.reason()?);
        let done = decide_review(&gateway.exchange, &call, no, verdict, reason).await?;
        Ok(fhir_json(StatusCode::OK).body(acted(&done.into_inner()).to_string()))
    };
    let answer = answer.await;
    caller.conclude(&gateway, Interaction::ReviewWrite, answer).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_for_tasks_is_read_and_an_unknown_filter_refused() {
        let query = review_query(
            "status=requested,in-progress&code=link_in_doubt&member=anne&_count=900&_after=7",
        )
        .expect("understood");
        assert_eq!(query.states, [TaskState::Open, TaskState::Claimed]);
        assert_eq!(query.kinds, [TaskKind::LinkInDoubt]);
        assert_eq!((query.tasks_max, query.after), (COUNT_MAX, Some(7)));
        for bad in ["status=done", "code=x", "member=A", "_count=0", "patient=1", "_after=x"] {
            assert!(review_query(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_task_has_one_spelling() {
        assert_eq!(task_no("12").ok(), Some(12));
        for bad in ["", "012", "-1", "x", "+1"] {
            assert!(task_no(bad).is_err(), "{bad}");
        }
    }
}
