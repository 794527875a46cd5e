-- API keys: the SHA-256 of each, never the key. Times are in microseconds.
CREATE TABLE api_keys (
	id         TEXT    PRIMARY KEY,
	hash       BLOB    NOT NULL UNIQUE,
	user_id    TEXT    NOT NULL,
	name       TEXT    NOT NULL,
	scopes     TEXT    NOT NULL, -- a JSON array
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	revoked_at INTEGER,
	used_at    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX api_keys_user ON api_keys (user_id);
