//! Policies of time, on tokio's paused clock.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::*;

/// A transport that plays a script: each send takes the next line; the last line repeats.
struct Script {
    lines: Mutex<VecDeque<(Duration, Sent)>>,
    sends: AtomicUsize,
    under_way: AtomicUsize,
    under_way_max: AtomicUsize,
}

impl Script {
    fn new(lines: impl IntoIterator<Item = (u64, Sent)>) -> Self {
        let lines = lines.into_iter().map(|(ms, result)| (Duration::from_millis(ms), result));
        Self {
            lines: Mutex::new(lines.collect()),
            sends: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            under_way_max: AtomicUsize::new(0),
        }
    }
}

impl Transport for Arc<Script> {
    async fn send(&self, _: &Ask, _: usize) -> Sent {
        self.sends.fetch_add(1, Ordering::Relaxed);
        let now = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        self.under_way_max.fetch_max(now, Ordering::Relaxed);
        let (takes, result) = {
            let mut lines = self.lines.lock().expect("no test panics here");
            let line = lines.front().expect("a line").clone();
            if lines.len() > 1 {
                lines.pop_front();
            }
            line
        };
        tokio::time::sleep(takes).await;
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        result
    }
}

type Sent = Result<Reply, TransportError>;

/// A reply of this status, and with `Retry-After` in seconds where not 0.
#[expect(clippy::unnecessary_wraps, reason = "a line of the script, which may be an error")]
const fn replying(status: u16, retry_after_s: u64) -> Sent {
    let retry_after =
        if retry_after_s == 0 { None } else { Some(Duration::from_secs(retry_after_s)) };
    Ok(Reply { status, retry_after, body: Bytes::from_static(b"{}") })
}

fn client(script: &Arc<Script>, settings: &FederationSettings) -> MemberClient<Arc<Script>> {
    let member = MemberCode::parse("mercy").expect("a code");
    MemberClient::new(member, Arc::clone(script), 2, Arc::new(Semaphore::new(8)), settings)
}

fn ask() -> Ask {
    Ask::get(Url::parse("https://a.example/fhir/metadata").expect("a URL"))
}

async fn run(
    client: &MemberClient<Arc<Script>>,
    deadline: u64,
) -> (Result<Bytes, AskError>, Duration) {
    let started = Instant::now();
    let deadline = started + Duration::from_millis(deadline);
    let result = client.ask(&ask(), 1 << 20, deadline).await;
    (result, started.elapsed())
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_asked_again_and_what_will_not_is_not() {
    let check = async |first: Sent, sends: usize, ok: bool| {
        let script = Arc::new(Script::new([(10, first.clone()), (10, replying(200, 0))]));
        let (result, _) = run(&client(&script, &FederationSettings::default()), 60_000).await;
        assert_eq!(script.sends.load(Ordering::Relaxed), sends, "{first:?}");
        assert_eq!(result.is_ok(), ok, "{first:?}");
    };
    for passing in [429, 502, 503, 504] {
        check(replying(passing, 0), 2, true).await;
    }
    check(Err(TransportError::Connect), 2, true).await;
    check(Err(TransportError::Broken), 2, true).await;
    for lasting in [302, 400, 401, 403, 404, 410, 500, 501] {
        check(replying(lasting, 0), 1, false).await;
    }
    check(Err(TransportError::Tls), 1, false).await;
    check(Err(TransportError::TooLarge), 1, false).await;
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honored_within_the_deadline_and_never_beyond() {
    let script = Arc::new(Script::new([(0, replying(503, 4)), (0, replying(200, 0))]));
    let (result, took) = run(&client(&script, &FederationSettings::default()), 10_000).await;
    assert!(result.is_ok());
    assert!(took >= Duration::from_secs(4) && took < Duration::from_secs(5));

    let script = Arc::new(Script::new([(0, replying(429, 60)), (0, replying(200, 0))]));
    let (result, took) = run(&client(&script, &FederationSettings::default()), 10_000).await;
    let error = result.expect_err("too late");
    assert_eq!(error.status(), Status::Refused(Refusal::Throttled));
    assert_eq!((error.http_status, took), (Some(429), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_stalled_member_costs_the_deadline_and_no_more() {
    let script = Arc::new(Script::new([(3_600_000, replying(200, 0))]));
    let (result, took) = run(&client(&script, &FederationSettings::default()), 2_000).await;
    assert_eq!(result.map_err(AskError::status), Err(Status::TimedOut));
    assert_eq!(took, Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn the_breaker_spares_a_failing_member_and_its_askers() {
    let script = Arc::new(Script::new([(0, replying(500, 0))]));
    let client = client(&script, &FederationSettings::default());
    for _ in 0..5 {
        run(&client, 1_000).await.0.expect_err("it fails");
    }
    let (result, _) = run(&client, 1_000).await;
    let open = Status::Unreachable(Fault::CircuitOpen);
    assert_eq!(result.map_err(AskError::status), Err(open));
    assert_eq!(script.sends.load(Ordering::Relaxed), 5);
}

#[tokio::test(start_paused = true)]
async fn an_impatient_asker_does_not_open_the_breaker() {
    let script = Arc::new(Script::new([(500, replying(200, 0))]));
    let client = client(&script, &FederationSettings::default());
    for _ in 0..20 {
        run(&client, 100).await.0.expect_err("too little time");
    }
    assert!(run(&client, 1_000).await.0.is_ok());
}

#[tokio::test(start_paused = true)]
async fn retries_stop_when_their_budget_is_spent() {
    let script = Arc::new(Script::new([(0, replying(503, 0))]));
    let settings = FederationSettings { breaker_failures: u32::MAX, ..Default::default() };
    let client = client(&script, &settings);
    for _ in 0..100 {
        run(&client, 60_000).await.0.expect_err("it fails");
    }
    // 10 saved up, and a tenth of the requests themselves; each retry is a request, too.
    let sends = script.sends.load(Ordering::Relaxed);
    assert!((110..=125).contains(&sends), "{sends}");
}

#[tokio::test(start_paused = true)]
async fn the_bulkhead_bounds_what_is_under_way() {
    let script = Arc::new(Script::new([(100, replying(200, 0))]));
    let client = client(&script, &FederationSettings::default());
    let asks = (0..10).map(|_| run(&client, 60_000));
    let results = futures_util::future::join_all(asks).await;
    assert!(results.iter().all(|(result, _)| result.is_ok()));
    assert_eq!(script.under_way_max.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_slow_request_is_hedged_after_the_members_own_percentile() {
    let usual = std::iter::repeat_n((10, replying(200, 0)), 3);
    let quick = usual.chain(std::iter::repeat_n((5, replying(200, 0)), 37));
    let script =
        Arc::new(Script::new(quick.chain([(5_000, replying(200, 0)), (10, replying(200, 0))])));
    let client = client(&script, &FederationSettings::default());
    for _ in 0..40 {
        assert!(run(&client, 60_000).await.0.is_ok());
    }
    let (result, took) = run(&client, 60_000).await;
    assert!(result.is_ok());
    assert_eq!(took, Duration::from_millis(20), "p95 of 10 ms, then the hedge's 10 ms");
}
