-- Wrong second factors since the last right one: the owner is told of them.
CREATE TABLE factor_failures (
	user_id TEXT    PRIMARY KEY,
	n       INTEGER NOT NULL,
	last_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What is left of a user's recovery codes, as SHA-256 digests: the codes have 80
-- random bits, which no table of guesses holds.
CREATE TABLE recovery_codes (
	user_id TEXT NOT NULL,
	digest  BLOB NOT NULL,
	PRIMARY KEY (user_id, digest)
) STRICT, WITHOUT ROWID;
