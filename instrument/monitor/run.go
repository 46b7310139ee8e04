package monitor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/instruments"
	"github.com/poolgauge/poolgauge/internal/thread"
)

// Option configures a Run.
type Option func(*Run)

// WithMeterProvider makes the run report through p instead of the global MeterProvider.
func WithMeterProvider(p metric.MeterProvider) Option {
	return func(r *Run) { r.provider = p }
}

// Run measures one batch of tasks. It is safe for concurrent use.
type Run struct {
	name      string
	provider  metric.MeterProvider
	recorders instruments.Recorders
	attribute metric.MeasurementOption
	outcomes  [4]metric.MeasurementOption // by instrument.Ending

	start  time.Time
	cpu    time.Duration
	heap   runtime.MemStats
	memory *watch

	mu       sync.Mutex // guards everything below
	ended    bool
	latency  instrument.Histogram
	endings  [4]int64
	finished sync.Once
	report   *Report
}

// maxBeside limits how many names of concurrent runs a run keeps.
const maxBeside = 100

// live maps each run in progress to the names of the runs that have been concurrent with it.
var live struct {
	mu     sync.Mutex
	beside map[*Run]names
}

// names is a set of at most maxBeside names.
type names map[string]struct{}

func (n names) add(name string) {
	if len(n) < maxBeside {
		n[name] = struct{}{}
	}
}

// Start starts a run. The name must not be empty. It becomes an attribute of metrics, so a program
// should use only a few names. The caller must call [Run.End].
func Start(name string, opts ...Option) (*Run, error) {
	if name == "" {
		return nil, errors.New("monitor: cannot start a run: its name is empty")
	}
	r := &Run{name: name}
	for _, o := range opts {
		if o != nil {
			o(r)
		}
	}
	if r.provider == nil {
		r.provider = otel.GetMeterProvider()
	}
	var err error
	if r.recorders, err = instruments.NewRecorders(
		r.provider.Meter(instrument.ScopeName),
		catalog.Run.Metrics...); err != nil {
		return nil, fmt.Errorf("monitor: cannot start run %q: %w", name, err)
	}
	key := catalog.RunNameKey.String(name)
	r.attribute = metric.WithAttributes(key)
	for i := range r.outcomes {
		r.outcomes[i] = metric.WithAttributes(key, catalog.RunOutcomeKey.String(instrument.Ending(i).String()))
	}
	r.enter()
	r.memory = watchMemory()
	runtime.ReadMemStats(&r.heap)
	r.cpu = thread.ProcessCPU()
	r.start = time.Now()
	return r, nil
}

// enter adds r to the runs in progress.
func (r *Run) enter() {
	live.mu.Lock()
	defer live.mu.Unlock()
	if live.beside == nil {
		live.beside = map[*Run]names{}
	}
	beside := names{}
	for other, seen := range live.beside {
		beside.add(other.name)
		seen.add(r.name)
	}
	live.beside[r] = beside
}

// leave removes r from the runs in progress, and returns the sorted names of the runs that were
// concurrent with it.
func (r *Run) leave() []string {
	live.mu.Lock()
	defer live.mu.Unlock()
	beside := live.beside[r]
	delete(live.beside, r)
	return slices.Sorted(maps.Keys(beside))
}

// Do calls task, measures it and returns its error. If task panics or calls [runtime.Goexit], Do
// counts that and lets it propagate. A task that returns after [Run.End] was called is not counted.
func (r *Run) Do(task func() error) error {
	start := time.Now()
	ending := instrument.Exited
	defer func() {
		if ending != instrument.Exited {
			r.record(time.Since(start), ending)
			return
		}
		value := recover() // nil if task called Goexit
		if value != nil {
			ending = instrument.Panicked
		}
		r.record(time.Since(start), ending)
		if value != nil {
			panic(value)
		}
	}()
	err := task()
	ending = endingOf(err)
	return err
}

// Record adds a task that the caller has measured itself: how long it took, and its error or nil.
func (r *Run) Record(took time.Duration, err error) {
	r.record(took, endingOf(err))
}

func endingOf(err error) instrument.Ending {
	if err != nil {
		return instrument.Failed
	}
	return instrument.OK
}

func (r *Run) record(took time.Duration, ending instrument.Ending) {
	r.mu.Lock()
	if r.ended {
		r.mu.Unlock()
		return
	}
	r.latency.Record(took)
	r.endings[ending]++
	r.mu.Unlock()
	r.recorders[catalog.RunTaskDuration](context.Background(), took.Seconds(), r.outcomes[ending])
}

// End ends the run and returns its report. Further calls return the same report.
func (r *Run) End() *Report {
	r.finished.Do(func() {
		r.report = r.measure()
		r.emit()
	})
	return r.report
}

func (r *Run) measure() *Report {
	p := &Report{Name: r.name, Elapsed: time.Since(r.start), ProcessCPU: thread.ProcessCPU() - r.cpu}
	r.mu.Lock()
	r.ended = true
	p.Latency, p.Endings = r.latency.Clone(), r.endings
	r.mu.Unlock()
	var heap runtime.MemStats
	runtime.ReadMemStats(&heap)
	p.ProcessAllocs, p.ProcessBytes = heap.Mallocs-r.heap.Mallocs, heap.TotalAlloc-r.heap.TotalAlloc
	p.GCs, p.GCPause = heap.NumGC-r.heap.NumGC, time.Duration(heap.PauseTotalNs-r.heap.PauseTotalNs)
	p.Memory = r.memory.end()
	p.Beside = r.leave()
	return p
}

// emit records the metrics that are known only at the end of the run.
func (r *Run) emit() {
	p := r.report
	record := func(m *catalog.Metric, v float64) { r.recorders[m](context.Background(), v, r.attribute) }
	record(catalog.RunDuration, p.Elapsed.Seconds())
	record(catalog.RunCPUTime, p.ProcessCPU.Seconds())
	record(catalog.RunMemoryAllocated, float64(p.ProcessBytes))
	record(catalog.RunMemoryAllocations, float64(p.ProcessAllocs))
	record(catalog.RunGCCycles, float64(p.GCs))
	if p.Memory != nil {
		record(catalog.RunMemoryPeak, float64(p.Memory.Peak))
		record(catalog.RunMemoryGrowth, float64(p.Memory.End-p.Memory.Start))
	}
}
