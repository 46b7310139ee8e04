package wrapredis

import (
	"github.com/redis/go-redis/v9"

	"github.com/poolgauge/poolgauge/instrument"
)

// Reading returns the function that collections use to convert snapshots, so that a test can call
// it.
func Reading() func(*redis.PoolStats) instrument.Stats {
	return new(totals).stats
}

// Silent is a recorder that does nothing.
var Silent redis.OTelRecorder = forwarder(nil)
