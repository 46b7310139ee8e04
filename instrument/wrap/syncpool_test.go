package wrap_test

import (
	"sync"
	"testing"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/wrap"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

func TestSyncPoolCounts(t *testing.T) {
	p := &sync.Pool{New: func() any { return new([64]byte) }}
	r, err := wrap.NewSyncPool(t.Name(), p)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	const goroutines, each = 8, 1000
	in := pooltest.Invariants{}
	st := in.HoldUnder(t, r.Stats, func() {
		var wg sync.WaitGroup
		for range goroutines {
			wg.Go(func() {
				for range each {
					x, ok := r.Get().(*[64]byte)
					if !ok {
						t.Error("Get returned a value of another type than New")
					}
					r.Put(x)
				}
			})
		}
		wg.Wait()
	})
	gets, puts := st.Requests[instrument.Acquired].Or(0), st.Completed[instrument.OK].Or(0)
	if gets != goroutines*each || puts != gets || st.Requests[instrument.Rejected].Or(-1) != 0 {
		t.Errorf("got %d gets and %d puts, want %d of each and none rejected", gets, puts, goroutines*each)
	}
	if n := st.Resources[0].Count; n < 1 || n > gets {
		t.Errorf("got %d created for %d gets, want 1 to %[2]d", n, gets)
	}
	if _, ok := st.Usage[instrument.Used].Get(); ok {
		t.Error("the number of values in use is reported, although it is unknown")
	}
}

func TestSyncPoolWithoutNew(t *testing.T) {
	r, err := wrap.NewSyncPool(t.Name(), new(sync.Pool))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if x := r.Get(); x != nil {
		t.Errorf("Get() = %v, want nil", x)
	}
	st := r.Stats()
	if st.Requests[instrument.Rejected].Or(0) != 1 || st.Requests[instrument.Acquired].Or(-1) != 0 ||
		st.Resources != nil {
		t.Errorf("got %+v, want one rejected, none acquired and no resources", st)
	}
}

func TestSyncPoolTelemetrySettings(t *testing.T) {
	pooltest.Settings(t, "sync.Pool", func(name string, opts ...instrument.Option) (pooltest.Pool, error) {
		r, err := wrap.NewSyncPool(name, &sync.Pool{New: func() any { return new(int) }}, opts...)
		if err != nil {
			return pooltest.Pool{}, err
		}
		return pooltest.Pool{Close: r.Close, Use: func() { r.Put(r.Get()) }}, nil
	})
}
