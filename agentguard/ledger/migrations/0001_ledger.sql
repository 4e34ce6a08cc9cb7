-- Sessions, calls and undos as they stand, and every event that led there. Forward only.
-- Keys are in time order (session ids begin with the time), so that new rows go to the end of each tree.

CREATE TABLE session (
    id         TEXT PRIMARY KEY,
    agent      TEXT NOT NULL,
    intent     TEXT NOT NULL,
    tenant     TEXT,
    user       TEXT,
    on_error   TEXT NOT NULL,
    state      TEXT NOT NULL,
    cause      TEXT,
    started_at REAL NOT NULL,
    ended_at   REAL
) STRICT, WITHOUT ROWID;

CREATE INDEX session_unfinished ON session (started_at) WHERE state IN ('open', 'rolling_back');

CREATE TABLE call (
    session    TEXT NOT NULL REFERENCES session (id),
    seq        INTEGER NOT NULL,
    connector  TEXT NOT NULL,
    base       TEXT NOT NULL,
    name       TEXT NOT NULL,
    method     TEXT NOT NULL,
    target     TEXT NOT NULL,
    arguments  TEXT NOT NULL,
    effect     TEXT NOT NULL,
    risk       TEXT NOT NULL,
    state      TEXT NOT NULL,
    reason     TEXT,
    confidence REAL,
    digest     TEXT NOT NULL,
    ordinal    INTEGER NOT NULL,
    key        TEXT,
    snapshots  TEXT NOT NULL,
    status     INTEGER,
    answer     TEXT NOT NULL,
    error      TEXT,
    created_at REAL NOT NULL,
    settled_at REAL,
    PRIMARY KEY (session, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX call_digest ON call (session, digest);
CREATE INDEX call_unsettled ON call (session, seq) WHERE state IN ('intent', 'in_doubt');

CREATE TABLE undo (
    session    TEXT NOT NULL,
    seq        INTEGER NOT NULL,
    n          INTEGER NOT NULL,
    name       TEXT NOT NULL,
    arguments  TEXT NOT NULL,
    look       TEXT NOT NULL,
    "left"     TEXT NOT NULL,
    back       TEXT NOT NULL,
    same_shape INTEGER NOT NULL,
    remains    TEXT NOT NULL,
    state      TEXT NOT NULL,
    attempt    INTEGER NOT NULL,
    outcome    TEXT,
    detail     TEXT NOT NULL,
    found      TEXT NOT NULL,
    updated_at REAL,
    PRIMARY KEY (session, seq, n),
    FOREIGN KEY (session, seq) REFERENCES call (session, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    id      INTEGER PRIMARY KEY,
    session TEXT NOT NULL,
    seq     INTEGER,
    n       INTEGER,
    kind    TEXT NOT NULL,
    at      REAL NOT NULL,
    data    TEXT NOT NULL
) STRICT;

CREATE INDEX event_session ON event (session, id);

CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event
BEGIN SELECT raise(ABORT, 'events are append-only'); END;

CREATE TRIGGER event_is_never_removed BEFORE DELETE ON event
BEGIN SELECT raise(ABORT, 'events are append-only'); END;
