package instrument

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// limitOf returns a stats function that reports only a limit of n.
func limitOf(n int64) func() Stats {
	return func() Stats { return Stats{Limit: Some(n)} }
}

// observe registers a pool for the duration of a test.
func observe(t *testing.T, name string, stats func() Stats, opts ...Option) *Registration {
	t.Helper()
	r, err := Observe(name, "test", stats, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// points returns the points of all pools.
func points(t *testing.T) []Point {
	t.Helper()
	reader := OpenReader()
	defer reader.Close()
	return slices.Collect(reader.Points())
}

func TestNamesAreUnique(t *testing.T) {
	first := observe(t, "twice", limitOf(1))
	if _, err := Observe(
		"twice",
		"other",
		limitOf(2),
	); !errors.Is(err, ErrNameInUse) ||
		!strings.Contains(err.Error(), `"twice"`) {
		t.Errorf("second pool with the same name: error %v, want ErrNameInUse with the name", err)
	}
	if got := points(t); len(got) != 1 || got[0].Int != 1 {
		t.Errorf("got points %v, want only those of the first pool", got)
	}
	first.Close()
	second := observe(t, "twice", limitOf(3))
	first.Close() // must not affect the second
	if got := points(t); len(got) != 1 || got[0].Int != 3 {
		t.Errorf("after the first pool was closed: got points %v, want those of the second", got)
	}
	second.Close()
	if got := points(t); got != nil {
		t.Errorf("after both pools were closed: got points %v, want none", got)
	}
}

func TestInvalidNamesAreRejected(t *testing.T) {
	for _, name := range []string{"", strings.Repeat("x", maxName+1), "\xff"} {
		if _, err := Observe(name, "test", limitOf(1)); err == nil {
			t.Errorf("name %q was accepted", name)
		}
		if _, err := Observe("fine", name, limitOf(1)); err == nil {
			t.Errorf("kind %q was accepted", name)
		}
	}
	if got := points(t); got != nil {
		t.Errorf("rejected pools are reported: %v", got)
	}
}

func TestAttributes(t *testing.T) {
	own := WithAttributes(attribute.String("db.namespace", "orders"), catalog.PoolNameKey.String("not this"))
	observe(t, "attributes", func() Stats {
		var s Stats
		s.Requests[Rejected] = Some(int64(1))
		s.Resources = []Resources{{Ended, "idle", 1}, {CreateFailed, "", 2}}
		return s
	}, own)
	base := []attribute.KeyValue{
		attribute.String(
			"db.namespace",
			"orders",
		),
		catalog.PoolNameKey.String("attributes"),
		catalog.PoolKindKey.String("test"),
	}
	with := func(kv ...attribute.KeyValue) attribute.Set {
		return attribute.NewSet(append(slices.Clone(base), kv...)...)
	}
	want := []attribute.Set{
		with(catalog.PoolOutcomeKey.String("rejected")),
		with(catalog.PoolEventKey.String("closed"), catalog.PoolReasonKey.String("idle")),
		with(catalog.PoolEventKey.String("create_failed")),
	}
	for range 2 { // the second time, the attribute sets are cached
		got := points(t)
		for i := range want {
			if len(got) != len(want) || !got[i].Attributes.Equals(&want[i]) {
				t.Fatalf("got points %v, want points with the attributes %v", got, want)
			}
		}
	}
}

func TestWithoutTelemetryNothingIsRegistered(t *testing.T) {
	a := observe(t, "off", limitOf(1), WithoutTelemetry())
	observe(t, "off", limitOf(2), WithoutTelemetry())
	if got := points(t); got != nil {
		t.Errorf("got points %v, want none", got)
	}
	a.Close()
}

// captureErrors collects the errors that are passed to otel.Handle during the test.
func captureErrors(t *testing.T) *[]error {
	var mu sync.Mutex
	reported := new([]error)
	before := otel.GetErrorHandler()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		*reported = append(*reported, err)
	}))
	t.Cleanup(func() { otel.SetErrorHandler(before) })
	return reported
}

func TestPanicOmitsOnlyItsPool(t *testing.T) {
	reported := captureErrors(t)
	observe(t, "a", limitOf(1))
	observe(t, "b", func() Stats { panic("broken") })
	observe(t, "c", limitOf(3))
	if got := points(t); len(got) != 2 || got[0].Int != 1 || got[1].Int != 3 {
		t.Errorf("got points %v, want those of a and c", got)
	}
	if len(*reported) != 1 || !strings.Contains((*reported)[0].Error(), `"b"`) ||
		!strings.Contains((*reported)[0].Error(), "broken") {
		t.Errorf("reported the errors %v, want one with the name of the pool and the panic value", *reported)
	}
}

