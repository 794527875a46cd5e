-- One row that is written to see whether writing works.
CREATE TABLE probe (
	only INTEGER PRIMARY KEY CHECK (only = 1),
	at   INTEGER NOT NULL
) STRICT;
