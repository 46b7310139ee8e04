package live

import (
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// A verdict may still hold for some time after the pool has changed. Even then, a pool in trouble
// is not called oversized.
func TestPoolInTroubleIsNotOversized(t *testing.T) {
	for _, c := range []struct {
		name            string
		pending, oldest float64
		want            string
	}{{"idle", 0, 0, "oversized"}, {"in trouble", 20, 2, ""}} {
		t.Run(c.name, func(t *testing.T) {
			l := New(Config{})
			now := time.Now()
			r := requestAt(now.Add(-time.Minute), now).
				number(catalog.PoolLimit, 10, ofPool("db")...).
				number(catalog.PoolUsage, 10, ofPool("db", string(catalog.PoolStateKey), "used")...).
				number(catalog.PoolPending, c.pending, ofPool("db")...).
				number(catalog.PoolPendingAge, c.oldest, ofPool("db")...).
				number(catalog.PoolVerdict, 1, ofPool("db", string(catalog.VerdictKey), "oversized")...)
			l.Offer(r.wire(t))
			if p := onlyPool(t, l); p.Verdict != c.want {
				t.Errorf("got verdict %q for a pool at level %q, want %q", p.Verdict, p.Level, c.want)
			}
		})
	}
}