// When Close returns, stats is not running and will not be called again. Close itself makes the
// last call.
func TestCloseWaitsForStats(t *testing.T) {
	var closed atomic.Bool
	var calls int
	var once sync.Once
	entered, closing, read := make(chan bool), make(chan bool), make(chan bool)
	r := observe(t, "slow", func() Stats {
		calls++
		once.Do(func() { close(entered) })
		<-closing
		for range 1000 {
			runtime.Gosched()
			if closed.Load() {
				t.Error("Close returned while stats was running")
				break
			}
		}
		return limitOf(1)()
	})
	reader := OpenReader()
	defer reader.Close()
	go func() {
		defer close(read)
		_ = slices.Collect(reader.Points())
	}()
	<-entered
	close(closing)
	r.Close()
	closed.Store(true)
	<-read
	for range 2 {
		if got := slices.Collect(reader.Points()); len(got) != 1 || calls != 2 {
			t.Errorf("after Close: got points %v, want only the limit; %d calls to stats, want 2", got, calls)
		}
	}
}

// The last values of a closed pool are reported to every Reader for two minutes, unless a new pool
// has taken its name.
func TestClosedPoolIsReportedForTwoMinutes(t *testing.T) {
	first, second := OpenReader(), OpenReader()
	defer first.Close()
	defer second.Close()
	var served int64
	stats := func() (s Stats) {
		s.Requests[Acquired] = Some(served)
		return s
	}
	values := func(r *Reader) (all []int64) {
		for p := range r.Points() {
			all = append(all, p.Int)
		}
		return all
	}
	b, a := observe(t, "b", stats), observe(t, "a", stats)
	served = 7
	b.Close()
	served = 8
	a.Close()
	a.Close()
	served = 9
	for range 2 { // several readers may share one Producer
		if got := values(first); !slices.Equal(got, []int64{8, 7}) {
			t.Errorf("first Reader: got %v, want 8 and 7", got)
		}
	}
	observe(t, "b", stats)
	if got := values(second); !slices.Equal(got, []int64{9, 8}) {
		t.Errorf("second Reader: got %v, want 9, from the new pool, and 8", got)
	}
	live.mu.Lock()
	for _, r := range second.ended {
		r.endedAt = r.endedAt.Add(-endedFor - time.Second)
	}
	live.mu.Unlock()
	if got := values(second); !slices.Equal(got, []int64{9}) {
		t.Errorf("two minutes later: got %v, want 9, from the new pool", got)
	}
}

func TestWithReplaceTakesOverName(t *testing.T) {
	old := observe(t, "reloaded", limitOf(1))
	observe(t, "reloaded", limitOf(2), WithReplace())
	old.Close() // must not stop reporting the new pool
	if got := points(t); len(got) != 1 || got[0].Int != 2 {
		t.Errorf("got points %v, want those of the new pool", got)
	}
	if _, err := Observe("reloaded", "test", limitOf(3)); !errors.Is(err, ErrNameInUse) {
		t.Errorf("without WithReplace: error %v, want ErrNameInUse", err)
	}
}

func TestPoolClosedDuringReadIsReadOnce(t *testing.T) {
	observe(t, "a", limitOf(1))
	calls := 0
	b := observe(t, "b", func() Stats {
		calls++
		return limitOf(2)()
	})
	reader := OpenReader()
	defer reader.Close()
	read := 0
	for p := range reader.Points() {
		if p.Int == 2 {
			read++
		}
		b.Close()
	}
	if read != 1 || calls != 1 {
		t.Errorf("the pool was read %d times with %d calls to stats, want 1 and 1", read, calls)
	}
}

func TestPoolsOpenAndCloseDuringReads(t *testing.T) {
	var wg sync.WaitGroup
	stop := make(chan bool)
	for i := range 4 {
		wg.Go(func() {
			name := string(rune('a' + i))
			for range 200 {
				r, err := Observe(name, "test", limitOf(1))
				if err != nil {
					t.Error(err)
					return
				}
				r.Close()
			}
		})
	}
	readerDone := make(chan bool)
	go func() {
		defer close(readerDone)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if n := len(points(t)); n > 4 {
				t.Errorf("got %d points from 4 pools with one point each", n)
			}
		}
	}()
	wg.Wait()
	close(stop)
	<-readerDone
	if n := len(live.pools); n != 0 {
		t.Errorf("%d pools remain registered, want 0", n)
	}
}

func TestConventionPointsHaveGivenAttributes(t *testing.T) {
	state := attribute.String("state", "idle")
	for name, given := range map[string][]attribute.KeyValue{
		"none": nil,
		"one":  {attribute.String("db.namespace", "orders")},
	} {
		r := &Registration{given: given, conventionSets: map[attribute.Distinct]attribute.Set{}}
		want := attribute.NewSet(append(given, state)...)
		for range 2 { // the second time, the attribute set is cached
			if got := r.withGiven(attribute.NewSet(state)); !got.Equals(&want) {
				t.Errorf("%s given: got %v, want %v", name, got, want)
			}
		}
	}
}
