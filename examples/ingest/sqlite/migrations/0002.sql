-- Events are recognised by all that they carry, within 45 s of the last repeat or
-- within 30 days (see event.Seal). An event without an identity is never the same
-- as another one.
CREATE TABLE events_2 (
	id          TEXT    PRIMARY KEY,
	site_id     TEXT    NOT NULL,
	session_id  TEXT    NOT NULL,
	month       TEXT    NOT NULL,
	category    TEXT    NOT NULL,
	action      TEXT    NOT NULL,
	label       TEXT    NOT NULL,
	value       TEXT,
	url         TEXT    NOT NULL,
	referrer    TEXT    NOT NULL,
	meta        TEXT    NOT NULL,
	stamp       TEXT    NOT NULL,
	identity    BLOB,
	received_at INTEGER NOT NULL,
	seen_from   INTEGER NOT NULL, -- the first and the last receipt of the event:
	seen_to     INTEGER NOT NULL  -- deliveries may overtake each other
) STRICT, WITHOUT ROWID;
INSERT INTO events_2 SELECT id, site_id, session_id, month, category, action, label, value, url,
	referrer, meta, stamp, identity, received_at, received_at, received_at FROM events;
DROP TABLE events;
ALTER TABLE events_2 RENAME TO events;
CREATE INDEX events_identity ON events (identity, seen_to) WHERE identity IS NOT NULL;
CREATE INDEX events_site ON events (site_id, received_at);

-- A row that the worker could not take alone waits until due_at. A dead one says
-- since when.
ALTER TABLE queue ADD COLUMN site_id TEXT NOT NULL DEFAULT '';
ALTER TABLE queue ADD COLUMN due_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE queue ADD COLUMN dead_at INTEGER NOT NULL DEFAULT 0;
UPDATE queue SET site_id = coalesce(json_extract(CAST(payload AS TEXT), '$.site'), '');
CREATE INDEX queue_dead ON queue (site_id, seq) WHERE dead = 1;
