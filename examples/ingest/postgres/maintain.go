package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// lookEvery is how often open transactions are looked at.
	lookEvery = 10 * time.Second
	// longTransaction is how long one may be open before it is worth a warning: it holds
	// back VACUUM everywhere, and with it the sequencer of the audit log.
	longTransaction = time.Minute
	// tidyEvery is how often months and identities that nobody needs are removed.
	tidyEvery = time.Hour
	tidyLimit = 10 * time.Minute
	// chunk is how many pages of each table one DELETE looks at: it is over soon.
	chunk = 1024
)

// Ready reports whether the database can keep something, by keeping something.
func (db *DB) Ready(ctx context.Context) error {
	const write = `INSERT INTO ingest.probe (one, at) VALUES (true, now())
		ON CONFLICT (one) DO UPDATE SET at = now()`
	_, err := db.exec(ctx, write)
	return err
}

// OpenTransaction is how long the oldest transaction was open when it was last looked at,
// ten seconds ago at most, and whether that is too long.
func (db *DB) OpenTransaction() (oldest time.Duration, tooLong bool) {
	oldest = time.Duration(db.oldest.Load())
	return oldest, oldest > db.long
}

// maintain watches and tidies until the database is closed.
func (db *DB) maintain() {
	look, tidy := time.NewTicker(lookEvery), time.NewTicker(tidyEvery)
	defer look.Stop()
	defer tidy.Stop()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	db.background.Go(func() { <-db.quit; stop() })
	for {
		select {
		case <-db.quit:
			return
		case <-look.C:
			db.look(ctx)
		case now := <-tidy.C:
			if err := db.Tidy(ctx, now); err != nil && ctx.Err() == nil {
				db.cfg.Log.Error("old events are not tidied away; the next hour tries again", "error", err)
			}
		}
	}
}

// look notes how long transactions are open, prepared ones included.
func (db *DB) look(ctx context.Context) {
	const query = `SELECT coalesce(max(extract(epoch FROM clock_timestamp() - since)), 0)::float8 FROM (
		SELECT xact_start AS since FROM pg_stat_activity
		WHERE datname = current_database() AND backend_type = 'client backend'
		UNION ALL SELECT prepared FROM pg_prepared_xacts WHERE database = current_database()) open`
	ctx, cancel, err := db.call(ctx)
	if err != nil {
		return
	}
	defer cancel()
	var seconds float64
	if err := db.service.QueryRow(ctx, query).Scan(&seconds); err != nil {
		return // whoever needs the database says so
	}
	oldest := time.Duration(seconds * float64(time.Second))
	db.oldest.Store(int64(oldest))
	if oldest > db.long {
		db.cfg.Log.Warn("a transaction stays open: find it in pg_stat_activity by xact_start, or in "+
			"pg_prepared_xacts", "seconds", int64(seconds))
	}
}

// checkService refuses a service that policies do not bind, and says what its login lacks
// that roles.sql gives it: the server works without that, until something else goes wrong.
func (db *DB) checkService(ctx context.Context) error {
	var above, sees bool
	var idle string
	const query = `SELECT rolsuper OR rolbypassrls, pg_has_role(current_user, 'pg_read_all_stats', 'MEMBER'),
		current_setting('idle_in_transaction_session_timeout') FROM pg_roles WHERE rolname = current_user`
	if err := db.service.QueryRow(ctx, query).Scan(&above, &sees, &idle); err != nil {
		return fmt.Errorf("SERVICE_DATABASE_URL: %w", err)
	}
	if above {
		return errors.New("SERVICE_DATABASE_URL: the login is superuser or has BYPASSRLS, so no policy " +
			"applies: use one as in roles.sql")
	}
	if !sees {
		db.cfg.Log.WarnContext(ctx, "the service's login sees no transactions of other logins that "+
			"stay open: GRANT pg_read_all_stats to it")
	}
	if idle == "0" {
		db.cfg.Log.WarnContext(ctx, "a transaction of the service that is cut off from its client may "+
			"stay open: ALTER ROLE ... SET idle_in_transaction_session_timeout")
	}
	return nil
}

// ensureMonths makes the tables of this month and the next one, before they are needed.
func (db *DB) ensureMonths(ctx context.Context, now time.Time) error {
	next := time.Date(now.UTC().Year(), now.UTC().Month()+1, 1, 0, 0, 0, 0, time.UTC)
	if err := db.ensureMonth(ctx, now); err != nil {
		return fmt.Errorf("postgres: this month's table: %w", err)
	}
	if err := db.ensureMonth(ctx, next); err != nil {
		return fmt.Errorf("postgres: next month's table: %w", err)
	}
	return nil
}

func (db *DB) ensureMonth(ctx context.Context, at time.Time) error {
	if _, err := db.service.Exec(ctx, `SELECT ingest.ensure_month($1)`, at); err != nil {
		return err
	}
	db.months.Store(at.UTC().Format("2006-01"), true)
	return nil
}

// keptFrom is the first moment whose events are kept.
func (db *DB) keptFrom(now time.Time) time.Time {
	now = now.UTC()
	return time.Date(now.Year(), now.Month()-time.Month(db.cfg.KeepMonths), 1, 0, 0, 0, 0, time.UTC)
}

// Tidy makes the tables of the months to come, and removes months, visits and identities
// that are kept no longer. It does so every hour by itself.
func (db *DB) Tidy(ctx context.Context, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, tidyLimit)
	defer cancel()
	if err := db.ensureMonths(ctx, now); err != nil {
		return err
	}
	if err := db.forgetIdentities(ctx, now); err != nil {
		return err
	}
	if db.cfg.KeepMonths == 0 {
		return nil
	}
	from := db.keptFrom(now)
	db.months.Range(func(month, _ any) bool {
		if month.(string) < from.Format("2006-01") {
			db.months.Delete(month)
		}
		return true
	})
	if _, err := db.service.Exec(ctx, `SELECT ingest.drop_months($1)`, from); err != nil {
		return fmt.Errorf("postgres: drop months: %w", err)
	}
	_, err := db.service.Exec(ctx, `DELETE FROM ingest.visits WHERE last_at < $1`, from)
	return err
}

// lateness is for how long an identity is kept past its time: deliveries may be as late.
const lateness = 24 * time.Hour

// forgetIdentities removes identities that no event can repeat, some pages at a time.
func (db *DB) forgetIdentities(ctx context.Context, now time.Time) error {
	const size = `SELECT coalesce(max(pg_relation_size(inhrelid) / 8192), 0)
		FROM pg_inherits WHERE inhparent = 'ingest.event_identity'::regclass`
	var pages int64
	if err := db.service.QueryRow(ctx, size).Scan(&pages); err != nil {
		return fmt.Errorf("postgres: size of identities: %w", err)
	}
	const forget = `DELETE FROM ingest.event_identity
		WHERE ctid >= format('(%s,0)', $1::bigint)::tid AND ctid < format('(%s,0)', $2::bigint)::tid
		AND expires < $3`
	before := now.Add(-lateness).UnixMilli()
	for from := int64(0); from <= pages; from += chunk {
		if _, err := db.service.Exec(ctx, forget, from, from+chunk, before); err != nil {
			return fmt.Errorf("postgres: forget identities: %w", err)
		}
	}
	return nil
}
