-- What was accepted under each event id, queued or stored: the same id with other
-- content is refused while its sender listens. NULL is not known any more.
CREATE TABLE call_ids (
	site_id  TEXT NOT NULL,
	event_id TEXT NOT NULL,
	digest   BLOB,
	PRIMARY KEY (site_id, event_id)
) STRICT, WITHOUT ROWID;
INSERT INTO call_ids (site_id, event_id) SELECT site_id, event_id FROM calls;
