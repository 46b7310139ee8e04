package live

import (
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// The limit also holds if histograms grow after their first point.
func TestLimitHoldsForHistogramsThatGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{Limit: 1 << 20})
		start := time.Now()
		large := slices.Repeat([]uint64{1 << 20}, 160)
		for _, buckets := range [][]uint64{{1}, large, large, large} {
			for i := range 1000 {
				r := requestAt(
					start,
					time.Now(),
				).distribution(catalog.PoolUseDuration, 3, 0, buckets, ofPool(poolName(i))...)
				l.Offer(r.wire(t))
			}
			if m := l.Memory(); m.Used > m.Limit+maxWire {
				t.Fatalf("%d bytes are used, the limit is %d", m.Used, m.Limit)
			}
			time.Sleep(2 * window)
		}
		if l.Memory().Refused == 0 {
			t.Error("no point was refused")
		}
	})
}

// A point from the future does not stop its series, and an app whose clock is ahead has rates.
func TestClocksThatAreAhead(t *testing.T) {
	second := func(n int) time.Duration { return time.Duration(n) * time.Second }
	for name, ahead := range map[string]func(n int) time.Duration{
		"always ten minutes": func(int) time.Duration { return 10 * time.Minute },
		"always a day":       func(int) time.Duration { return 24 * time.Hour },
		"about a minute":     func(n int) time.Duration { return second(59 + 2*(n%2)) },
		"once a day":         func(n int) time.Duration { return time.Duration(1-min(n, 1)) * 24 * time.Hour },
		"once centuries":     func(n int) time.Duration { return time.Duration(1-min(n, 1)) * 200 * 365 * 24 * time.Hour },
		"a minute less":      func(n int) time.Duration { return second(60 * (1 - min(n, 1))) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := New(Config{})
				start := time.Now().Add(-time.Hour).Add(ahead(1))
				for n := range 8 {
					r := requestAt(
						start,
						time.Now().Add(ahead(n)),
					).number(catalog.PoolLimit, float64(n+1), ofPool("db")...)
					r.number(
						catalog.PoolRequests,
						float64(1000+100*n),
						ofPool("db", "poolgauge.pool.outcome", "acquired")...)
					l.Offer(r.wire(t))
					if p := onlyPool(t, l); p.Limit != Known(float64(n+1)) {
						t.Errorf("point %d: limit %v", n, p.Limit)
					}
					time.Sleep(10 * time.Second)
				}
				if rate, ok := onlyPool(t, l).Rate.Get(); !ok || math.Abs(rate-10) > 2 {
					t.Errorf("rate %v (known: %v), want about 10", rate, ok)
				}
			})
		})
	}
}

func TestStartInTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{})
		start := time.Now().Add(24 * time.Hour)
		for n := range 4 {
			l.Offer(requestAt(start, time.Now()).number(catalog.PoolLimit, 1, ofPool("db")...).
				number(catalog.PoolRequests, float64(1000+100*n), ofPool("db", "poolgauge.pool.outcome", "acquired")...).
				wire(t))
			time.Sleep(10 * time.Second)
		}
		if rate, ok := onlyPool(t, l).Rate.Get(); !ok || math.Abs(rate-10) > 2 {
			t.Errorf("rate %v (known: %v), want about 10", rate, ok)
		}
	})
}

// A histogram that grows takes the room of silent pools, but not of its own.
func TestGrowingHistogramReplacesSilentPools(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{Limit: 1 << 20})
		start := time.Now()
		offer := func(counts []uint64) {
			r := requestAt(start, time.Now())
			for _, row := range []*catalog.Metric{catalog.PoolUseDuration, catalog.PoolWaitDuration} {
				r.distribution(row, 3, 0, counts, ofPool("growing")...)
			}
			l.Offer(r.wire(t))
		}
		offer([]uint64{1})
		time.Sleep(time.Second) // it is silent for the longest
		for i := range 1000 {
			l.Offer(requestAt(start, time.Now()).number(catalog.PoolLimit, 1, ofPool(poolName(i))...).wire(t))
		}
		time.Sleep(2 * time.Minute)
		refused := l.Memory().Refused
		offer(slices.Repeat([]uint64{1 << 55}, 160)) // eight bytes each
		m := l.Memory()
		if m.Refused != refused || m.Used > m.Limit+maxWire {
			t.Errorf("got %+v, want no more refused than %d", m, refused)
		}
		checkUsed(t, l)
		if pools := l.Picture().Pools; !slices.ContainsFunc(pools, func(p Pool) bool { return p.Name == "growing" }) {
			t.Error("the pool with the histograms was forgotten")
		}
	})
}

