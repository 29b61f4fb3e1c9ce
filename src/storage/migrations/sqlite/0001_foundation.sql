-- SQLite's dialect of the schema. Another dialect changes the types only:
--   INTEGER -> BIGINT, BLOB -> BYTEA, REAL -> DOUBLE PRECISION; WITHOUT ROWID goes away.
-- Sequence numbers are ours. Times are microseconds since 1970-01-01T00:00:00Z.
-- Enterprise ids are 16 bytes, in the order of UUID version 7, so that new rows go to the end.

CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- Append-only: what was decided, when, on which evidence and by which model.
CREATE TABLE journal (
    seq           INTEGER NOT NULL PRIMARY KEY,
    recorded_at   INTEGER NOT NULL,
    kind          TEXT    NOT NULL,
    person        BLOB,
    member        TEXT,
    id_system     TEXT,
    id_value      TEXT,
    event_time    INTEGER,
    model_version TEXT    NOT NULL,
    decision      TEXT    NOT NULL,
    demographics  TEXT
);

-- Projections of the journal. No index on the local id: random index pages would cost the feed
-- most of its speed, and the index room finds a record by its key in memory.
CREATE TABLE source_record (
    record_no    INTEGER NOT NULL PRIMARY KEY,
    member       TEXT    NOT NULL,
    id_system    TEXT    NOT NULL,
    id_value     TEXT    NOT NULL,
    person       BLOB    NOT NULL,
    version      INTEGER NOT NULL,
    event_time   INTEGER,
    since        INTEGER NOT NULL,
    changed_at   INTEGER NOT NULL,
    current_seq  INTEGER NOT NULL
);

CREATE TABLE person (
    person      BLOB    NOT NULL PRIMARY KEY,
    redirect_to BLOB,
    created_seq INTEGER NOT NULL,
    changed_seq INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE review_task (
    task_no    INTEGER NOT NULL PRIMARY KEY,
    kind       TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    person     BLOB    NOT NULL,
    other      BLOB,
    member     TEXT,
    id_system  TEXT,
    id_value   TEXT,
    bits       REAL    NOT NULL,
    opened_at  INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    body       TEXT    NOT NULL
);
CREATE INDEX review_task_by_state ON review_task (state, task_no);

-- Append-only and hash-chained: hash = SHA-256(prev_hash, the row's other columns).
CREATE TABLE audit_event (
    seq         INTEGER NOT NULL PRIMARY KEY,
    recorded_at INTEGER NOT NULL,
    audit_id    BLOB    NOT NULL,
    request_id  TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    person      BLOB,
    body        TEXT    NOT NULL,
    prev_hash   BLOB    NOT NULL,
    hash        BLOB    NOT NULL
);
CREATE INDEX audit_event_by_person ON audit_event (person, seq) WHERE person IS NOT NULL;

-- What was begun and not yet closed; outside the chain, since its rows come and go.
CREATE TABLE audit_open (
    audit_id BLOB    NOT NULL PRIMARY KEY,
    seq      INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE consent (
    consent_id  TEXT    NOT NULL PRIMARY KEY,
    version     INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    member      TEXT    NOT NULL,
    id_system   TEXT    NOT NULL,
    id_value    TEXT    NOT NULL,
    status      TEXT    NOT NULL,
    body        TEXT    NOT NULL
) WITHOUT ROWID;
CREATE INDEX consent_by_record ON consent (id_value, id_system, member);

CREATE TABLE consent_history (
    consent_id  TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    member      TEXT    NOT NULL,
    id_system   TEXT    NOT NULL,
    id_value    TEXT    NOT NULL,
    status      TEXT    NOT NULL,
    body        TEXT    NOT NULL,
    PRIMARY KEY (consent_id, version)
) WITHOUT ROWID;

CREATE TABLE member (
    code        TEXT    NOT NULL PRIMARY KEY,
    version     INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    body        TEXT    NOT NULL
) WITHOUT ROWID;

CREATE TABLE member_history (
    code        TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    body        TEXT    NOT NULL,
    PRIMARY KEY (code, version)
) WITHOUT ROWID;
