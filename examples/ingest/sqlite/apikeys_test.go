package sqlite_test

import (
	"testing"

	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
	"github.com/opsmantik/sallyport/tenancy/apikey"
	"github.com/opsmantik/sallyport/tenancy/apikey/storetest"
)

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) apikey.Store {
		return open(t, t.TempDir(), sqlite.DangerouslyOff).APIKeys()
	})
}
