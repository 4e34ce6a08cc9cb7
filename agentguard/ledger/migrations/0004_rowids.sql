-- Calls and undos hold large values. In a table that is its own index those values lie in the way of every comparison
-- of keys, on pages that have to be read for it; beside an index of the keys alone they do not.

CREATE TABLE call_by_rowid (
    session    TEXT NOT NULL REFERENCES session (id),
    seq        INTEGER NOT NULL,
    connector  TEXT NOT NULL,
    base       TEXT NOT NULL,
    name       TEXT NOT NULL,
    method     TEXT NOT NULL,
    target     TEXT NOT NULL,
    state      TEXT NOT NULL,
    effect     TEXT NOT NULL,
    risk       TEXT NOT NULL,
    digest     TEXT NOT NULL,
    ordinal    INTEGER NOT NULL,
    key        TEXT,
    mark       TEXT,
    once       TEXT,
    token      INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    settled_at REAL,
    status     INTEGER,
    rule       TEXT,
    approval   TEXT,
    verified   TEXT,
    reason     TEXT,
    confidence REAL,
    error      TEXT,
    resolution TEXT NOT NULL DEFAULT 'null',
    arguments  TEXT NOT NULL,
    snapshots  TEXT NOT NULL,
    answer     TEXT NOT NULL,
    response   TEXT NOT NULL DEFAULT 'null',
    PRIMARY KEY (session, seq)
) STRICT;

INSERT INTO call_by_rowid
    (session, seq, connector, base, name, method, target, state, effect, risk, digest, ordinal, key, mark, once, token,
     created_at, settled_at, status, rule, approval, verified, reason, confidence, error, resolution, arguments,
     snapshots, answer, response)
SELECT
     session, seq, connector, base, name, method, target, state, effect, risk, digest, ordinal, key, mark, once, token,
     created_at, settled_at, status, rule, approval, verified, reason, confidence, error, resolution, arguments,
     snapshots, answer, response
FROM call ORDER BY session, seq;

CREATE TABLE undo_kept AS SELECT * FROM undo;
DROP TABLE undo;
DROP TABLE call;
ALTER TABLE call_by_rowid RENAME TO call;

CREATE INDEX call_digest ON call (session, digest) WHERE key IS NOT NULL;
CREATE INDEX call_unsettled ON call (session, seq) WHERE state IN ('intent', 'in_doubt');
CREATE INDEX call_once ON call (session, once) WHERE once IS NOT NULL;
CREATE INDEX call_held ON call (session, seq) WHERE state = 'held';
CREATE INDEX call_mismatch ON call (session, seq) WHERE verified IS NOT NULL AND verified <> 'ok';

CREATE TABLE undo (
    session    TEXT NOT NULL,
    seq        INTEGER NOT NULL,
    n          INTEGER NOT NULL,
    name       TEXT NOT NULL,
    state      TEXT NOT NULL,
    attempt    INTEGER NOT NULL,
    outcome    TEXT,
    same_shape INTEGER NOT NULL,
    updated_at REAL,
    remains    TEXT NOT NULL,
    detail     TEXT NOT NULL,
    resolution TEXT NOT NULL DEFAULT 'null',
    arguments  TEXT NOT NULL,
    look       TEXT NOT NULL,
    "left"     TEXT NOT NULL,
    back       TEXT NOT NULL,
    found      TEXT NOT NULL,
    PRIMARY KEY (session, seq, n),
    FOREIGN KEY (session, seq) REFERENCES call (session, seq)
) STRICT;

INSERT INTO undo
    (session, seq, n, name, state, attempt, outcome, same_shape, updated_at, remains, detail, resolution, arguments,
     look, "left", back, found)
SELECT
     session, seq, n, name, state, attempt, outcome, same_shape, updated_at, remains, detail, resolution, arguments,
     look, "left", back, found
FROM undo_kept ORDER BY session, seq, n;

DROP TABLE undo_kept;
CREATE INDEX undo_for_people ON undo (session, seq, n) WHERE outcome IN ('conflict', 'in_doubt', 'failed');
