//! Errors meet HTTP here, and nowhere else.

use actix_web::{HttpResponse, http::StatusCode};

use super::render::fhir_json;
use crate::{
    directory::DirectoryError,
    domain::InvalidLocalId,
    exchange::ExchangeError,
    fhir::{InvalidResource, Issue, IssueSeverity, IssueType, OperationOutcome},
    fhir::{
        identity_message::{MessageFault, place_of_change},
        search::InvalidSearch,
        xml::InvalidXml,
    },
    index::{LocalRefusal, StewardRefusal},
};

/// Why a request got no answer.
#[derive(Debug)]
pub(super) enum ApiError {
    /// The journey ended in an error, and has audited it. Every other variant arose before one began.
    Exchange(ExchangeError),
    /// The body is not the resource that belongs here.
    Malformed(InvalidResource),
    /// The path names nobody: not an id of this exchange.
    UnknownId,
    /// Something in the request is wrong, by place and problem.
    Invalid { place: &'static str, problem: &'static str },
    /// An identifier in the request cannot be one, by place.
    BadIdentifier { place: &'static str, problem: InvalidLocalId },
    /// The message is none that is taken; nothing was done.
    BadMessage(Vec<MessageFault>),
    /// The search cannot be understood.
    BadSearch(InvalidSearch),
    /// The description of a member cannot be taken; says which key is wrong.
    BadMember(String),
    /// A parameter or combination that is understood and not served.
    NotSupported(&'static str),
    /// The body is no FHIR XML.
    Xml(InvalidXml),
    /// A search of clinical resources that names no patient.
    PatientRequired,
    /// The answer could only be FHIR JSON or XML.
    NotAcceptable,
    /// The body must be FHIR JSON or XML.
    UnsupportedMediaType,
    /// The body must be a form.
    NotAForm,
    /// A search that cannot be understood.
    Search(InvalidSearch),
    /// A search that tells nothing of whom it means.
    TooCostly,
    /// The body is longer than the bound.
    BodyTooLarge { bytes_max: usize },
    /// The body broke off.
    BodyUnreadable,
    /// The client has closed its connection; the journey was dropped, and has audited that.
    ClientGone,
    /// No such interaction.
    NoSuchInteraction,
    /// No such operation on this path.
    MethodNotAllowed,
}

impl ApiError {
    pub(super) fn invalid(place: &'static str, problem: &'static str) -> Self {
        Self::Invalid { place, problem }
    }

    /// The whole answer: status and `OperationOutcome`.
    pub(super) fn response(&self) -> HttpResponse {
        let (status, issues) = self.told();
        let mut response = fhir_json(status);
        match status {
            StatusCode::SERVICE_UNAVAILABLE => response.insert_header(("Retry-After", "1")),
            // A job takes seconds and waits for minutes.
            StatusCode::TOO_MANY_REQUESTS => response.insert_header(("Retry-After", "30")),
            _ => &mut response,
        };
        response.json(OperationOutcome::new(issues))
    }

    fn told(&self) -> (StatusCode, Vec<Issue>) {
        match self {
            Self::Exchange(error) => of_exchange(error),
            Self::Malformed(invalid) => of_invalid_resource(invalid),
            Self::UnknownId => of_exchange(&ExchangeError::UnknownPatient),
            Self::Invalid { place, problem } => {
                let issue = error(IssueType::Invalid, *problem).at(*place);
                (StatusCode::BAD_REQUEST, vec![issue])
            }
            Self::BadIdentifier { place, problem } => {
                let issue = error(IssueType::Value, problem.to_string()).at(*place);
                (StatusCode::BAD_REQUEST, vec![issue])
            }
            Self::BadMessage(faults) => {
                let issues =
                    faults.iter().map(|fault| error(fault.code, fault.problem).at(&*fault.place));
                (StatusCode::BAD_REQUEST, issues.collect())
            }
            Self::BadSearch(invalid) => {
                one(StatusCode::BAD_REQUEST, IssueType::Value, &invalid.to_string())
            }
            Self::BadMember(complaint) => {
                one(StatusCode::UNPROCESSABLE_ENTITY, IssueType::Invalid, complaint)
            }
            Self::NotSupported(what) => {
                (StatusCode::BAD_REQUEST, vec![error(IssueType::NotSupported, *what)])
            }
            Self::Xml(invalid) => {
                one(StatusCode::BAD_REQUEST, IssueType::Structure, &invalid.to_string())
            }
            Self::PatientRequired => one(
                StatusCode::BAD_REQUEST,
                IssueType::Required,
                "a search names its patient: patient=<id> or patient.identifier=system|value",
            ),
            Self::NotAcceptable => one(
                StatusCode::NOT_ACCEPTABLE,
                IssueType::NotSupported,
                "this exchange answers in application/fhir+json and application/fhir+xml",
            ),
            Self::UnsupportedMediaType => one(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                IssueType::NotSupported,
                "the body must be application/fhir+json or application/fhir+xml",
            ),
            Self::NotAForm => one(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                IssueType::NotSupported,
                "the body must be application/x-www-form-urlencoded",
            ),
            Self::Search(invalid) => of_invalid_search(invalid),
            Self::TooCostly => one(
                StatusCode::BAD_REQUEST,
                IssueType::TooCostly,
                "the search tells nothing of whom it means",
            ),
            Self::BodyTooLarge { bytes_max } => one(
                StatusCode::PAYLOAD_TOO_LARGE,
                IssueType::TooLong,
                &format!("the body is longer than {bytes_max} bytes"),
            ),
            Self::BodyUnreadable => {
                one(StatusCode::BAD_REQUEST, IssueType::Structure, "the body broke off")
            }
            Self::ClientGone => one(
                StatusCode::REQUEST_TIMEOUT,
                IssueType::Incomplete,
                "the client closed its connection",
            ),
            Self::NoSuchInteraction => {
                one(StatusCode::NOT_FOUND, IssueType::NotFound, "no such interaction")
            }
            Self::MethodNotAllowed => one(
                StatusCode::METHOD_NOT_ALLOWED,
                IssueType::NotSupported,
                "this interaction is not offered here; see /fhir/metadata",
            ),
        }
    }
}

fn of_exchange(failed: &ExchangeError) -> (StatusCode, Vec<Issue>) {
    let text = failed.to_string();
    match failed {
        ExchangeError::Refused(_) => one(StatusCode::FORBIDDEN, IssueType::Forbidden, &text),
        ExchangeError::UnknownPatient
        | ExchangeError::UnknownResource
        | ExchangeError::UnknownJob
        | ExchangeError::UnknownMember
        | ExchangeError::UnknownVersion => one(StatusCode::NOT_FOUND, IssueType::NotFound, &text),
        ExchangeError::JobFailed(error) => of_exchange(error),
        ExchangeError::TooManyJobs => {
            one(StatusCode::TOO_MANY_REQUESTS, IssueType::Throttled, &text)
        }
        ExchangeError::PageExpired | ExchangeError::ResultExpired => {
            one(StatusCode::GONE, IssueType::Expired, &text)
        }
        ExchangeError::InvalidResource(invalid) => of_invalid_resource(invalid),
        ExchangeError::InvalidPatient(faults) => {
            let issues = faults
                .iter()
                .map(|fault| error(IssueType::Value, fault.problem).at(fault.expression));
            (StatusCode::UNPROCESSABLE_ENTITY, issues.collect())
        }
        ExchangeError::InvalidMessage(_) => {
            one(StatusCode::UNPROCESSABLE_ENTITY, IssueType::Value, &text)
        }
        ExchangeError::InvalidEntries(wrong) => of_entries(wrong),
        ExchangeError::Interrupted { .. } => {
            one(StatusCode::SERVICE_UNAVAILABLE, IssueType::Transient, &text)
        }
        ExchangeError::TooLittle => {
            one(StatusCode::UNPROCESSABLE_ENTITY, IssueType::Required, &text)
        }
        ExchangeError::IdentifierMismatch => {
            misfit(IssueType::Invariant, text, "Patient.identifier")
        }
        ExchangeError::NoOwnIdentifier => misfit(IssueType::Required, text, "Patient.identifier"),
        ExchangeError::ForeignReference => misfit(IssueType::Value, text, "Patient.link.other"),
        ExchangeError::OtherVersion => {
            one(StatusCode::PRECONDITION_FAILED, IssueType::Conflict, &text)
        }
        ExchangeError::SeveralPatients => {
            one(StatusCode::PRECONDITION_FAILED, IssueType::MultipleMatches, &text)
        }
        ExchangeError::TooBroad(_) => one(StatusCode::BAD_REQUEST, IssueType::TooCostly, &text),
        ExchangeError::UnknownDomain => {
            let issue = Issue::new(IssueSeverity::Warning, IssueType::NotFound, text);
            (StatusCode::NOT_FOUND, vec![issue.with_diagnostics("targetSystem not found")])
        }
        ExchangeError::UnknownSourceDomain => pixm(
            StatusCode::BAD_REQUEST,
            IssueType::CodeInvalid,
            "sourceIdentifier Assigning Authority not found",
        ),
        ExchangeError::UnknownSourceIdentifier => pixm(
            StatusCode::NOT_FOUND,
            IssueType::NotFound,
            "sourceIdentifier Patient Identifier not found",
        ),
        ExchangeError::UnknownTargetDomain => {
            pixm(StatusCode::FORBIDDEN, IssueType::CodeInvalid, "targetSystem not found")
        }
        ExchangeError::NotSupported(_) => {
            one(StatusCode::UNPROCESSABLE_ENTITY, IssueType::NotSupported, &text)
        }
        ExchangeError::InvalidConsent(_) => {
            one(StatusCode::UNPROCESSABLE_ENTITY, IssueType::Invalid, &text)
        }
        ExchangeError::Consent(_) => one(StatusCode::CONFLICT, IssueType::Conflict, &text),
        ExchangeError::DocumentUnavailable => {
            one(StatusCode::BAD_GATEWAY, IssueType::Transient, &text)
        }
        ExchangeError::DocumentDiffers => one(StatusCode::BAD_GATEWAY, IssueType::Exception, &text),
        ExchangeError::NoMemberAnswered(issues) => {
            let mut told = vec![error(IssueType::Timeout, text)];
            told.extend(issues.iter().cloned());
            (StatusCode::GATEWAY_TIMEOUT, told)
        }
        ExchangeError::Busy => one(StatusCode::SERVICE_UNAVAILABLE, IssueType::Throttled, &text),
        ExchangeError::NotReading => one(StatusCode::REQUEST_TIMEOUT, IssueType::Timeout, &text),
        ExchangeError::Local(refusal) => {
            let (status, code) = of_local(refusal);
            one(status, code, &text)
        }
        ExchangeError::Steward(refusal) => {
            let (status, code) = of_steward(refusal);
            one(status, code, &text)
        }
        ExchangeError::CheckFailed(..) => {
            one(StatusCode::UNPROCESSABLE_ENTITY, IssueType::BusinessRule, &text)
        }
        ExchangeError::Directory(DirectoryError::Roster(_)) => {
            one(StatusCode::UNPROCESSABLE_ENTITY, IssueType::Conflict, &text)
        }
        ExchangeError::Index(_) | ExchangeError::Audit(_) | ExchangeError::Directory(_) => {
            tracing::error!(error = %failed, "a request could not be answered");
            one(StatusCode::SERVICE_UNAVAILABLE, IssueType::Transient, &text)
        }
    }
}

/// A Patient that does not fit what is asked of it, at one place.
fn misfit(code: IssueType, text: String, place: &str) -> (StatusCode, Vec<Issue>) {
    (StatusCode::UNPROCESSABLE_ENTITY, vec![error(code, text).at(place)])
}

fn of_entries(wrong: &[(usize, ExchangeError)]) -> (StatusCode, Vec<Issue>) {
    let issues = wrong.iter().flat_map(|(number, error)| issues_of_entry(*number, error));
    (StatusCode::UNPROCESSABLE_ENTITY, issues.collect())
}

/// Why an entry of a message was not taken, each issue at its place in the message.
pub(super) fn issues_of_entry(number: usize, error: &ExchangeError) -> Vec<Issue> {
    let place = place_of_change(number);
    let (_, mut issues) = of_exchange(error);
    for issue in &mut issues {
        let within = issue.expression.first().and_then(|told| told.strip_prefix("Patient"));
        issue.expression = vec![format!(
            "{place}{}",
            within.map(|rest| format!(".resource{rest}")).unwrap_or_default()
        )];
    }
    issues
}

/// What a member said of its own records and cannot be.
fn of_local(refusal: &LocalRefusal) -> (StatusCode, IssueType) {
    match refusal {
        LocalRefusal::UnknownRecord
        | LocalRefusal::UnknownSubsumed
        | LocalRefusal::UnknownSurvivor => (StatusCode::NOT_FOUND, IssueType::NotFound),
        LocalRefusal::SubsumedAlready
        | LocalRefusal::SurvivorSubsumed
        | LocalRefusal::IdentifierInUse
        | LocalRefusal::NamedOtherwise
        | LocalRefusal::Index(_) => (StatusCode::CONFLICT, IssueType::Conflict),
        LocalRefusal::SameRecord | LocalRefusal::OtherAuthority => {
            (StatusCode::UNPROCESSABLE_ENTITY, IssueType::BusinessRule)
        }
    }
}

/// What a steward wants and cannot be.
fn of_steward(refusal: &StewardRefusal) -> (StatusCode, IssueType) {
    match refusal {
        StewardRefusal::UnknownTask
        | StewardRefusal::UnknownPerson
        | StewardRefusal::NoDecision => (StatusCode::NOT_FOUND, IssueType::NotFound),
        StewardRefusal::TaskClosed
        | StewardRefusal::InOtherHands
        | StewardRefusal::KeptApart(_)
        | StewardRefusal::UndoneAlready
        | StewardRefusal::Overtaken
        | StewardRefusal::Index(_) => (StatusCode::CONFLICT, IssueType::Conflict),
        StewardRefusal::SamePerson
        | StewardRefusal::ForeignRecord
        | StewardRefusal::NothingToSeparate => {
            (StatusCode::UNPROCESSABLE_ENTITY, IssueType::BusinessRule)
        }
    }
}

fn of_invalid_resource(invalid: &InvalidResource) -> (StatusCode, Vec<Issue>) {
    let code = match invalid {
        InvalidResource::Json { .. } | InvalidResource::Head | InvalidResource::Nesting => {
            IssueType::Structure
        }
        InvalidResource::Length => IssueType::TooLong,
        InvalidResource::Type => IssueType::Invalid,
    };
    one(StatusCode::BAD_REQUEST, code, &invalid.to_string())
}

fn of_invalid_search(invalid: &InvalidSearch) -> (StatusCode, Vec<Issue>) {
    let code = match invalid {
        InvalidSearch::Modifier(_) => IssueType::NotSupported,
        InvalidSearch::Value(_) => IssueType::Value,
        InvalidSearch::TooLong | InvalidSearch::TooMany | InvalidSearch::TooManyValues(_) => {
            IssueType::TooLong
        }
        InvalidSearch::Name | InvalidSearch::Characters | InvalidSearch::Repeated(_) => {
            IssueType::Invalid
        }
    };
    one(StatusCode::BAD_REQUEST, code, &invalid.to_string())
}

/// IHE PIXm ITI-83 tells the words of each error.
fn pixm(status: StatusCode, code: IssueType, words: &str) -> (StatusCode, Vec<Issue>) {
    (status, vec![error(code, words).with_diagnostics(words)])
}

fn one(status: StatusCode, code: IssueType, text: &str) -> (StatusCode, Vec<Issue>) {
    (status, vec![error(code, text)])
}

fn error(code: IssueType, text: impl Into<String>) -> Issue {
    Issue::new(IssueSeverity::Error, code, text)
}

impl From<ExchangeError> for ApiError {
    fn from(error: ExchangeError) -> Self {
        Self::Exchange(error)
    }
}

impl From<InvalidResource> for ApiError {
    fn from(error: InvalidResource) -> Self {
        Self::Malformed(error)
    }
}

impl From<InvalidSearch> for ApiError {
    fn from(invalid: InvalidSearch) -> Self {
        Self::Search(invalid)
    }
}
