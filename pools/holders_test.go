package pools_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/callsite"
	"github.com/poolgauge/poolgauge/internal/pooltest"
	"github.com/poolgauge/poolgauge/pools"
)

// marked returns the file and line of a mark in a file of this package, in the format of lines.
func marked(t *testing.T, file, mark string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, _, ok := strings.Cut(string(text), "// mark: "+mark+"\n")
	if !ok {
		t.Fatalf("%s has no mark %q", file, mark)
	}
	return fmt.Sprintf("%s:%d", file, 1+strings.Count(before, "\n"))
}

// lines returns the file and line of each call.
func lines(calls []instrument.Call) (all []string) {
	for _, c := range calls {
		all = append(all, fmt.Sprintf("%s:%d", filepath.Base(c.File), c.Line))
	}
	return all
}

func newNumbers(t *testing.T, limit int, opts ...instrument.Option) *pools.Resources[int] {
	t.Helper()
	p, err := pools.NewResources(
		t.Name(),
		limit,
		func(context.Context) (int, error) { return 1, nil },
		pools.ResourcesConfig[int]{},
		opts...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestResourcesNameTheirHolders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newNumbers(t, 3)
		defer p.Close()
		if age, ok := p.Stats().UseAge.Get(); ok {
			t.Errorf("UseAge is %v without a use, want it absent", age)
		}
		var leases []pools.Lease[int]
		acquire := func(id byte) {
			l, err := p.Acquire(pooltest.InTrace(t.Context(), id)) // mark: acquire
			if err != nil {
				t.Error(err)
			}
			leases = append(leases, l)
			time.Sleep(time.Second)
		}
		acquire(1)
		if s := p.Stats(); s.UseAge.Or(0) != time.Second || s.Holders != nil {
			t.Errorf("1 of 3 slots used: UseAge %v, %d holders; want 1 s and none", s.UseAge, len(s.Holders))
		}
		acquire(2)
		acquire(3)
		s := p.Stats()
		if len(s.Holders) != 3 || s.UseAge.Or(0) != 3*time.Second {
			t.Fatalf("%d holders, UseAge %v; want 3 and 3 s", len(s.Holders), s.UseAge)
		}
		for i, h := range s.Holders {
			if h.Age != time.Duration(3-i)*time.Second ||
				callsite.Always && lines(h.Calls)[0] != marked(t, "holders_test.go", "acquire") {
				t.Errorf("holder %d is %v, want age %d s and the line of acquire", i, h, 3-i)
			}
			if h.Trace != (trace.TraceID{byte(i + 1)}) {
				t.Errorf("holder %d has trace %v, want %d", i, h.Trace, i+1) // all waited for a constructor
			}
		}
		for _, l := range leases {
			l.Release()
		}
		if s := p.Stats(); s.Holders != nil || s.UseAge.Or(-1) != -1 {
			t.Errorf("idle pool: holders %v, UseAge %v; want none", s.Holders, s.UseAge)
		}
	})
}

// A holder has the trace of its own lease, not of an earlier lease of the slot.
func TestHolderHasTraceOfItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newNumbers(t, 2)
		defer p.Close()
		ids := func() (all []byte) {
			for _, h := range p.Stats().Holders {
				all = append(all, h.Trace[0])
			}
			return all
		}
		first, _ := p.Acquire(pooltest.InTrace(t.Context(), 1))
		second, _ := p.Acquire(pooltest.InTrace(t.Context(), 2))
		if got := ids(); !slices.Equal(got, []byte{1, 2}) {
			t.Errorf("both waited for a constructor: traces %v, want 1 and 2", got)
		}
		first.Release()
		second.Release()
		first, _ = p.TryAcquire(pooltest.InTrace(t.Context(), 3)) // one slot left: no trace
		time.Sleep(time.Minute)
		second, _ = p.TryAcquire(pooltest.InTrace(t.Context(), 4)) // no slot left: traced
		if got := ids(); !slices.Equal(got, []byte{0, 4}) {
			t.Errorf("traces %v, want only that of the last slot, 4", got)
		}
		go func() {
			third, err := p.Acquire(pooltest.InTrace(t.Context(), 5))
			if err != nil {
				t.Error(err)
			}
			defer third.Release()
			time.Sleep(time.Hour)
		}()
		synctest.Wait()
		second.Release()
		time.Sleep(time.Minute)
		if got := ids(); !slices.Equal(got, []byte{0, 5}) {
			t.Errorf("traces %v, want only that of the request that waited, 5", got)
		}
		first.Release()
		time.Sleep(time.Hour)
		first, _ = p.Acquire(context.Background())
		second, _ = p.Acquire(context.Background())
		if got := ids(); !slices.Equal(got, []byte{0, 0}) {
			t.Errorf("requests without a trace: traces %v, want none", got)
		}
		first.Release()
		second.Release()
	})
}

func TestHoldersAreAbsentWithoutTelemetry(t *testing.T) {
	p := newNumbers(t, 1, instrument.WithoutTelemetry())
	defer p.Close()
	l, err := p.Acquire(pooltest.InTrace(t.Context(), 1))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	if s := p.Stats(); s.Holders != nil || s.UseAge != (instrument.Optional[time.Duration]{}) {
		t.Errorf("UseAge %v, holders %v; want both absent", s.UseAge, s.Holders)
	}
}

type hanging struct{ end chan struct{} }

func (h hanging) task(context.Context) error { <-h.end; return nil }

func (h hanging) result(context.Context) (int, error) { <-h.end; return 0, nil }

func await[T any](end chan struct{}) func(context.Context, T) error {
	return func(context.Context, T) error { <-end; return nil } // mark: generic
}

