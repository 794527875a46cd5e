-- The visit that an event belongs to: a run of one visitor's events, 30 minutes apart
-- at most. Empty for those that came without a session id, or before this version.
ALTER TABLE events ADD COLUMN visit TEXT NOT NULL DEFAULT '';
