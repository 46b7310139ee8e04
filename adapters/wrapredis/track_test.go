package wrapredis

import (
	"runtime"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/poolgauge/poolgauge/instrument"
)

// The keys are reasons that go-redis gives when it closes a connection.
func TestReasonsOfGoRedisAreKnown(t *testing.T) {
	for text, want := range map[string]string{
		"stale":                        "stale",
		"conn_pool_close":              "max_idle",
		"failover":                     "failover",
		"pool_shutdown":                "pool_closed",
		"auth_error":                   "other",
		"read tcp: connection refused": "broken",
	} {
		if got := reasonOf(text).String(); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// Closing a connection after its release leaves no entry behind.
func TestCloseAfterReleaseKeepsNoUse(t *testing.T) {
	tr := newTrack(nil)
	defer tr.Close()
	conn := &struct{ redis.ConnInfo }{}
	tr.startUse(nil, conn, 0)
	tr.endUse(conn, instrument.OK)
	tr.recordClose(conn, stale)
	if n := len(tr.uses); n != 0 {
		t.Errorf("%d uses are kept, want 0", n)
	}
}

func TestTracksOfLiveClientsAreKept(t *testing.T) {
	defer func() {
		for _, name := range []string{"first", "second", "third"} {
			tracks.Delete(name)
		}
	}()
	first, second := &track{}, &track{}
	storeTrack("first", first)
	storeTrack("second", second)
	if trackOf("first") != first || trackOf("second") != second {
		t.Error("a track was deleted while it was in use")
	}
	runtime.KeepAlive(first)
	runtime.GC()
	storeTrack("third", second)
	if _, kept := tracks.Load("first"); kept {
		t.Error("the entry of a garbage-collected track was kept")
	}
	runtime.KeepAlive(second)
}
