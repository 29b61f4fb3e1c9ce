-- What checks and probes found at members; append-only, newest version last.
CREATE TABLE member_finding (
    code        TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    body        TEXT    NOT NULL,
    PRIMARY KEY (code, kind, version)
) WITHOUT ROWID;
