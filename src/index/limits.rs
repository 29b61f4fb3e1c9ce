/// How far the index may go for one record, one query and one commit.
#[derive(Clone, Debug)]
pub struct IndexLimits {
    /// Batches of registrations that may wait for the linker before senders wait too.
    pub queue_max: usize,
    /// Registrations in one commit. More make bulk feeds faster and single ones wait longer.
    pub batch_records_max: usize,
    /// Records of one person that a new one is judged against, the latest registered.
    pub person_records_judged_max: usize,
    /// Persons whose evidence is kept with each decision, the strongest.
    pub evidence_kept_max: usize,
    /// Review tasks that one registration may raise, for the strongest persons.
    pub tasks_per_record_max: usize,
}

impl Default for IndexLimits {
    fn default() -> Self {
        Self {
            queue_max: 256,
            batch_records_max: 1_000,
            person_records_judged_max: 64,
            evidence_kept_max: 8,
            tasks_per_record_max: 3,
        }
    }
}