// A series whose points change from numbers to a histogram starts again.
func TestSeriesOfAnotherKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{})
		start := time.Now()
		l.Offer(
			requestAt(
				start,
				time.Now(),
			).number(catalog.PoolLimit, 1, ofPool("db")...).
				number(catalog.PoolUseDuration, 1, ofPool("db")...).
				wire(t),
		)
		time.Sleep(time.Second)
		l.Offer(requestAt(start, time.Now()).number(catalog.PoolLimit, 1, ofPool("db")...).
			distribution(catalog.PoolUseDuration, 3, 0, []uint64{10}, ofPool("db")...).wire(t))
		if p := onlyPool(t, l); p.Use.P50.IsZero() {
			t.Error("no use quantiles after the histogram")
		}
		checkUsed(t, l)
	})
}

func TestLongStackTraceCostsLittle(t *testing.T) {
	stack := strings.Repeat("\n", 4<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	calls := callsOf(stack)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 64<<10 || len(calls) != maxCalls {
		t.Errorf("%d bytes allocated for %d calls, want at most 64 KiB for %d", used, len(calls), maxCalls)
	}
}

func TestDurationOfCenturies(t *testing.T) {
	for seconds, want := range map[float64]string{1e300: "2540400h0m0s", 1e9: "277777h46m40s"} {
		if got := Duration(seconds); got != want {
			t.Errorf("Duration(%v) = %q, want %q", seconds, got, want)
		}
	}
}

// Deltas of processes and containers that are gone are not added up forever; those of the sidecar's
// own counters are, since a collection omits unchanged ones.
func TestDeltasOfWhatIsGoneAreForgotten(t *testing.T) {
	deltas := func(at int, sets ...attribute.Set) *metricdata.ResourceMetrics {
		sum := metricdata.Sum[int64]{Temporality: metricdata.DeltaTemporality, IsMonotonic: true}
		for _, set := range sets {
			sum.DataPoints = append(
				sum.DataPoints,
				metricdata.DataPoint[int64]{Attributes: set, Value: 1, Time: time.Unix(int64(at), 0)},
			)
		}
		return &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: []metricdata.Metrics{
			{Name: catalog.ProcessCPUTime.Name, Data: sum},
		}}}}
	}
	gone := []attribute.Set{
		attribute.NewSet(semconv.ProcessPID(1)), attribute.NewSet(semconv.ContainerID("c")),
		attribute.NewSet(catalog.CgroupPathKey.String("/x")),
	}
	own := attribute.NewSet(attribute.String("lane", "metrics"))
	var v view
	v.advance(deltas(1, append(gone, own)...))
	v.advance(deltas(2, append(gone, own)...))
	if n, ok := v.value(catalog.ProcessCPUTime); !ok || n != 8 {
		t.Errorf("sum %v, want 8", n)
	}
	v.advance(&metricdata.ResourceMetrics{}) // the SDK omits a metric without any delta
	if n, ok := v.value(catalog.ProcessCPUTime); !ok || n != 2 {
		t.Errorf("sum %v, want 2 of the sidecar's own", n)
	}
	v.advance(deltas(3, attribute.NewSet(semconv.ProcessPID(2))))
	if n, ok := v.value(catalog.ProcessCPUTime); !ok || n != 3 {
		t.Errorf("sum %v, want 3: 2 of the sidecar's own, and 1 of the new process", n)
	}
}
