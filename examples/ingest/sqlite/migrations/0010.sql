-- One row of the queue is what one request brought: events with commas between them.
-- Rows are found by their number; only those that travel alone need an index, and
-- there are few of them.
ALTER TABLE queue ADD COLUMN events INTEGER NOT NULL DEFAULT 1;
DROP INDEX queue_live;
CREATE INDEX queue_lone ON queue (seq) WHERE lone = 1 AND dead = 0;

-- Rows in the order in which they come, and 16 bytes of the identity: a random key
-- for the table itself, or a longer one, costs twice as much to write. What belongs
-- to nobody is known by its id alone, when a delivery repeats itself.
CREATE TABLE events_3 (
	id          TEXT    NOT NULL,
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
	identity    BLOB    NOT NULL,
	received_at INTEGER NOT NULL,
	seen_from   INTEGER NOT NULL, -- the first and the last receipt of the event:
	seen_to     INTEGER NOT NULL, -- deliveries may overtake each other
	visit       TEXT    NOT NULL
) STRICT;
INSERT INTO events_3 SELECT id, site_id, session_id, month, category, action, label, value, url,
	referrer, meta, stamp, coalesce(substr(identity, 1, 16), CAST(id AS BLOB)), received_at, seen_from,
	seen_to, visit FROM events ORDER BY received_at;
DROP TABLE events;
ALTER TABLE events_3 RENAME TO events;
CREATE INDEX events_identity ON events (identity);
CREATE INDEX events_site ON events (site_id, received_at);
CREATE INDEX events_visit ON events (site_id, visit, received_at) WHERE visit <> '';
