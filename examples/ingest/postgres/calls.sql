INSERT INTO ingest.calls (site_id, id, event_id, digest, phone, fingerprint, action, url, stamp,
	detail, received_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::text[],
	$7::text[], $8::text[], $9::text[], $10::text[], $11::timestamptz[])
ON CONFLICT DO NOTHING
RETURNING id
