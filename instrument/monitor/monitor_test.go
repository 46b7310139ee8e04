package monitor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/pooltest"
	"github.com/poolgauge/poolgauge/internal/thread"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, name string, opts ...Option) *Run {
	t.Helper()
	r, err := Start(name, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var errWrong = errors.New("wrong")

func TestRunMeasuresTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, "import")
		for i := range 8 {
			err := r.Do(func() error {
				time.Sleep(time.Second)
				if i == 3 {
					return errWrong
				}
				return nil
			})
			if (err != nil) != (i == 3) {
				t.Errorf("task %d returned %v", i, err)
			}
		}
		r.Record(2*time.Second, nil)
		r.Record(3*time.Second, errWrong)
		p := r.End()
		if p.Elapsed != 8*time.Second || p.Tasks() != 10 || p.Throughput() != 1.25 {
			t.Errorf("got %d tasks in %v, %v per second; want 10 in 8s, 1.25", p.Tasks(), p.Elapsed, p.Throughput())
		}
		if share, known := p.ErrorRate(); !known || share != 0.2 || p.Endings != [4]int64{8, 2, 0, 0} {
			t.Errorf("got error rate %v, %v, endings %v; want 0.2, true, [8 2 0 0]", share, known, p.Endings)
		}
		if p.Latency.Count() != 10 || p.Latency.Max() != 3*time.Second || p.Latency.Min() != time.Second {
			t.Errorf(
				"got %d latencies from %v to %v, want 10 from 1s to 3s",
				p.Latency.Count(),
				p.Latency.Min(),
				p.Latency.Max(),
			)
		}
		if r.End() != p {
			t.Error("the second End returned a different report")
		}
		r.Record(time.Second, nil)
		if p.Tasks() != 10 || r.End().Tasks() != 10 {
			t.Error("a task recorded after End was added to the report")
		}
	})
}

func TestPanicAndGoexitAreCountedAndPropagate(t *testing.T) {
	r := start(t, "import")
	for _, end := range []func(){func() { panic("test panic") }, runtime.Goexit} {
		var wg sync.WaitGroup
		var value any
		returned := false
		wg.Go(func() {
			defer func() { value = recover() }()
			_ = r.Do(func() error { end(); return nil })
			returned = true
		})
		wg.Wait()
		if returned || value != nil && value != "test panic" {
			t.Errorf("Do returned: %v, recovered %v; want no return, and the task's panic or none", returned, value)
		}
	}
	if got := r.End().Endings; got != [4]int64{instrument.Panicked: 1, instrument.Exited: 1} {
		t.Errorf("got endings %v, want one panic and one exit", got)
	}
}

func TestConcurrentAndNestedRunsAreIndependent(t *testing.T) {
	outer, twin := start(t, "outer"), start(t, "outer")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				_ = outer.Do(func() error {
					inner := start(t, "inner")
					defer inner.End()
					_ = inner.Do(func() error { return errWrong })
					if p := inner.End(); p.Tasks() != 1 || !slices.Contains(p.Beside, "outer") {
						t.Errorf("inner run: got %d tasks, beside %v; want 1, and outer", p.Tasks(), p.Beside)
					}
					return nil
				})
			}
		})
	}
	wg.Wait()
	twin.Record(time.Second, nil)
	if p := outer.End(); p.Endings != [4]int64{400, 0, 0, 0} || !slices.Equal(p.Beside, []string{"inner", "outer"}) {
		t.Errorf("outer run: got endings %v, beside %v; want [400 0 0 0], [inner outer]", p.Endings, p.Beside)
	}
	if p := twin.End(); p.Tasks() != 1 || p.Latency.Max() != time.Second {
		t.Errorf("other run with the same name: got %d tasks of at most %v, want 1 of 1s", p.Tasks(), p.Latency.Max())
	}
	alone := start(t, "alone")
	if p := alone.End(); len(p.Beside) > 0 {
		t.Errorf("run that was never concurrent: got beside %v, want none", p.Beside)
	}
}

// A run keeps the names of only a limited number of concurrent runs.
func TestBesideIsBounded(t *testing.T) {
	long := start(t, "long")
	for i := range 2000 {
		name := "short"
		if i%2 == 0 {
			name = fmt.Sprint("short ", i)
		}
		live.mu.Lock()
		kept := len(live.beside[long])
		live.mu.Unlock()
		if kept > maxBeside {
			t.Fatalf("after %d runs, %d names are kept, want at most %d", i, kept, maxBeside)
		}
		start(t, name).End()
	}
	if p := long.End(); len(p.Beside) != maxBeside || !slices.Contains(p.Beside, "short") {
		t.Errorf("got %d names %v, want %d that include short", len(p.Beside), p.Beside, maxBeside)
	}
}