// For each way to submit a task, the holders of Workers name the program's function, and have the
// trace of a task that had to wait.
func TestWorkersNameTheirTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWorkers(t, 5, pools.WorkersConfig{}, instrument.WithHolderLog(nil))
		h := hanging{make(chan struct{})}
		next := func() { synctest.Wait(); time.Sleep(time.Second) }
		mustSubmit(t, p, func(context.Context) error { <-h.end; return nil }) // mark: closure
		next()
		mustSubmit(t, p, h.task)
		next()
		f := pools.Do(t.Context(), p, func(ctx context.Context) (int, error) { // mark: do
			n, err := h.result(ctx)
			return n, err
		})
		next()
		g, _ := p.Group(pooltest.InTrace(t.Context(), 9))
		g.Go(func(context.Context) error { <-h.end; return nil }) // mark: group
		next()
		each := make(chan error)
		go func() { each <- pools.ForEach(t.Context(), p, slices.Values([]int{1}), await[int](h.end)) }()
		next()
		s := p.Stats()
		if len(s.Holders) != 5 || s.UseAge.Or(0) != 5*time.Second {
			t.Fatalf("%d holders, UseAge %v; want 5 and 5 s", len(s.Holders), s.UseAge)
		}
		for i, mark := range []string{"closure", "", "do", "group", "generic"} {
			holder := s.Holders[i]
			switch {
			case len(holder.Calls) != 1:
				t.Errorf("task %d: holder %v, want one call", i, holder)
			case mark == "" && !strings.HasSuffix(holder.Calls[0].Function, "pools_test.hanging.task"):
				t.Errorf("task %d: holder %v, want hanging.task", i, holder)
			case mark != "" && lines(holder.Calls)[0] != marked(t, "holders_test.go", mark):
				t.Errorf("task %d: holder %v, want the line marked %q", i, holder, mark)
			}
		}
		if id := s.Holders[3].Trace; id != (trace.TraceID{9}) {
			t.Errorf("the task of the group has trace %v, want 9", id)
		}
		ctx := pooltest.InTrace(t.Context(), 7)
		if err := p.Submit(ctx, sleep(time.Minute)); err != nil { // all workers are busy
			t.Fatal(err)
		}
		close(h.end)
		synctest.Wait()
		// a worker is available, so the task does not wait
		if err := p.Submit(pooltest.InTrace(t.Context(), 8), sleep(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if err := p.Resize(2); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		var ids []byte
		for _, holder := range p.Stats().Holders {
			ids = append(ids, holder.Trace[0])
		}
		if slices.Sort(ids); !slices.Equal(ids, []byte{0, 7}) {
			t.Errorf("traces %v, want only that of the task that had to wait, 7", ids)
		}
		_, _ = f.Wait(t.Context())
		_, _ = g.Wait(), <-each
		time.Sleep(2 * time.Minute)
	})
}

func TestGroupsNameTheirFunctions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set, err := pools.NewGroups(t.Name())
		if err != nil {
			t.Fatal(err)
		}
		defer set.Close()
		g, _ := set.WithContext(pooltest.InTrace(t.Context(), 6))
		end := make(chan struct{})
		g.Go(func() error { return nil })
		g.Go(func() error { <-end; return nil }) // mark: function
		synctest.Wait()
		time.Sleep(2 * time.Second)
		s := set.Stats()
		if s.UseAge.Or(0) != 2*time.Second || len(s.Holders) != 1 {
			t.Fatalf(
				"UseAge %v, %d holders; want 2 s, and only the function that is still running",
				s.UseAge,
				len(s.Holders),
			)
		}
		if h := s.Holders[0]; lines(h.Calls)[0] != marked(t, "holders_test.go", "function") ||
			h.Trace != (trace.TraceID{6}) {
			t.Errorf("holder %v, want the line marked \"function\" and trace 6", h)
		}
		close(end)
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
		if s := set.Stats(); s.UseAge.Or(-1) != -1 || s.Holders != nil {
			t.Errorf("after Wait: UseAge %v, holders %v; want both absent", s.UseAge, s.Holders)
		}
	})
}

// A pool's holders are logged once per episode of waiting requests, and not while the pool is full
// but no request waits.
func TestHoldersAreLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		p := newNumbers(t, 1, instrument.WithHolderLog(slog.New(slog.NewTextHandler(&log, nil))))
		reader := instrument.OpenReader()
		defer reader.Close()
		collect := func() int {
			for range reader.Points() {
				continue
			}
			return strings.Count(log.String(), "\n")
		}
		l, _ := p.Acquire(pooltest.InTrace(t.Context(), 3))
		time.Sleep(2 * time.Minute)
		if collect() != 0 {
			t.Errorf("no request waits, but the holders were logged: %s", &log)
		}
		waiter := func() {
			ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
			defer cancel()
			_, _ = p.Acquire(ctx)
		}
		for range 5 {
			go waiter()
			time.Sleep(time.Minute)
			collect()
		}
		if collect() != 1 || !strings.Contains(log.String(), "holders_test.go:") ||
			!strings.Contains(log.String(), traceString(3)) {
			t.Errorf("log %q, want one line with the call site and the trace", &log)
		}
		time.Sleep(15 * time.Minute) // no request waits
		collect()
		go waiter()
		time.Sleep(time.Minute)
		if collect() != 2 {
			t.Errorf("log %q, want a second line in the second episode", &log)
		}
		time.Sleep(time.Minute)
		l.Release()
		p.Close()
	})
}

func traceString(id byte) string { return trace.TraceID{id}.String() }
