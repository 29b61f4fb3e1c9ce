use time::OffsetDateTime;

/// The time of day, handed down so that no room reads it for itself.
pub trait Clock: Send + Sync + 'static {
    /// Now, in UTC.
    fn now(&self) -> OffsetDateTime;
}
