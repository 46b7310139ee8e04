package wrapredis

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/poolgauge/poolgauge/instrument"
)

// reasonOf recognizes what go-redis says when it closes a connection.
func TestReasonsOfGoRedisAreKnown(t *testing.T) {
	for said, want := range map[string]string{
		"stale":                        "stale",
		"conn_pool_close":              "max_idle",
		"failover":                     "failover",
		"pool_shutdown":                "pool_closed",
		"auth_error":                   "other",
		"read tcp: connection refused": "broken",
	} {
		if got := reasonOf(said).String(); got != want {
			t.Errorf("%s: %s, want %s", said, got, want)
		}
	}
}

// Closing a connection after its release leaves no entry behind.
func TestCloseAfterReleaseLeavesNoUse(t *testing.T) {
	tr := newTrack(nil)
	defer tr.Close()
	conn := &struct{ redis.ConnInfo }{}
	tr.acquired(nil, conn, 0)
	tr.released(conn, instrument.OK)
	tr.wasClosed(conn, stale)
	if n := len(tr.uses); n != 0 {
		t.Errorf("%d uses are kept", n)
	}
}

// ofPipelines counts pipelines.
type ofPipelines struct {
	redis.OTelRecorder
	n int
}

func (r *ofPipelines) RecordPipelineOperationDuration(
	context.Context, time.Duration, string, int, int, error, redis.ConnInfo, int,
) {
	r.n++
}

func TestPipelinesArePassedOnToAllRecorders(t *testing.T) {
	one, two := &ofPipelines{}, &ofPipelines{}
	passOn{one, two}.RecordPipelineOperationDuration(t.Context(), time.Second, "PIPELINE", 2, 1, nil, nil, 0)
	if one.n != 1 || two.n != 1 {
		t.Errorf("%d and %d pipelines, want 1 each", one.n, two.n)
	}
}
