//! A snapshot is believed only where it is its own and whole; then it is as good as the journal.

use std::path::{Path, PathBuf};

use super::{lifecycle::words, stewardship::tries, *};

impl World {
    /// Opens with a snapshot beside the database.
    async fn keeping(home: TempDir, model: Model) -> Self {
        let path = home.path().join("tessera.db");
        let snapshot = Some(Snapshot::beside(&path));
        Self::opened(home, &StorageSettings::at(path), model, snapshot).await
    }

    async fn stop(self) -> TempDir {
        self.index.close().await;
        self.db.close().await;
        self.home
    }

    /// The journal's last entry that came from the snapshot; 0 where all was folded.
    async fn kept_seq(&self) -> u64 {
        match &self.index.kept {
            Some(kept) => kept.looked_behind().await,
            None => 0,
        }
    }

    /// All of the memory, by what it says and not by how it lies there.
    fn dump(&self) -> Vec<String> {
        let state = self.index.shared.read();
        let State { population, registry, search } = &*state;
        let entries = (0..registry.next_record_no())
            .filter_map(|no| registry.record(no).entry.map(|entry| (entry, no)))
            .collect();
        [registry.dump(), population.dump(&entries), search.dump()].concat()
    }

    /// Dumps what the snapshot and the rest of the journal give, and what the journal alone gives.
    async fn check_snapshot(home: TempDir) -> TempDir {
        let kept = Self::keeping(home, Model::default_model()).await;
        assert!(kept.kept_seq().await > 0, "the snapshot is used");
        assert_eq!(kept.index.damage(), None);
        let dump = kept.dump();
        let folded = kept.reopen(None, Model::default_model()).await;
        let expected = folded.dump();
        for (line, expected) in dump.iter().zip(&expected) {
            assert_eq!(line, expected);
        }
        assert_eq!(dump.len(), expected.len());
        folded.stop().await
    }
}

fn home() -> TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

fn path_of(home: &TempDir) -> PathBuf {
    home.path().join("tessera.db.snapshot")
}

fn put(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("the disk is fine");
}

/// What members and stewards do in turn.
type Step = (Vec<Registration>, LocalWord, (u8, u64, u8));

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((tellings(), words(), tries()), 0..4)
}

