-- The tables of the audit log. The application may only add to pending, the sequencer
-- moves rows from there into log, auditors read log. Nobody changes it.
CREATE SCHEMA audit;

CREATE TABLE audit.pending (
	id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at    timestamptz NOT NULL DEFAULT clock_timestamp(),
	entry bytea NOT NULL CHECK (octet_length(entry) BETWEEN 2 AND 65535)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
	autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000);

CREATE TABLE audit.log (
	index       bigint PRIMARY KEY CHECK (index >= 0),
	at          timestamptz,
	tenant      text NOT NULL,
	actor_kind  text NOT NULL,
	actor_id    text NOT NULL,
	action      text NOT NULL,
	target_kind text NOT NULL,
	target_id   text NOT NULL,
	outcome     text NOT NULL,
	entry       bytea NOT NULL
);
CREATE INDEX ON audit.log (tenant, index);
CREATE INDEX ON audit.log (actor_id, index);
CREATE INDEX ON audit.log (target_id, index);
CREATE INDEX ON audit.log (index) WHERE outcome = 'intent';

CREATE TABLE audit.head (
	id   boolean PRIMARY KEY DEFAULT true CHECK (id),
	head text NOT NULL
);
INSERT INTO audit.head (head) VALUES ('0');

CREATE FUNCTION audit.refuse() RETURNS trigger LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RAISE EXCEPTION 'audit.log is append-only';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.log
	FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse();

ALTER TABLE audit.pending ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit.pending FORCE ROW LEVEL SECURITY;
ALTER TABLE audit.log ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit.log FORCE ROW LEVEL SECURITY;
ALTER TABLE audit.head ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit.head FORCE ROW LEVEL SECURITY;

CREATE POLICY app_adds ON audit.pending FOR INSERT TO {app} WITH CHECK (true);
CREATE POLICY sequencer_takes ON audit.pending TO {sequencer} USING (true);
CREATE POLICY sequencer_reads ON audit.log FOR SELECT TO {sequencer} USING (true);
CREATE POLICY sequencer_adds ON audit.log FOR INSERT TO {sequencer} WITH CHECK (true);
CREATE POLICY sequencer_moves ON audit.head TO {sequencer} USING (true);
CREATE POLICY auditor_reads ON audit.log FOR SELECT TO {auditor} USING (true);
CREATE POLICY auditor_reads ON audit.head FOR SELECT TO {auditor} USING (true);

GRANT USAGE ON SCHEMA audit TO {app}, {sequencer}, {auditor};
GRANT INSERT (entry) ON audit.pending TO {app};
GRANT SELECT, DELETE ON audit.pending TO {sequencer};
GRANT SELECT, INSERT ON audit.log TO {sequencer};
GRANT SELECT, UPDATE (head) ON audit.head TO {sequencer};
GRANT SELECT ON audit.log, audit.head TO {auditor};

-- What a table of that name held before there was a log.
CREATE VIEW audit.call_actions WITH (security_invoker = true) AS
	SELECT index AS audit_seq, target_id AS call_id, tenant AS site_id,
		substr(action, 7) AS action, actor_id AS actor,
		convert_from(entry, 'UTF8')::jsonb -> 'fields' ->> 'from' AS previous,
		(extract(epoch FROM at) * 1000)::bigint AS at
	FROM audit.log WHERE action LIKE 'calls.%';
GRANT SELECT ON audit.call_actions TO {auditor};
