-- Each table is behind forced row level security. Rows of a site are for whoever holds
-- that site's sealed scope: {{app}}. What no person asks for is {{service}}'s, which has
-- policies of its own and no BYPASSRLS.
REVOKE ALL ON SCHEMA ingest FROM public;
GRANT USAGE ON SCHEMA ingest TO {{app}}, {{service}};

{{install}}
GRANT USAGE ON SCHEMA sallyport TO {{app}};

-- The seal key, for the server: it reads the key as the service and seals with it as
-- the application. The application's login cannot read it.
CREATE TABLE ingest.seal_secret (
	name text PRIMARY KEY,
	key  bytea NOT NULL CHECK (length(key) >= 32)
);
{{serviceMay "SELECT" "seal_secret"}}

-- Events, a table a month. The key is what a delivery repeats word for word, and the
-- order in which a site lists them.
CREATE TABLE ingest.events (
	site_id     text        NOT NULL,
	received_at timestamptz NOT NULL,
	id          text        NOT NULL,
	session_id  text        NOT NULL,
	visit       text        NOT NULL,
	month       text        NOT NULL,
	category    text        NOT NULL,
	action      text        NOT NULL,
	label       text        NOT NULL,
	value       text,
	url         text        NOT NULL,
	referrer    text        NOT NULL,
	meta        text        NOT NULL, -- JSON, as it came
	stamp       text        NOT NULL,
	PRIMARY KEY (site_id, received_at, id)
) PARTITION BY RANGE (received_at);
{{readable "events"}}
{{serviceMay "SELECT, INSERT" "events"}}

