package live

import (
	"bytes"
	"math"
	"runtime"
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
		counts := bytes.Repeat([]byte{1}, 160)
		large := make([]uint64, len(counts))
		for i := range large {
			large[i] = 1 << 20
		}
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

func TestPointFromTheFutureDoesNotStopASeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, ahead := range map[string]time.Duration{"a day": 24 * time.Hour, "centuries": math.MaxInt64} {
			l := New(Config{})
			start := time.Now()
			l.Offer(
				requestAt(
					start,
					time.Now().Add(min(ahead, 200*365*24*time.Hour)),
				).number(catalog.PoolLimit, 1, ofPool("db")...).
					wire(t),
			)
			time.Sleep(time.Second)
			l.Offer(requestAt(start, time.Now()).number(catalog.PoolLimit, 2, ofPool("db")...).wire(t))
			if p := onlyPool(t, l); p.Limit != Known(2) {
				t.Errorf("%s ahead: limit %v, want the 2 of the next point", name, p.Limit)
			}
		}
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
	v.advance(deltas(3, attribute.NewSet(semconv.ProcessPID(2))))
	if n, ok := v.value(catalog.ProcessCPUTime); !ok || n != 3 {
		t.Errorf("sum %v, want 3: 2 of the sidecar's own, and 1 of the new process", n)
	}
}
