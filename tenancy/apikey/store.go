package apikey

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"
)

// Record is a key as a store keeps it: everything but the key.
type Record struct {
	// ID names the key in lists, logs and audit records. It is no secret.
	ID string
	// Hash is the SHA-256 of the key.
	Hash [sha256.Size]byte
	// User is whom the key acts for, and whose key it is.
	User string
	// Name is what the user calls it: "deploy script". 1 to 100 bytes.
	Name string
	// Scopes are names of permissions: all that the key may do.
	Scopes []string
	// Created and Expires bound its life, in UTC.
	Created, Expires time.Time
	// Revoked is when the key ends before it expires; zero for never. It may lie
	// ahead, after a rotation.
	Revoked time.Time
	// LastUsed is when it was last seen, to about Config.TouchEvery; zero for never.
	LastUsed time.Time
}

// clone shares nothing with the original.
func (r Record) clone() Record {
	r.Scopes = slices.Clone(r.Scopes)
	return r
}

// public is the record for events: a hash is nobody's business.
func (r Record) public() Record {
	r = r.clone()
	r.Hash = [sha256.Size]byte{}
	return r
}

var (
	// ErrNotFound is for stores: no such key, or not this user's.
	ErrNotFound = errors.New("apikey: no such key")
	// ErrExists is for stores: the id or the hash is taken.
	ErrExists = errors.New("apikey: the key exists")
)

// Store keeps records. Each method is one atomic operation; times are as exact as
// microseconds. An error other than these two means that the store could not tell;
// nothing is tried again. storetest.Run tests an implementation.
//
// In Postgres, with unique indexes on id and hash:
//
//	Create  INSERT INTO api_keys ... ON CONFLICT DO NOTHING  -- no row: ErrExists
//	Find    SELECT ... FROM api_keys WHERE hash = $1         -- no row: ErrNotFound
//	End     UPDATE api_keys SET revoked = least(revoked, $3) -- least ignores NULL
//	        WHERE id = $2 AND user_id = $1                   -- no row: ErrNotFound
//	Touch   UPDATE api_keys SET last_used = $2 WHERE id = $1
//	        AND (revoked IS NULL OR revoked > $2)
//	        AND (last_used IS NULL OR last_used < $2)
//
// A store must not answer Find from a replica or a cache: a revoked key would work
// for as long as that lags behind.
type Store interface {
	// Create adds a key, or returns ErrExists.
	Create(ctx context.Context, r Record) error
	// Find returns the key with this hash, ended ones included, or ErrNotFound.
	Find(ctx context.Context, hash [sha256.Size]byte) (Record, error)
	// End sets Revoked, unless it is earlier already: nothing gives a key more time.
	// It returns ErrNotFound if the user has no such key.
	End(ctx context.Context, user, id string, at time.Time) error
	// Touch sets LastUsed, and nothing else, unless it is later already or the key
	// has ended by then. A key that is not there is no error.
	Touch(ctx context.Context, id string, at time.Time) error
}