async fn live_through(world: &World, steps: Vec<Step>) {
    for (told, word, act) in steps {
        // What was merged away cannot be told of, and not every word can be followed.
        let _ = world.index.register_many(told).await;
        let _ = world.index.follow(word).await;
        world.try_anything(act).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_snapshot_and_what_came_since_are_as_good_as_the_whole_journal(
        before in steps(), since in steps(),
    ) {
        tokio::runtime::Runtime::new().expect("threads can be made").block_on(async {
            let world = World::keeping(home(), Model::default_model()).await;
            world.register("west/1", &imogen()).await;
            live_through(&world, before).await;
            // What comes after the snapshot was kept, as before a crash.
            let later = world.reopen(None, Model::default_model()).await;
            live_through(&later, since).await;
            let home = World::check_snapshot(later.stop().await).await;
            // And what was kept at that end holds everything.
            World::check_snapshot(home).await;
        });
    }
}

/// An exchange that was stopped, what it knew, and its snapshot.
async fn stopped() -> (TempDir, Vec<String>, Vec<u8>) {
    let world = World::keeping(home(), Model::default_model()).await;
    for (key, told) in
        [("north/1", imogen()), ("south/1", imogen_mistyped()), ("north/2", bertha())]
    {
        world.register(key, &told).await;
    }
    let dump = world.dump();
    let home = world.stop().await;
    let kept = std::fs::read(path_of(&home)).expect("a snapshot was kept");
    (home, dump, kept)
}

#[tokio::test]
async fn a_snapshot_in_doubt_is_not_used() {
    let (mut home, expected, kept) = stopped().await;
    let flipped = |at: usize, bit: usize| {
        let mut bytes = kept.clone();
        bytes[at] ^= 1 << bit;
        bytes
    };
    let end = kept.len();
    let mut doubtful = vec![
        Vec::new(),
        kept[..100].to_vec(),
        kept[..end - 1].to_vec(),
        [&kept[..], b"x"].concat(),
    ];
    // The head byte by byte, the memory here and there, the lengths and the digest byte by byte.
    let places = (0..128).step_by(4).chain((128..end).step_by(end / 24)).chain(end - 48..end);
    doubtful.extend(places.map(|at| flipped(at, at % 8)));
    for bytes in doubtful {
        put(&path_of(&home), &bytes);
        let opened = World::keeping(home, Model::default_model()).await;
        assert_eq!(opened.kept_seq().await, 0);
        assert_eq!(opened.dump(), expected);
        home = opened.stop().await;
        let again = std::fs::read(path_of(&home)).expect("another one was kept");
        assert_eq!(again.len(), kept.len(), "in its place");
    }
}

#[tokio::test]
async fn a_snapshot_is_worth_nothing_to_another_model() {
    let (home, ..) = stopped().await;
    let other = World::keeping(home, other_model(3.0)).await;
    assert_eq!(other.kept_seq().await, 0);
    let again = World::keeping(other.stop().await, other_model(3.0)).await;
    assert_eq!(again.kept_seq().await, 3, "and then that one's is kept");
    again.stop().await;
}

#[tokio::test]
async fn a_snapshot_of_another_journal_is_not_used() {
    let (one, _, kept) = stopped().await;
    let world = World::keeping(home(), Model::default_model()).await;
    for key in ["north/1", "south/1", "north/2"] {
        world.register(key, &bertha()).await;
    }
    let other = world.stop().await;
    put(&path_of(&other), &kept);
    let opened = World::keeping(other, Model::default_model()).await;
    assert_eq!(opened.kept_seq().await, 0);
    assert!(opened.index.find(&imogen(), 1).is_empty());
    // Nor where the journal ends before it, as after a backup was brought back.
    let shorter = World::keeping(home(), Model::default_model()).await;
    shorter.register("north/1", &imogen()).await;
    let shorter = shorter.stop().await;
    put(&path_of(&shorter), &kept);
    let shorter = World::keeping(shorter, Model::default_model()).await;
    assert_eq!((shorter.kept_seq().await, shorter.index.records_total()), (0, 1));
    drop(one);
}

#[tokio::test]
async fn a_snapshot_that_is_deleted_is_not_missed() {
    let (home, expected, _) = stopped().await;
    std::fs::remove_file(path_of(&home)).expect("it is there");
    let opened = World::keeping(home, Model::default_model()).await;
    assert_eq!(opened.kept_seq().await, 0);
    assert_eq!(opened.dump(), expected);
}

#[tokio::test]
async fn damage_that_the_snapshot_passed_over_is_found_behind_it() {
    let (home, expected, _) = stopped().await;
    let file = home.path().join("tessera.db");
    let url = format!("sqlite://{}", file.display());
    let pool = sqlx::SqlitePool::connect(&url).await.expect("it opens");
    sqlx::query("UPDATE journal SET demographics = replace(demographics, 'I', 'J') WHERE seq = 1")
        .execute(&pool)
        .await
        .expect("the disk is fine");
    pool.close().await;
    let opened = World::keeping(home, Model::default_model()).await;
    assert_eq!(opened.kept_seq().await, 3);
    let damage = opened.index.damage().cloned().expect("it is found");
    assert!(matches!(damage, IndexError::Storage(StorageError::Corrupt(_))), "{damage}");
    assert_eq!(opened.dump(), expected, "reading goes on");
    let refused = opened.index.register(telling("south/9", &bertha())).await;
    assert_eq!(refused, Err(damage.clone()));
    // The next start folds everything and stops where the damage is.
    let home = opened.stop().await;
    assert!(!path_of(&home).exists());
    let db = Database::open(&StorageSettings::at(file)).await.expect("its pages are whole");
    let (model, clock) = (Arc::new(Model::default_model()), Arc::new(TickingClock::default()));
    let again = Index::open(db, model, IndexLimits::default(), clock).await;
    assert_eq!(again.err(), Some(damage));
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_written_stops_nobody() {
    let home = home();
    // Where the unfinished one would stand is a folder.
    let blocked = home.path().join("tessera.db.snapshot.new");
    std::fs::create_dir(&blocked).expect("the disk is fine");
    let world = World::keeping(home, Model::default_model()).await;
    world.register("north/1", &imogen()).await;
    let home = world.stop().await;
    assert!(!path_of(&home).exists());
    let opened = World::keeping(home, Model::default_model()).await;
    assert_eq!((opened.kept_seq().await, opened.index.records_total()), (0, 1));
}

#[tokio::test]
async fn nobody_else_may_read_a_snapshot() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::keeping(home(), Model::default_model()).await;
    world.register("north/1", &imogen()).await;
    // Also where somebody left a file that all may read under the unfinished one's name.
    put(&world.home.path().join("tessera.db.snapshot.new"), b"");
    let home = world.stop().await;
    let about = std::fs::metadata(path_of(&home)).expect("a snapshot was kept");
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
    assert!(!home.path().join("tessera.db.snapshot.new").exists());
}
