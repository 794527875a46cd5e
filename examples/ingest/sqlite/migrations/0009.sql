-- Security keys (WebAuthn credential records). A credential is one user's alone.
CREATE TABLE security_keys (
	id         TEXT    PRIMARY KEY,
	user_id    TEXT    NOT NULL,
	name       TEXT    NOT NULL,
	credential BLOB    NOT NULL UNIQUE,
	public_key BLOB    NOT NULL,
	counter    INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	used_at    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX security_keys_user ON security_keys (user_id, created_at);

-- Visits, counted as their events are stored. first_at and last_at are the receipts
-- of the first and the last of them.
CREATE TABLE visits (
	site_id    TEXT    NOT NULL,
	id         TEXT    NOT NULL,
	session_id TEXT    NOT NULL,
	first_at   INTEGER NOT NULL,
	last_at    INTEGER NOT NULL,
	events     INTEGER NOT NULL,
	PRIMARY KEY (site_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX visits_site ON visits (site_id, first_at, id);
INSERT INTO visits SELECT site_id, visit, min(session_id), min(received_at), max(received_at), count(*)
	FROM events WHERE visit <> '' GROUP BY site_id, visit;
CREATE INDEX events_visit ON events (site_id, visit, received_at) WHERE visit <> '';
