-- Every page that a commit touches is written, and waited for with the next sync.

-- Two events of every call, that it is about to be sent and that it happened, are found by way of the call: an index of
-- them would cost each of the two commits a page.

ALTER TABLE call ADD COLUMN asked INTEGER;
ALTER TABLE call ADD COLUMN told INTEGER;

UPDATE call SET
    asked = (SELECT max(id) FROM event
             WHERE event.session = call.session AND event.seq = call.seq AND kind = 'intent'),
    told = (SELECT max(id) FROM event
            WHERE event.session = call.session AND event.seq = call.seq AND kind = 'committed');

DROP INDEX event_session;
CREATE INDEX event_session ON event (session, id) WHERE kind NOT IN ('intent', 'committed');

-- Undos are small, as a rule: in a table that is its own index they need one page where they needed two.

CREATE TABLE undo_by_key (
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
) STRICT, WITHOUT ROWID;

INSERT INTO undo_by_key
    (session, seq, n, name, state, attempt, outcome, same_shape, updated_at, remains, detail, resolution, arguments,
     look, "left", back, found)
SELECT
     session, seq, n, name, state, attempt, outcome, same_shape, updated_at, remains, detail, resolution, arguments,
     look, "left", back, found
FROM undo ORDER BY session, seq, n;

DROP TABLE undo;
ALTER TABLE undo_by_key RENAME TO undo;
CREATE INDEX undo_for_people ON undo (session, seq, n) WHERE outcome IN ('conflict', 'in_doubt', 'failed');

-- An index of calls that are about to be sent would cost two pages for each, to put it in and to take it out. They are
-- found by way of the sessions that have not ended: one that ends leaves its own in doubt.

DROP INDEX call_unsettled;
UPDATE call SET state = 'in_doubt' WHERE state = 'intent'
    AND session IN (SELECT id FROM session WHERE state IN ('completed', 'rolled_back', 'partial'));
CREATE INDEX call_doubtful ON call (session, seq) WHERE state = 'in_doubt';
CREATE INDEX session_interrupted ON session (started_at) WHERE state = 'interrupted';