-- Identities: by which an event is known again (see event.Seal). A unique index of a
-- partitioned table has to hold the partition key, so these have a table of their own.
-- Of an identity there is one row: the last time that it was seen, as an interval which
-- repeats extend, and a hash of the id of the event that opened it. Unix milliseconds.
CREATE TABLE ingest.event_identity (
	identity  uuid   NOT NULL, -- the first half of the digest
	opened    bigint NOT NULL,
	seen_from bigint NOT NULL,
	seen_to   bigint NOT NULL,
	expires   bigint NOT NULL, -- from then on no event can be a repeat
	PRIMARY KEY (identity)
) PARTITION BY HASH (identity);
DO $$
BEGIN
	FOR n IN 0..7 LOOP
		EXECUTE format('CREATE TABLE ingest.event_identity_%s PARTITION OF ingest.event_identity
			FOR VALUES WITH (MODULUS 8, REMAINDER %s) WITH (fillfactor = 85)', n, n);
		EXECUTE format('ALTER TABLE ingest.event_identity_%s ENABLE ROW LEVEL SECURITY', n);
		EXECUTE format('ALTER TABLE ingest.event_identity_%s FORCE ROW LEVEL SECURITY', n);
	END LOOP;
END $$;
{{serviceMay "SELECT, INSERT, UPDATE, DELETE" "event_identity"}}

-- Visits, counted in the statement that stores their events.
CREATE TABLE ingest.visits (
	site_id    text        NOT NULL,
	id         text        NOT NULL,
	session_id text        NOT NULL,
	first_at   timestamptz NOT NULL,
	last_at    timestamptz NOT NULL,
	events     bigint      NOT NULL,
	PRIMARY KEY (site_id, id)
);
CREATE INDEX visits_site ON ingest.visits (site_id, first_at, id);
{{readable "visits"}}
{{serviceMay "SELECT, INSERT, UPDATE, DELETE" "visits"}}

CREATE TABLE ingest.calls (
	site_id     text        NOT NULL,
	id          text        NOT NULL,
	event_id    text        NOT NULL,
	digest      bytea, -- of the whole call: another one under its event id is refused
	phone       text        NOT NULL,
	fingerprint text        NOT NULL,
	action      text        NOT NULL,
	url         text        NOT NULL,
	stamp       text        NOT NULL,
	detail      text        NOT NULL,
	received_at timestamptz NOT NULL,
	status      text        NOT NULL DEFAULT 'intent' CHECK (status IN ('intent', 'sealed', 'junk')),
	PRIMARY KEY (site_id, id),
	UNIQUE (site_id, event_id)
);
CREATE INDEX calls_site ON ingest.calls (site_id, received_at);
CREATE INDEX calls_id ON ingest.calls (id);
{{policies "calls"}}
-- People change what was decided about a call, and nothing else of it.
REVOKE INSERT, UPDATE, DELETE ON ingest.calls FROM {{app}};
GRANT UPDATE (status) ON ingest.calls TO {{app}};
{{serviceMay "SELECT, INSERT" "calls"}}

-- The last one-time password step each user has spent (RFC 6238 section 5.2).
CREATE TABLE ingest.totp_spent (
	user_id text   PRIMARY KEY,
	step    bigint NOT NULL
);
{{serviceMay "SELECT, INSERT, UPDATE" "totp_spent"}}

-- Wrong second factors since the last right one: the owner is told of them.
CREATE TABLE ingest.factor_failures (
	user_id text        PRIMARY KEY,
	n       bigint      NOT NULL,
	last_at timestamptz NOT NULL
);
{{serviceMay "SELECT, INSERT, UPDATE, DELETE" "factor_failures"}}

-- What is left of a user's recovery codes, as SHA-256 digests: the codes have 80
-- random bits, which no table of guesses holds.
CREATE TABLE ingest.recovery_codes (
	user_id text  NOT NULL,
	digest  bytea NOT NULL,
	PRIMARY KEY (user_id, digest)
);
{{serviceMay "SELECT, INSERT, DELETE" "recovery_codes"}}

-- Security keys (WebAuthn credential records). A credential is one user's alone.
CREATE TABLE ingest.security_keys (
	id         text        PRIMARY KEY,
	user_id    text        NOT NULL,
	name       text        NOT NULL,
	credential bytea       NOT NULL UNIQUE,
	public_key bytea       NOT NULL,
	counter    bigint      NOT NULL,
	created_at timestamptz NOT NULL,
	used_at    timestamptz
);
CREATE INDEX security_keys_user ON ingest.security_keys (user_id, created_at);
{{serviceMay "SELECT, INSERT, UPDATE, DELETE" "security_keys"}}

-- API keys: the SHA-256 of each, never the key.
CREATE TABLE ingest.api_keys (
	id         text        PRIMARY KEY,
	hash       bytea       NOT NULL UNIQUE,
	user_id    text        NOT NULL,
	name       text        NOT NULL,
	scopes     text[]      NOT NULL,
	created_at timestamptz NOT NULL,
	expires_at timestamptz NOT NULL,
	revoked_at timestamptz,
	used_at    timestamptz
);
CREATE INDEX api_keys_user ON ingest.api_keys (user_id);
{{serviceMay "SELECT, INSERT, UPDATE" "api_keys"}}

-- The wrapped keys of persons. Nothing of them goes into the planner's statistics, where
-- it would outlive them.
CREATE TABLE ingest.data_keys (
	site_id    text        NOT NULL,
	subject    text        NOT NULL,
	version    integer     NOT NULL,
	handle     text        NOT NULL,
	commitment bytea       NOT NULL,
	kek        text        NOT NULL,
	wrapped    bytea       NOT NULL,
	created_at timestamptz NOT NULL,
	seals      bigint      NOT NULL,
	CONSTRAINT data_keys_owner PRIMARY KEY (site_id, subject, version)
);
ALTER TABLE ingest.data_keys ALTER COLUMN subject SET STATISTICS 0,
	ALTER COLUMN handle SET STATISTICS 0, ALTER COLUMN commitment SET STATISTICS 0,
	ALTER COLUMN wrapped SET STATISTICS 0;
{{serviceMay "SELECT, INSERT, UPDATE, DELETE" "data_keys"}}

-- Its owner has to see all rows when the table is written anew.
ALTER TABLE ingest.data_keys NO FORCE ROW LEVEL SECURITY;
CREATE UNLOGGED TABLE ingest.data_keys_kept (LIKE ingest.data_keys);
ALTER TABLE ingest.data_keys_kept ENABLE ROW LEVEL SECURITY;

-- shred_keys deletes the keys of a person by writing those of all others into a new file
-- and removing the old one. VACUUM FULL and CLUSTER would keep what an open transaction,
-- whoever's, may still see. It is an error if a policy would hide rows here.
CREATE FUNCTION ingest.shred_keys(site text, person text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = off
SET lock_timeout = '5s'
AS $$
BEGIN
	LOCK TABLE ingest.data_keys IN ACCESS EXCLUSIVE MODE;
	IF NOT EXISTS (SELECT FROM ingest.data_keys WHERE site_id = site AND subject = person) THEN
		RETURN;
	END IF;
	INSERT INTO ingest.data_keys_kept SELECT * FROM ingest.data_keys
		WHERE NOT (site_id = site AND subject = person);
	TRUNCATE ingest.data_keys;
	INSERT INTO ingest.data_keys SELECT * FROM ingest.data_keys_kept;
	TRUNCATE ingest.data_keys_kept;
END $$;

-- One row that is written to see whether writing works.
CREATE TABLE ingest.probe (
	one boolean     PRIMARY KEY CHECK (one),
	at   timestamptz NOT NULL
);
{{serviceMay "SELECT, INSERT, UPDATE" "probe"}}

-- ensure_month makes the table of the events that were received in a month. It is the
-- owner's, so that the server needs no login that may create tables.
CREATE FUNCTION ingest.ensure_month(at timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
DECLARE
	first timestamp := date_trunc('month', at AT TIME ZONE 'UTC');
	part  text := 'events_' || to_char(first, 'YYYY_MM');
BEGIN
	IF at < '2020-01-01 00:00+00' OR at > now() + interval '40 days' THEN
		RAISE EXCEPTION 'no event is received at %', at USING ERRCODE = '22008';
	END IF;
	PERFORM pg_advisory_xact_lock(7883960563213104243); -- one instance at a time
	IF to_regclass('ingest.' || part) IS NOT NULL THEN
		RETURN;
	END IF;
	-- Attached, and not made as a partition, which would lock out readers and writers.
	EXECUTE format('CREATE TABLE ingest.%I (LIKE ingest.events INCLUDING ALL)', part);
	EXECUTE format('ALTER TABLE ingest.%I ENABLE ROW LEVEL SECURITY', part);
	EXECUTE format('ALTER TABLE ingest.%I FORCE ROW LEVEL SECURITY', part);
	EXECUTE format('ALTER TABLE ingest.events ATTACH PARTITION ingest.%I FOR VALUES FROM (%L) TO (%L)',
		part, first AT TIME ZONE 'UTC', (first + interval '1 month') AT TIME ZONE 'UTC');
END $$;

-- drop_months removes the months that ended before a moment, and says how many. It waits
-- for a lock that stops everybody for an instant, and gives up soon: there is tomorrow.
CREATE FUNCTION ingest.drop_months(before timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
AS $$
DECLARE
	part    regclass;
	dropped integer := 0;
BEGIN
	IF before IS NULL OR before > now() - interval '28 days' THEN
		RAISE EXCEPTION 'events are kept for a month at least' USING ERRCODE = '22008';
	END IF;
	FOR part IN
		SELECT i.inhrelid::regclass FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'ingest.events'::regclass AND c.relname ~ '^events_\d{4}_\d\d$'
		AND to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' <= before AT TIME ZONE 'UTC'
	LOOP
		EXECUTE format('DROP TABLE %s', part);
		dropped := dropped + 1;
	END LOOP;
	RETURN dropped;
END $$;
REVOKE ALL ON FUNCTION ingest.ensure_month(timestamptz), ingest.drop_months(timestamptz),
	ingest.shred_keys(text, text) FROM public;
GRANT EXECUTE ON FUNCTION ingest.ensure_month(timestamptz), ingest.drop_months(timestamptz),
	ingest.shred_keys(text, text) TO {{service}};

-- The audit log. The service orders and reads it, and records what happens outside of
-- people's transactions. A site's people read what is recorded of their site.
{{audit}}
GRANT INSERT (entry) ON audit.pending TO {{service}};
{{readableLog}}
-- Whoever gets SQL into a request must not put words into another site's record.
DROP POLICY app_adds ON audit.pending;
CREATE POLICY app_adds ON audit.pending FOR INSERT TO {{app}} WITH CHECK
	((convert_from(entry, 'UTF8')::jsonb ->> 'tenant') = (select sallyport.site()));
