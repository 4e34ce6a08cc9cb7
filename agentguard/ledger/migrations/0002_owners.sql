-- Who owns a session, what a call is known by, what its response was, and what people have decided.

ALTER TABLE session ADD COLUMN on_crash TEXT NOT NULL DEFAULT 'rollback';
ALTER TABLE session ADD COLUMN owner TEXT;
ALTER TABLE session ADD COLUMN token INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN lease_until REAL NOT NULL DEFAULT 0;

ALTER TABLE call ADD COLUMN mark TEXT;
ALTER TABLE call ADD COLUMN once TEXT;
ALTER TABLE call ADD COLUMN token INTEGER NOT NULL DEFAULT 0;
ALTER TABLE call ADD COLUMN response TEXT NOT NULL DEFAULT 'null';
ALTER TABLE call ADD COLUMN resolution TEXT NOT NULL DEFAULT 'null';
CREATE INDEX call_once ON call (session, once) WHERE once IS NOT NULL;

ALTER TABLE undo ADD COLUMN resolution TEXT NOT NULL DEFAULT 'null';
CREATE INDEX undo_for_people ON undo (session, seq, n) WHERE outcome IN ('conflict', 'in_doubt', 'failed');
