//! Who is asked, who cannot be, and when the work ends.

use super::*;

#[tokio::test]
async fn nobody_is_asked_without_leave_or_without_being_active() {
    let world = World::with(
        &SimulatorOptions::default(),
        FederationSettings { members_per_query_max: 1, ..FederationSettings::default() },
        "",
    );
    let targets = vec![
        target("mercy", "bo"),
        target("nowhere", "ada"),
        target("mercy", "ada"),
        target("lake", "ada"),
    ];
    let query = RecordQuery::everything(PATIENCE);
    let outcomes = world.federation.fan_out(&world.permit, targets, query).await;
    let told: Vec<_> =
        outcomes.iter().map(|outcome| (outcome.member.as_str(), outcome.status())).collect();
    let not_permitted = Status::NotAsked(NotAsked::NotPermitted);
    assert!(told.contains(&("lake", Status::NotAsked(NotAsked::TooManyMembers))), "{told:?}");
    assert!(told.contains(&("mercy", not_permitted)), "{told:?}");
    assert!(told.contains(&("mercy", Status::Answered)), "{told:?}");
    assert!(told.contains(&("nowhere", not_permitted)), "{told:?}");
}

#[tokio::test]
async fn the_askers_own_organization_and_who_is_suspended_are_listed_as_not_asked() {
    let mut world = World::new();
    world.permit = permit(world.directory.clone(), "urn:org:lake");
    let roster = |status: &str| {
        let members = toml_of(&world.members, "").replace("active", status);
        parse_members_toml(&members).expect("members")
    };
    let statuses = async || {
        let outcomes = world.ask(RecordQuery::everything(PATIENCE)).await;
        assert!(outcomes.iter().all(|outcome| !outcome.issues().is_empty()));
        outcomes.iter().map(MemberOutcome::status).collect::<Vec<_>>()
    };
    let own = Status::NotAsked(NotAsked::OwnOrganization);
    assert_eq!(statuses().await, [own, Status::Answered]);
    let now = OffsetDateTime::now_utc();
    world.directory.apply(roster("suspended"), now).await.expect("applied");
    assert_eq!(statuses().await, [own, Status::NotAsked(NotAsked::NotActive)]);
    assert_eq!(world.members[1].requests(), 0);
}

#[tokio::test]
async fn a_member_that_is_down_or_of_another_authority_cannot_be_reached() {
    let mut world = World::new();
    world.members[1].go_down().await;
    let lake = world.lake_with(Faults::default()).await;
    assert_eq!(lake.status, Status::Unreachable(Fault::Connect));

    let world = World::new();
    let stranger = World::new();
    world.federation.replace_identity(GatewayIdentity {
        credentials: world.pki.gateway().read().expect("minted"),
        authorities: stranger.pki.trust_roots().expect("minted"),
    });
    for outcome in world.ask(RecordQuery::everything(PATIENCE)).await {
        assert_eq!(outcome.status(), Status::Unreachable(Fault::Tls));
    }
    world.federation.replace_identity(GatewayIdentity {
        credentials: stranger.pki.gateway().read().expect("minted"),
        authorities: world.pki.trust_roots().expect("minted"),
    });
    for outcome in world.ask(RecordQuery::everything(PATIENCE)).await {
        // In TLS 1.3 a client learns that its certificate was refused after the handshake, and
        // under HTTP/2 often only that the connection closed.
        let refused = [Fault::Tls, Fault::Broken].map(Status::Unreachable);
        assert!(refused.contains(&outcome.status()), "{:?}", outcome.status());
    }
}

#[tokio::test]
async fn a_stalled_member_costs_the_deadline_and_the_others_are_there() {
    let world = World::new();
    let answer = AnswerFault::Stalled { bytes: 30 };
    world.members[1].set_faults(Faults { answer, ..Faults::default() });
    let started = Instant::now();
    let outcomes = world.ask(RecordQuery::everything(Duration::from_millis(1_500))).await;
    assert!(started.elapsed() < Duration::from_secs(20));
    let told: Vec<_> = outcomes.iter().map(MemberOutcome::status).collect();
    assert_eq!(told, [Status::TimedOut, Status::Answered]);
}

#[tokio::test]
async fn who_goes_away_stops_the_work() {
    let world = World::new();
    let answer = AnswerFault::Stalled { bytes: 30 };
    for member in &world.members {
        member.set_faults(Faults { answer: answer.clone(), ..Faults::default() });
    }
    let targets = vec![target("mercy", "ada"), target("lake", "ada")];
    let query = RecordQuery::everything(PATIENCE);
    let mut asked = world.federation.start(&world.permit, targets, query);
    let under_way = || world.federation.requests_under_way();
    within_patience(|| under_way() == 4).await;
    assert!(tokio::time::timeout(Duration::ZERO, asked.next()).await.is_err());
    drop(asked);
    within_patience(|| under_way() == 0).await;
}

/// Waits for what another thread is about to do, without sleeping.
async fn within_patience(mut happened: impl FnMut() -> bool) {
    let started = Instant::now();
    while !happened() {
        assert!(started.elapsed() < PATIENCE, "it did not happen");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_federation_that_was_shut_down_still_gives_outcomes() {
    let world = World::new();
    let federation = &world.federation;
    std::thread::scope(|scope| {
        scope.spawn(|| federation.shutdown(Duration::from_secs(1)));
    });
    for outcome in world.ask(RecordQuery::everything(PATIENCE)).await {
        assert_eq!(outcome.status(), Status::Unreachable(Fault::Internal));
    }
}
