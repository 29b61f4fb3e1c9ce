//! `OperationOutcome`, in which every error and every gap is told.

use serde::{Deserialize, Serialize};

/// FHIR R4 `OperationOutcome`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationOutcome {
    #[serde(rename = "resourceType")]
    resource_type: OutcomeType,
    /// At least one issue.
    pub issue: Vec<Issue>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum OutcomeType {
    OperationOutcome,
}

impl OperationOutcome {
    /// Wraps issues.
    pub fn new(issue: Vec<Issue>) -> Self {
        Self { resource_type: OutcomeType::OperationOutcome, issue }
    }

    /// One error with one sentence.
    pub fn error(code: IssueType, text: impl Into<String>) -> Self {
        Self::new(vec![Issue::new(IssueSeverity::Error, code, text)])
    }
}

/// `OperationOutcome.issue`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// How grave.
    pub severity: IssueSeverity,
    /// What kind.
    pub code: IssueType,
    /// What a person should read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<IssueDetails>,
    /// What a technician should read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnostics: Option<String>,
    /// FHIRPath of the element at fault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expression: Vec<String>,
}

/// `OperationOutcome.issue.details`, of which only the text is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueDetails {
    /// The sentence.
    #[serde(default)]
    pub text: String,
}

impl Issue {
    /// An issue with one sentence for people.
    pub fn new(severity: IssueSeverity, code: IssueType, text: impl Into<String>) -> Self {
        Self {
            severity,
            code,
            details: Some(IssueDetails { text: text.into() }),
            diagnostics: None,
            expression: Vec::new(),
        }
    }

    /// Adds what a technician should read.
    #[must_use]
    pub fn with_diagnostics(mut self, diagnostics: impl Into<String>) -> Self {
        self.diagnostics = Some(diagnostics.into());
        self
    }

    /// Whether it tells of something that the reader does not get to see.
    pub fn is_gap(&self) -> bool {
        self.severity != IssueSeverity::Information || self.code != IssueType::Informational
    }

    /// What it says to a reader.
    pub fn in_words(&self) -> String {
        let details = self.details.as_ref().map(|details| details.text.clone());
        details
            .or_else(|| self.diagnostics.clone())
            .unwrap_or_else(|| format!("{:?}", self.code).to_lowercase())
    }

    /// Adds the FHIRPath of the element at fault.
    #[must_use]
    pub fn at(mut self, expression: impl Into<String>) -> Self {
        self.expression.push(expression.into());
        self
    }
}

/// FHIR R4 `issue-severity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IssueSeverity {
    /// The action failed and nothing more was tried.
    Fatal,
    /// The action failed.
    Error,
    /// It was done, but something is missing or doubtful.
    Warning,
    /// For information.
    Information,
}

/// FHIR R4 `issue-type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the codes of FHIR R4 issue-type, one by one")]
pub enum IssueType {
    Invalid,
    Structure,
    Required,
    Value,
    Invariant,
    Security,
    Login,
    Unknown,
    Expired,
    Forbidden,
    Suppressed,
    Processing,
    NotSupported,
    Duplicate,
    MultipleMatches,
    NotFound,
    Deleted,
    TooLong,
    CodeInvalid,
    Extension,
    TooCostly,
    BusinessRule,
    Conflict,
    Transient,
    LockError,
    NoStore,
    Exception,
    Timeout,
    Incomplete,
    Throttled,
    Informational,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_written_with_the_codes_of_r4() {
        let outcome = OperationOutcome::error(IssueType::MultipleMatches, "several patients");
        let json = serde_json::to_string(&outcome).expect("plain data");
        assert_eq!(
            json,
            r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"multiple-matches","details":{"text":"several patients"}}]}"#
        );
    }
}
