-- The three logins of the server, and what PUBLIC must not have. A superuser runs this
-- once, connected to the server's database, and then gives each login its password with
-- \password.
--
--   ingest_owner    MIGRATE_DATABASE_URL   owns everything; only migrations log in as it
--   ingest_app      DATABASE_URL           people's requests; row level security binds it
--   ingest_service  SERVICE_DATABASE_URL   intake, deliveries, factors, the audit log
--
-- The names are free: migrations grant to the logins that the URLs name.
CREATE ROLE ingest_owner LOGIN;
CREATE ROLE ingest_app LOGIN;
CREATE ROLE ingest_service LOGIN;

-- What is not done by then is given up: a forgotten transaction holds back VACUUM and
-- the sequencer of the audit log, and a lock holds up everybody behind it.
ALTER ROLE ingest_app SET statement_timeout = '10s';
ALTER ROLE ingest_app SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE ingest_service SET lock_timeout = '5s';
ALTER ROLE ingest_service SET idle_in_transaction_session_timeout = '10s';

-- To see transactions of other logins that stay open.
GRANT pg_read_all_stats TO ingest_service;

-- Whoever may make objects, even temporary ones, can put one in front of a table.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
DO $$
BEGIN
	EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
	EXECUTE format('GRANT CONNECT ON DATABASE %I TO ingest_owner, ingest_app, ingest_service',
		current_database());
	EXECUTE format('GRANT CREATE ON DATABASE %I TO ingest_owner', current_database());
END $$;
