package redisconn

import (
	"errors"
	"net/url"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// errURL does not quote the URL, which may hold a password, as the errors of the
// parsers do.
var errURL = errors.New("want redis://user:password@host:6379/0, rediss:// for TLS, or " +
	"unix:///path; with ?addr=host:port for each further node of a Cluster, or " +
	"?master_name=name&addr=host:port for Sentinel")

// quiet spares a round trip per connection, to ask for notices that only Redis
// Enterprise sends.
func quiet() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// Open makes a client for a URL, with the options that Check asks for. It does not
// connect. The caller closes it.
func Open(text string) (redis.UniversalClient, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" && u.Scheme != "unix" {
		return nil, errURL
	}
	switch query := u.Query(); {
	case query.Has("master_name"):
		o, err := redis.ParseFailoverURL(text)
		if err != nil {
			return nil, errURL
		}
		o.MaxRetries, o.ContextTimeoutEnabled = -1, true
		return redis.NewFailoverClient(o), nil
	case query.Has("addr"):
		o, err := redis.ParseClusterURL(text)
		if err != nil {
			return nil, errURL
		}
		o.MaxRetries, o.ContextTimeoutEnabled, o.MaintNotificationsConfig = -1, true, quiet()
		return redis.NewClusterClient(o), nil
	}
	o, err := redis.ParseURL(text)
	if err != nil {
		return nil, errURL
	}
	o.MaxRetries, o.ContextTimeoutEnabled, o.MaintNotificationsConfig = -1, true, quiet()
	return redis.NewClient(o), nil
}
