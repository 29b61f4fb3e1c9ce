use std::collections::HashMap;

use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;

use super::{client::FhirClient, holdings::Holdings, home::Home};
use crate::domain::{EnterpriseId, LocalId};

/// Feeds under way at once, over all members.
const CONCURRENT_FEEDS_MAX: usize = 16;

/// Whom the gateway said each fed record to be.
pub(super) type Persons = HashMap<LocalId, EnterpriseId>;

/// Feeds every patient of every member, each member with its own certificate, and all members at
/// once as in life. Ends at the first feed that is not taken.
pub(super) async fn feed_all(
    home: &Home,
    base_url: &str,
    holdings: &Holdings,
    progress: &ProgressBar,
) -> Result<Persons> {
    let roots = home.pki.trust_roots()?;
    let mut feeds = Vec::new();
    for member in &holdings.members {
        let credentials = home.pki.member(&member.code).read()?;
        let client = FhirClient::new(base_url, &credentials, &roots)?;
        for patient in &member.patients {
            feeds.push((client.clone(), &member.code, patient));
        }
    }
    // A stable shuffle, so that a person's records do not come one after another.
    feeds.sort_by_key(|(_, _, patient)| patient.id.bytes().rev().collect::<Vec<u8>>());
    stream::iter(feeds)
        .map(|(client, member, patient)| async move {
            let person = client
                .feed(&patient.local_id, &patient.resource)
                .await
                .with_context(|| format!("a patient of {member} was not taken"))?;
            progress.inc(1);
            anyhow::Ok((patient.local_id.clone(), person))
        })
        .buffer_unordered(CONCURRENT_FEEDS_MAX)
        .try_collect()
        .await
}
