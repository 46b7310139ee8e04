package live

import (
	"encoding/hex"
	"math"
	"testing"
	"testing/synctest"
	"time"

	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// waits adds four waits with the given outcome and exemplars.
func (r *request) waits(outcome string, all ...*metricspb.Exemplar) *request {
	labels := ofPool("db", string(catalog.PoolOutcomeKey), outcome)
	r.distribution(catalog.PoolWaitDuration, 3, 0, []uint64{4}, labels...)
	r.metrics[len(r.metrics)-1].GetExponentialHistogram().DataPoints[0].Exemplars = all
	return r
}

// The longest wait is that of the newest exemplars that have a trace ID, whatever the outcome of
// the request.
func TestLongestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{})
		start := time.Now()
		offer := func(acquired, timeout []*metricspb.Exemplar) Waited {
			time.Sleep(time.Second)
			l.Offer(requestAt(start, time.Now()).waits("acquired", acquired...).waits("timeout", timeout...).wire(t))
			return onlyPool(t, l).LongestWait
		}
		const a, b = "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"
		one := func(wait float64, trace string) *metricspb.Exemplar { return holder(wait, []byte(trace)) }
		type list = []*metricspb.Exemplar
		offer(nil, nil)
		before := l.Memory().Used
		for name, c := range map[string]struct {
			acquired, timeout list
			wait              float64
			trace             string
		}{
			"the longest":        {list{one(1, b), one(3, a), one(2, b)}, nil, 3, hex.EncodeToString([]byte(a))},
			"any outcome":        {list{one(1, a)}, list{one(5, b)}, 5, hex.EncodeToString([]byte(b))},
			"without a trace":    {list{one(9, ""), one(1, a)}, nil, 1, hex.EncodeToString([]byte(a))},
			"malformed":          {list{one(9, "short"), one(math.NaN(), b), one(math.Inf(1), b), one(-1, b), one(1, a)}, nil, 1, hex.EncodeToString([]byte(a))},
			"none, nothing kept": {nil, nil, 0, ""},
		} {
			w := offer(c.acquired, c.timeout)
			if w.Wait.Or(0) != c.wait || w.Trace != c.trace {
				t.Errorf("%s: got %+v, want wait %v and trace %q", name, w, c.wait, c.trace)
			}
		}
		if offer(list{one(1, a)}, nil); l.Memory().Used <= before {
			t.Error("the memory of the longest wait is not accounted for")
		}
		for key, of := range l.apps {
			l.forgetApp(key, of)
		}
		if used := l.Memory().Used; used != 0 {
			t.Errorf("%d bytes are used after all apps were forgotten, want 0", used)
		}
	})
}

// If there is no room for a wait and its trace, both are dropped and counted as refused.
func TestLongestWaitWithoutRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{})
		start := time.Now()
		for range 2 {
			time.Sleep(time.Second)
			l.Offer(requestAt(start, time.Now()).waits("acquired").wire(t))
		}
		l.cfg.Limit = l.used
		l.Offer(requestAt(start, time.Now()).waits("acquired", holder(1, []byte("aaaaaaaaaaaaaaaa"))).wire(t))
		if w := onlyPool(t, l).LongestWait; w != (Waited{}) || l.Memory().Refused != 1 {
			t.Errorf("full picture: got %+v and %d refused, want no wait and 1 refused", w, l.Memory().Refused)
		}
	})
}
