-- What people decide, what stops agents, what was used up of limits; and a chain of hashes over the events.

-- Each event's hash covers every column of it, its data by way of a digest, and the hash of the event before: see
-- chain.py. Purging takes an event's data and salt away and leaves the digest, so that the chain still verifies.
ALTER TABLE event ADD COLUMN salt TEXT;
ALTER TABLE event ADD COLUMN digest TEXT;
ALTER TABLE event ADD COLUMN hash TEXT;

DROP TRIGGER event_is_never_changed;
CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event
WHEN NOT (NEW.data = '{}' AND NEW.salt IS NULL AND NEW.id IS OLD.id AND NEW.session IS OLD.session
          AND NEW.seq IS OLD.seq AND NEW.n IS OLD.n AND NEW.kind IS OLD.kind AND NEW.at IS OLD.at
          AND NEW.digest IS OLD.digest AND NEW.hash IS OLD.hash)
BEGIN SELECT raise(ABORT, 'events are append-only'); END;

ALTER TABLE session ADD COLUMN purged_at REAL;

ALTER TABLE call ADD COLUMN rule TEXT;
ALTER TABLE call ADD COLUMN approval TEXT;
ALTER TABLE call ADD COLUMN verified TEXT;
CREATE INDEX call_held ON call (session, seq) WHERE state = 'held';
CREATE INDEX call_mismatch ON call (session, seq) WHERE verified IS NOT NULL AND verified <> 'ok';

CREATE TABLE approval (
    id           TEXT PRIMARY KEY,
    session      TEXT NOT NULL REFERENCES session (id),
    digest       TEXT NOT NULL,
    operation    TEXT NOT NULL,
    target       TEXT NOT NULL,
    account      TEXT NOT NULL,
    card         TEXT NOT NULL,
    policy       TEXT NOT NULL,
    state        TEXT NOT NULL,
    requested_at REAL NOT NULL,
    expires_at   REAL NOT NULL,
    decided_at   REAL,
    decided_by   TEXT,
    why          TEXT,
    key          TEXT,
    signature    TEXT,
    seq          INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX approval_call ON approval (session, digest);
CREATE INDEX approval_pending ON approval (requested_at) WHERE state = 'pending';

CREATE TABLE freeze (
    scope TEXT PRIMARY KEY,
    by    TEXT NOT NULL,
    why   TEXT NOT NULL,
    at    REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE spent (
    name    TEXT NOT NULL,
    at      REAL NOT NULL,
    session TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    amount  REAL NOT NULL,
    PRIMARY KEY (name, at, session, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO meta (name, value) SELECT 'unchained', CAST(count(*) AS TEXT) FROM event;

-- Equal calls are only looked for where the service has idempotency keys; the others need no place in an index.
DROP INDEX call_digest;
CREATE INDEX call_digest ON call (session, digest) WHERE key IS NOT NULL;

CREATE INDEX session_newest ON session (started_at, id);
