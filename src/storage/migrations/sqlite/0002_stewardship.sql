-- Whether a source record is told of (active, retired, subsumed), and where its history begins.
ALTER TABLE source_record ADD COLUMN registered_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE source_record ADD COLUMN standing TEXT NOT NULL DEFAULT 'active';

-- Which journal entries belong to the history of a record, beside its registration; and of a
-- person, beside what its records were told. Registrations need none, so that bulk feeds stay fast.
CREATE TABLE record_history (
    record_no INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    PRIMARY KEY (record_no, seq)
) WITHOUT ROWID;

CREATE TABLE person_history (
    person BLOB    NOT NULL,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (person, seq)
) WITHOUT ROWID;
