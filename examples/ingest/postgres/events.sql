-- Stores events of which each identity comes once at most. One statement: whoever comes
-- first with an identity holds its row until the events are stored.
WITH input AS MATERIALIZED (
	SELECT *, hashtextextended(id, 0) AS opened
	FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[],
		$6::timestamptz[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[],
		$13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[])
		AS rows (identity, seen_from, seen_to, fold, site_id, received_at, id, session_id, visit,
			month, category, action, label, value, url, referrer, meta, stamp)
), seen AS (
	-- A repeat leaves opened as it was. What is no repeat opens the interval anew; if it
	-- was overtaken by its successor, that one's interval stays.
	INSERT INTO ingest.event_identity AS i (identity, opened, seen_from, seen_to, expires)
	SELECT identity, opened, seen_from, seen_to, seen_to + fold FROM input
	WHERE identity IS NOT NULL ORDER BY identity
	ON CONFLICT (identity) DO UPDATE SET
		opened = CASE WHEN excluded.seen_to >= i.seen_from - (excluded.expires - excluded.seen_to)
			AND excluded.seen_from <= i.seen_to + (excluded.expires - excluded.seen_to)
			THEN i.opened ELSE excluded.opened END,
		seen_from = CASE WHEN excluded.seen_to >= i.seen_from - (excluded.expires - excluded.seen_to)
			AND excluded.seen_from <= i.seen_to + (excluded.expires - excluded.seen_to)
			THEN least(i.seen_from, excluded.seen_from)
			WHEN excluded.seen_from > i.seen_to THEN excluded.seen_from
			ELSE i.seen_from END,
		seen_to = greatest(i.seen_to, excluded.seen_to),
		expires = greatest(i.expires, excluded.expires)
	RETURNING identity, opened
), added AS (
	-- An event that opened its interval in an earlier delivery is there already.
	INSERT INTO ingest.events (site_id, received_at, id, session_id, visit, month, category, action,
		label, value, url, referrer, meta, stamp)
	SELECT site_id, received_at, id, session_id, visit, month, category, action, label, value, url,
		referrer, meta, stamp
	FROM input LEFT JOIN seen USING (identity)
	WHERE identity IS NULL OR seen.opened = input.opened
	ORDER BY site_id, received_at, id
	ON CONFLICT DO NOTHING
	RETURNING site_id, received_at, id, session_id, visit
), counted AS (
	INSERT INTO ingest.visits AS v (site_id, id, session_id, first_at, last_at, events)
	SELECT site_id, visit, min(session_id), min(received_at), max(received_at), count(*)
	FROM added WHERE visit <> '' GROUP BY site_id, visit ORDER BY site_id, visit
	ON CONFLICT (site_id, id) DO UPDATE SET
		first_at = least(v.first_at, excluded.first_at),
		last_at = greatest(v.last_at, excluded.last_at),
		events = v.events + excluded.events
)
SELECT site_id, received_at, id FROM added
