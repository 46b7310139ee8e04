package direct

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/collector/export"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// upstream is an upstream with faults: answer decides what becomes of each export.
type upstream struct {
	answer func(ctx context.Context) (rejected int64, err error)

	mu     sync.Mutex
	taken  []float64   // the values of the collections taken, in order
	tries  []time.Time // of every call
	closed bool
}

func (u *upstream) Send(ctx context.Context, rm *metricdata.ResourceMetrics) (int64, error) {
	u.mu.Lock()
	u.tries = append(u.tries, time.Now())
	u.mu.Unlock()
	rejected, err := u.answer(ctx)
	if err == nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.taken = append(u.taken, valueOf(rm))
	}
	return rejected, err
}

func (u *upstream) Close() error {
	u.closed = true
	return nil
}

func passing(why string) error {
	return &export.Failure{Reason: "UNAVAILABLE", Retry: true, Err: errors.New(why)}
}

func takes(context.Context) (int64, error) { return 0, nil }

// collection returns a collection of n points, of which the first has the value v.
func collection(v float64, n int) *metricdata.ResourceMetrics {
	points := make([]metricdata.DataPoint[float64], n)
	points[0].Value = v
	return &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{
		Metrics: []metricdata.Metrics{{Name: "x", Data: metricdata.Gauge[float64]{DataPoints: points}}},
	}}}
}

func valueOf(rm *metricdata.ResourceMetrics) float64 {
	return rm.ScopeMetrics[0].Metrics[0].Data.(metricdata.Gauge[float64]).DataPoints[0].Value
}

// start returns an exporter to u, a function that reads its figures by name and outcome, and its log.
func start(t *testing.T, u *upstream) (*Exporter, func(m *catalog.Metric, outcome string) int64, *bytes.Buffer) {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test")
	log := &bytes.Buffer{}
	e, err := NewExporter(u, 10*time.Second, meter, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return e, func(m *catalog.Metric, outcome string) int64 { return figure(t, reader, m, outcome) }, log
}

func figure(t *testing.T, reader *sdkmetric.ManualReader, m *catalog.Metric, outcome string) int64 {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &rm); err != nil {
		t.Fatal(err)
	}
	for _, metric := range rm.ScopeMetrics[0].Metrics {
		if metric.Name != m.Name {
			continue
		}
		for _, p := range metric.Data.(metricdata.Sum[int64]).DataPoints {
			if value, ok := p.Attributes.Value(catalog.PointOutcomeKey); outcome == "" || ok && value.AsString() == outcome {
				return p.Value
			}
		}
	}
	t.Fatalf("no point of %s with outcome %q", m.Name, outcome)
	return 0
}

func shutdown(t *testing.T, e *Exporter, grace time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := e.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

func equal(t *testing.T, what string, got, want int64) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %d, want %d", what, got, want)
	}
}

func TestExporterSendsInOrderAndCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: takes}
		e, figure, _ := start(t, u)
		for i := range 3 {
			e.Push(collection(float64(i), 5))
		}
		synctest.Wait()
		equal(t, "sampled", figure(catalog.SidecarPoints, "sampled"), 15)
		equal(t, "exported", figure(catalog.SidecarPoints, "exported"), 15)
		equal(t, "dropped", figure(catalog.SidecarPoints, "dropped"), 0)
		equal(t, "queued", figure(catalog.ExportQueued, ""), 0)
		shutdown(t, e, time.Second)
		if want := []float64{0, 1, 2}; !equalFloats(u.taken, want) || !u.closed {
			t.Errorf("taken %v, want %v; closed %v", u.taken, want, u.closed)
		}
	})
}

func equalFloats(a, b []float64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// An outage shorter than the queue is long loses nothing, and is one line in the log for its begin and one for its end.
func TestExporterOutageLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		u := &upstream{answer: func(context.Context) (int64, error) {
			if time.Since(begin) < 5*time.Minute {
				return 0, passing("connection refused")
			}
			return 0, nil
		}}
		e, figure, log := start(t, u)
		for i := range 30 {
			e.Push(collection(float64(i), 2))
			time.Sleep(10 * time.Second)
		}
		if e.Ready() == nil {
			t.Error("ready in an outage")
		}
		equal(t, "queued in the outage", figure(catalog.ExportQueued, ""), 60)
		time.Sleep(time.Minute)
		synctest.Wait()
		equal(t, "exported", figure(catalog.SidecarPoints, "exported"), 60)
		equal(t, "queued", figure(catalog.ExportQueued, ""), 0)
		if err := e.Ready(); err != nil {
			t.Errorf("not ready after the outage: %v", err)
		}
		if lines := strings.Count(log.String(), "\n"); lines != 2 {
			t.Errorf("%d lines in the log, want 2:\n%s", lines, log)
		}
		shutdown(t, e, time.Second)
	})
}