func TestReportHasProcessUsage(t *testing.T) {
	cpuBefore := thread.ProcessCPU()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := start(t, "alloc")
	var sink []byte
	for range 100 {
		_ = r.Do(func() error { sink = make([]byte, 10_000); return nil })
	}
	runtime.GC()
	p := r.End()
	runtime.ReadMemStats(&after)
	if p.ProcessBytes > after.TotalAlloc-before.TotalAlloc || p.ProcessAllocs > after.Mallocs-before.Mallocs {
		t.Errorf(
			"got %d bytes in %d objects, which is more than between two readings around the run",
			p.ProcessBytes,
			p.ProcessAllocs,
		)
	}
	if len(sink) == 0 || p.ProcessAllocs < 100 || p.ProcessBytes < 1_000_000 || p.GCs < 1 || p.ProcessCPU < 0 {
		t.Errorf("got %+v, want at least 100 objects of 10,000 bytes and a garbage collection", p)
	}
	if used := thread.ProcessCPU() - cpuBefore; p.ProcessCPU > used || p.ProcessBytes > 1<<30 ||
		p.ProcessAllocs > 1<<30 || p.GCs > 1000 {
		t.Errorf("%+v includes usage from before the run", p)
	}
	if runtime.GOOS == "linux" &&
		(p.Memory == nil || p.Memory.Start <= 0 || p.Memory.Peak < max(p.Memory.Start, p.Memory.End)) {
		t.Errorf("got memory %+v, want a positive start, and a peak no lower than start and end", p.Memory)
	}
}

func TestPeakIsExactIfAbovePreviousPeak(t *testing.T) {
	for name, c := range map[string]struct {
		first, between, last reading
		want                 Memory
	}{
		"above the previous peak": {reading{10, 50}, reading{60, 70}, reading{20, 90}, Memory{10, 20, 90, true}},
		"below the previous peak": {reading{10, 50}, reading{30, 50}, reading{20, 50}, Memory{10, 20, 30, false}},
		"highest at the start":    {reading{40, 50}, reading{30, 50}, reading{20, 50}, Memory{40, 20, 40, false}},
		"highest at the end":      {reading{10, 50}, reading{20, 50}, reading{45, 50}, Memory{10, 45, 45, false}},
	} {
		synctest.Test(t, func(t *testing.T) {
			var now atomic.Pointer[reading]
			now.Store(&c.first)
			w := newWatch(func() (reading, bool) { return *now.Load(), true })
			synctest.Wait()
			now.Store(&c.between)
			time.Sleep(2 * memoryInterval)
			synctest.Wait()
			now.Store(&c.last)
			if m := w.end(); m == nil || *m != c.want {
				t.Errorf("%s: got %+v, want %+v", name, m, c.want)
			}
		})
	}
	if m := newWatch(func() (reading, bool) { return reading{}, false }).end(); m != nil {
		t.Errorf("got memory %+v although it cannot be read, want nil", m)
	}
}

// Every metric of runs in the catalog is reported, and no other metric is.
func TestRunReportsEveryMetric(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	r := start(t, "import", WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))))
	r.Record(time.Second, nil)
	r.Record(time.Second, errWrong)
	failed := attribute.NewSet(catalog.RunNameKey.String("import"), catalog.RunOutcomeKey.String("error"))
	if n := pooltest.Collect(t, reader)[pooltest.Series{Metric: catalog.RunTaskDuration.Name, Attributes: failed.Equivalent()}]; n != 1 {
		t.Errorf("during the run: got %v failed tasks, want 1", n)
	}
	r.End()
	r.Record(time.Second, errWrong) // after the end: not counted
	if n := pooltest.Collect(t, reader)[pooltest.Series{Metric: catalog.RunTaskDuration.Name, Attributes: failed.Equivalent()}]; n != 1 {
		t.Errorf("after the end: got %v failed tasks, want 1", n)
	}
	var data metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &data); err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, m := range data.ScopeMetrics[0].Metrics {
		got = append(got, m.Name)
	}
	for _, m := range catalog.Run.Metrics {
		if runtime.GOOS == "linux" || m.Absent == "" {
			want = append(want, m.Name)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got metrics %v, want %v", got, want)
	}
}

func TestTableOmitsUnknownValues(t *testing.T) {
	h := new(instrument.Histogram)
	h.RecordN(10*time.Millisecond, 99)
	h.Record(time.Second)
	p := &Report{
		Name:         "import",
		Elapsed:      10 * time.Second,
		Endings:      [4]int64{90, 9, 1, 0},
		Latency:      h,
		ProcessCPU:   5 * time.Second,
		ProcessBytes: 3 << 20,
		Memory:       &Memory{Start: 20 << 20, End: 10 << 20, Peak: 30 << 20},
		Beside:       []string{"other"},
	}
	for _, want := range []string{
		`"import": 100 tasks in 10s`, "10/s", "10.00%", "9 error", "1 panic", "max 1s", "0.50 CPUs on average", "-10 MiB", "peak at least 30 MiB", "3 MiB", "other", "whole process",
	} {
		if !strings.Contains(p.String(), want) {
			t.Errorf("%q is missing from\n%v", want, p)
		}
	}
	p.Memory.End = 25 << 20
	if want := "+5 MiB"; !strings.Contains(p.String(), want) {
		t.Errorf("%q is missing from\n%v", want, p)
	}
	empty := (&Report{Name: "none", Latency: new(instrument.Histogram)}).String()
	for _, absent := range []string{"errors", "latency", "memory", "on average", "NaN", "Inf"} {
		if strings.Contains(empty, absent) {
			t.Errorf("%q must not be in\n%s", absent, empty)
		}
	}
}

func TestStartRejectsEmptyName(t *testing.T) {
	if r, err := Start(""); err == nil || r != nil {
		t.Error("a run without a name was started")
	}
}

func BenchmarkDo(b *testing.B) {
	r, err := Start("benchmark")
	if err != nil {
		b.Fatal(err)
	}
	defer r.End()
	for b.Loop() {
		_ = r.Do(func() error { return nil })
	}
}
