-- PostgreSQL's dialect of the schema: step by step the same as SQLite's, with other types.
-- Keys that are text sort by their bytes, so that both databases agree on the order, and so that
-- an index outlives the operating system's next idea of how text is sorted.
-- Sequence numbers are ours. Times are microseconds since 1970-01-01T00:00:00Z.
-- Enterprise ids are 16 bytes, in the order of UUID version 7, so that new rows go to the end.

CREATE TABLE meta (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT             NOT NULL
);

-- Append-only: what was decided, when, on which evidence and by which model.
CREATE TABLE journal (
    seq           BIGINT NOT NULL PRIMARY KEY,
    recorded_at   BIGINT NOT NULL,
    kind          TEXT   NOT NULL,
    person        BYTEA,
    member        TEXT,
    id_system     TEXT,
    id_value      TEXT,
    event_time    BIGINT,
    model_version TEXT   NOT NULL,
    decision      TEXT   NOT NULL,
    demographics  TEXT
);

-- Projections of the journal. No index on the local id: random index pages would cost the feed
-- most of its speed, and the index room finds a record by its key in memory.
CREATE TABLE source_record (
    record_no   BIGINT NOT NULL PRIMARY KEY,
    member      TEXT   NOT NULL,
    id_system   TEXT   NOT NULL,
    id_value    TEXT   NOT NULL,
    person      BYTEA  NOT NULL,
    version     BIGINT NOT NULL,
    event_time  BIGINT,
    since       BIGINT NOT NULL,
    changed_at  BIGINT NOT NULL,
    current_seq BIGINT NOT NULL
);

CREATE TABLE person (
    person      BYTEA  NOT NULL PRIMARY KEY,
    redirect_to BYTEA,
    created_seq BIGINT NOT NULL,
    changed_seq BIGINT NOT NULL
);

CREATE TABLE review_task (
    task_no    BIGINT           NOT NULL PRIMARY KEY,
    kind       TEXT             NOT NULL,
    state      TEXT COLLATE "C" NOT NULL,
    person     BYTEA            NOT NULL,
    other      BYTEA,
    member     TEXT,
    id_system  TEXT,
    id_value   TEXT,
    bits       DOUBLE PRECISION NOT NULL,
    opened_at  BIGINT           NOT NULL,
    changed_at BIGINT           NOT NULL,
    body       TEXT             NOT NULL
);
CREATE INDEX review_task_by_state ON review_task (state, task_no);

-- Append-only and hash-chained: hash = SHA-256(prev_hash, the row's other columns).
CREATE TABLE audit_event (
    seq         BIGINT NOT NULL PRIMARY KEY,
    recorded_at BIGINT NOT NULL,
    audit_id    BYTEA  NOT NULL,
    request_id  TEXT   NOT NULL,
    state       TEXT   NOT NULL,
    person      BYTEA,
    body        TEXT   NOT NULL,
    prev_hash   BYTEA  NOT NULL,
    hash        BYTEA  NOT NULL
);
CREATE INDEX audit_event_by_person ON audit_event (person, seq) WHERE person IS NOT NULL;

-- What was begun and not yet closed; outside the chain, since its rows come and go.
CREATE TABLE audit_open (
    audit_id BYTEA  NOT NULL PRIMARY KEY,
    seq      BIGINT NOT NULL
);

CREATE TABLE consent (
    consent_id  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    version     BIGINT           NOT NULL,
    recorded_at BIGINT           NOT NULL,
    member      TEXT COLLATE "C" NOT NULL,
    id_system   TEXT COLLATE "C" NOT NULL,
    id_value    TEXT COLLATE "C" NOT NULL,
    status      TEXT             NOT NULL,
    body        TEXT             NOT NULL
);
CREATE INDEX consent_by_record ON consent (id_value, id_system, member);

CREATE TABLE consent_history (
    consent_id  TEXT COLLATE "C" NOT NULL,
    version     BIGINT           NOT NULL,
    recorded_at BIGINT           NOT NULL,
    member      TEXT             NOT NULL,
    id_system   TEXT             NOT NULL,
    id_value    TEXT             NOT NULL,
    status      TEXT             NOT NULL,
    body        TEXT             NOT NULL,
    PRIMARY KEY (consent_id, version)
);

CREATE TABLE member (
    code        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    version     BIGINT           NOT NULL,
    recorded_at BIGINT           NOT NULL,
    body        TEXT             NOT NULL
);

CREATE TABLE member_history (
    code        TEXT COLLATE "C" NOT NULL,
    version     BIGINT           NOT NULL,
    recorded_at BIGINT           NOT NULL,
    body        TEXT             NOT NULL,
    PRIMARY KEY (code, version)
);