// While the upstream hangs, Push returns at once, the oldest collections go first, and every point is accounted for.
func TestExporterFullQueueDropsOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var healed atomic.Bool
		u := &upstream{answer: func(ctx context.Context) (int64, error) {
			if !healed.Load() {
				<-ctx.Done()
				return 0, passing("timeout")
			}
			return 0, nil
		}}
		e, figure, _ := start(t, u)
		e.Push(collection(0, 1)) // goes into flight
		synctest.Wait()
		for i := 1; i <= QueuedBatches+3; i++ {
			e.Push(collection(float64(i), 1))
		}
		equal(t, "dropped", figure(catalog.SidecarPoints, "dropped"), 3)
		equal(t, "queued", figure(catalog.ExportQueued, ""), QueuedBatches+1)
		healed.Store(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		equal(t, "exported", figure(catalog.SidecarPoints, "exported"), QueuedBatches+1)
		if u.taken[0] != 0 || u.taken[1] != 4 {
			t.Errorf("taken first: %v and %v, want 0 and 4: 1 to 3 were the oldest in the queue", u.taken[0], u.taken[1])
		}
		shutdown(t, e, time.Second)
	})
}

func TestExporterPartialSuccessIsNotRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: func(context.Context) (int64, error) { return 2, nil }}
		e, figure, log := start(t, u)
		e.Push(collection(0, 5))
		e.Push(collection(1, 5))
		synctest.Wait()
		equal(t, "exported", figure(catalog.SidecarPoints, "exported"), 6)
		equal(t, "rejected", figure(catalog.SidecarPoints, "rejected"), 4)
		equal(t, "calls", int64(len(u.tries)), 2)
		if lines := strings.Count(log.String(), "\n"); lines != 1 {
			t.Errorf("%d lines in the log, want 1:\n%s", lines, log)
		}
		shutdown(t, e, time.Second)
	})
}

func TestExporterPermanentErrorDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &upstream{answer: func(context.Context) (int64, error) {
			return 0, &export.Failure{Reason: "INVALID_ARGUMENT", Err: errors.New("no")}
		}}
		e, figure, log := start(t, u)
		e.Push(collection(0, 5))
		e.Push(collection(1, 5))
		synctest.Wait()
		equal(t, "dropped", figure(catalog.SidecarPoints, "dropped"), 10)
		equal(t, "calls", int64(len(u.tries)), 2)
		if lines := strings.Count(log.String(), "\n"); lines != 1 {
			t.Errorf("%d lines in the log, want 1:\n%s", lines, log)
		}
		shutdown(t, e, time.Second)
	})
}

// What the upstream asks to send later is sent no sooner.
func TestExporterHonoursRetryInfo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := true
		u := &upstream{answer: func(context.Context) (int64, error) {
			if first {
				first = false
				return 0, &export.Failure{Reason: "RESOURCE_EXHAUSTED", Retry: true, After: 90 * time.Second, Err: errors.New("slow down")}
			}
			return 0, nil
		}}
		e, figure, _ := start(t, u)
		e.Push(collection(0, 1))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		equal(t, "exported", figure(catalog.SidecarPoints, "exported"), 1)
		if gap := u.tries[1].Sub(u.tries[0]); gap < 90*time.Second {
			t.Errorf("tried again after %v, asked for 90s", gap)
		}
		shutdown(t, e, time.Second)
	})
}

// Shutdown sends what is queued, and gives up when its time is over even if the upstream hangs.
func TestExporterShutdown(t *testing.T) {
	t.Run("drains", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			u := &upstream{answer: func(context.Context) (int64, error) {
				time.Sleep(100 * time.Millisecond)
				return 0, nil
			}}
			e, _, _ := start(t, u)
			for i := range 5 {
				e.Push(collection(float64(i), 1))
			}
			shutdown(t, e, time.Second)
			equal(t, "taken", int64(len(u.taken)), 5)
		})
	})
	t.Run("retries soon after a failure", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			u := &upstream{answer: func(context.Context) (int64, error) {
				if time.Since(begin) < time.Minute {
					return 0, passing("down")
				}
				return 0, nil
			}}
			e, _, _ := start(t, u)
			e.Push(collection(0, 1))
			time.Sleep(time.Minute) // now in a long backoff
			shutdown(t, e, time.Second)
			equal(t, "taken", int64(len(u.taken)), 1)
		})
	})
	t.Run("gives up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			u := &upstream{answer: func(ctx context.Context) (int64, error) {
				<-ctx.Done()
				return 0, passing("timeout")
			}}
			e, _, log := start(t, u)
			e.Push(collection(0, 1))
			e.Push(collection(1, 4))
			begin := time.Now()
			shutdown(t, e, time.Second)
			if took := time.Since(begin); took != time.Second {
				t.Errorf("took %v, want 1s", took)
			}
			if !strings.Contains(log.String(), "points=5") {
				t.Errorf("the log does not say that 5 points were lost:\n%s", log)
			}
		})
	})
}
