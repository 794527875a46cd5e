package settings

import "strconv"

// Queue says where accepted events wait until they are stored.
type Queue struct {
	Kind        string // one of the kinds below
	Replicas    int    // QUEUE_REPLICAS: that have an event before it is acknowledged
	Lossy       bool   // DANGEROUSLY_LOSSY_QUEUE
	QStashURL   string // QSTASH_URL
	QStashToken string // QSTASH_TOKEN
}

// The kinds of QUEUE. Without one, the embedded server has its own queue, Postgres with
// REDIS_URL the one in Redis, and Postgres alone none.
const (
	QueueEmbedded = "embedded"
	QueueRedis    = "redis"
	QueueNone     = "none" // events are stored before they are acknowledged
	QueueQStash   = "qstash"
)

// queue checks the settings of the queue.
func (s *Settings) queue(v *values) {
	s.Queue = Queue{
		Kind: v.get("QUEUE"), QStashURL: v.get("QSTASH_URL"), QStashToken: v.get("QSTASH_TOKEN"),
	}
	switch s.Queue.Kind {
	case "":
		s.Queue.Kind = s.usualQueue()
	case QueueNone:
	case QueueQStash:
		s.qstash(v)
	default:
		v.problem("QUEUE", "want none or qstash, or nothing for the usual one")
	}
	if s.Queue.Kind != QueueQStash && v.present["QSTASH_TOKEN"] {
		v.problem("QSTASH_TOKEN", "is for QUEUE=qstash; set that, or unset the token")
	}
	var err error
	s.Queue.Replicas, err = strconv.Atoi(v.get("QUEUE_REPLICAS"))
	if err != nil || s.Queue.Replicas < 0 || s.Queue.Replicas > 10 {
		v.problem("QUEUE_REPLICAS", "want a whole number from 0 to 10")
	}
	s.Queue.Lossy, err = strconv.ParseBool(v.get("DANGEROUSLY_LOSSY_QUEUE"))
	if err != nil {
		v.problem("DANGEROUSLY_LOSSY_QUEUE", "want true or false")
	}
}

func (s *Settings) usualQueue() string {
	switch {
	case s.Database.URL == "":
		return QueueEmbedded
	case s.RedisURL != "":
		return QueueRedis
	default:
		return QueueNone
	}
}

// qstash: what delivers from elsewhere has to know where to.
func (s *Settings) qstash(v *values) {
	if s.Queue.QStashToken == "" {
		v.problem("QSTASH_TOKEN", "is missing; QUEUE=qstash publishes with it")
	}
	if s.WorkerURL == "" {
		v.problem("WORKER_URL", "is missing; QUEUE=qstash delivers to it from outside")
	}
	checkURL(v, "QSTASH_URL")
}
