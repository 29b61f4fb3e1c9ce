-- Whether a source record is told of (active, retired, subsumed), and where its history begins.
ALTER TABLE source_record ADD COLUMN registered_seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE source_record ADD COLUMN standing TEXT NOT NULL DEFAULT 'active';

-- Which journal entries belong to the history of a record, beside its registration; and of a
-- person, beside what its records were told. Registrations need none, so that bulk feeds stay fast.
CREATE TABLE record_history (
    record_no BIGINT NOT NULL,
    seq       BIGINT NOT NULL,
    PRIMARY KEY (record_no, seq)
);

CREATE TABLE person_history (
    person BYTEA  NOT NULL,
    seq    BIGINT NOT NULL,
    PRIMARY KEY (person, seq)
);
