-- The audit log is listed by itself: a row that is gone from another table hides
-- nothing. The column is checked against the entries at every start.
ALTER TABLE audit_log ADD COLUMN site_id TEXT NOT NULL DEFAULT '';
UPDATE audit_log SET site_id = coalesce(json_extract(CAST(entry AS TEXT), '$.tenant'), '');
CREATE INDEX audit_log_site ON audit_log (site_id, seq);
