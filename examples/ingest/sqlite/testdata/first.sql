-- Times are Unix milliseconds.

-- Accepted and not yet delivered. A dead row has used up its attempts.
CREATE TABLE IF NOT EXISTS queue (
	seq        INTEGER PRIMARY KEY AUTOINCREMENT,
	id         TEXT    NOT NULL UNIQUE,
	payload    BLOB    NOT NULL,
	attempts   INTEGER NOT NULL DEFAULT 0,
	due_at     INTEGER NOT NULL,
	dead       INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS queue_due ON queue (due_at, seq) WHERE dead = 0;

CREATE TABLE IF NOT EXISTS events (
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
	identity    BLOB    NOT NULL,
	received_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_identity ON events (identity, received_at);
CREATE INDEX IF NOT EXISTS events_site ON events (site_id, received_at);

CREATE TABLE IF NOT EXISTS calls (
	id          TEXT    PRIMARY KEY,
	site_id     TEXT    NOT NULL,
	event_id    TEXT    NOT NULL,
	phone       TEXT    NOT NULL,
	fingerprint TEXT    NOT NULL,
	action      TEXT    NOT NULL,
	url         TEXT    NOT NULL,
	stamp       TEXT    NOT NULL,
	detail      TEXT    NOT NULL,
	received_at INTEGER NOT NULL,
	status      TEXT    NOT NULL DEFAULT 'intent' CHECK (status IN ('intent', 'sealed', 'junk')),
	UNIQUE (site_id, event_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS calls_site ON calls (site_id, received_at);

-- What an administrator did to a call, one row per audit entry that says so.
CREATE TABLE IF NOT EXISTS call_actions (
	audit_seq INTEGER PRIMARY KEY REFERENCES audit_log (seq),
	call_id   TEXT    NOT NULL REFERENCES calls (id),
	site_id   TEXT    NOT NULL,
	action    TEXT    NOT NULL CHECK (action IN ('seal', 'junk', 'undo')),
	actor     TEXT    NOT NULL,
	previous  TEXT    NOT NULL,
	at        INTEGER NOT NULL
) STRICT;

-- Entries exactly as they were hashed.
CREATE TABLE IF NOT EXISTS audit_log (
	seq   INTEGER PRIMARY KEY,
	entry BLOB    NOT NULL
) STRICT;

-- The last one-time password step each user has spent (RFC 6238 section 5.2).
CREATE TABLE IF NOT EXISTS totp_spent (
	user_id TEXT    PRIMARY KEY,
	step    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO queue (id, payload, due_at, dead) VALUES ('q1', CAST('{"id":"q1","site":"0123456789abcdef0123456789abcdef","at":"2026-11-21T12:00:00Z","event":{"s":"0123456789abcdef0123456789abcdef","u":"https://shop.example/","sid":"","sm":"","ec":"system","ea":"heartbeat","el":"","r":"","consent_scopes":["analytics"]}}' AS BLOB), 0, 0), ('q2', CAST('{"id":"q2","site":"0123456789abcdef0123456789abcdef","at":"2026-11-21T12:00:00Z","event":{"s":"0123456789abcdef0123456789abcdef","u":"https://shop.example/","sid":"","sm":"","ec":"system","ea":"heartbeat","el":"","r":"","consent_scopes":["analytics"]}}' AS BLOB), 0, 1);
INSERT INTO events VALUES ('e1', '0123456789abcdef0123456789abcdef', '', '', 'interaction', 'view', '', NULL, 'https://shop.example/', '', '{}', '', x'01', 1795262400000);
INSERT INTO calls (id, site_id, event_id, phone, fingerprint, action, url, stamp, detail, received_at) VALUES ('c1', '0123456789abcdef0123456789abcdef', 'e', '', '', '', '', '', '{}', 1795262400000);
