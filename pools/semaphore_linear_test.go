package pools

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/poolgauge/poolgauge/instrument"
)

type semCallKind int

const (
	linAcquire semCallKind = iota
	linTryAcquire
	linRelease
	linResize
	linStats
)

type semInput struct {
	kind semCallKind
	n    int64
}

type semOutput struct {
	ok          bool // permits were taken
	used, limit int64
}

type semState struct{ used, size int64 }

// semSpec specifies a semaphore as seen by an observer that does not know about queues. If there
// are waiters, TryAcquire may fail although permits are free, because the permits are reserved for
// the waiters, and an Acquire that fails may have held permits for a while.
func semSpec(size int64, waiters bool) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return semState{size: size} },
		Step: func(state, input, output any) (bool, any) {
			s, in, out := state.(semState), input.(semInput), output.(semOutput)
			fits := s.used+in.n <= s.size
			switch in.kind {
			case linAcquire, linTryAcquire:
				if !out.ok {
					return !fits || waiters || in.kind == linAcquire, s
				}
				s.used += in.n
				return fits, s
			case linRelease:
				s.used -= in.n
				return s.used >= 0, s
			case linResize:
				s.size = in.n
				return true, s
			default:
				return (out.used == s.used || waiters && out.used > s.used && out.used <= s.size) &&
					out.limit == s.size, s
			}
		},
	}
}

// recordHistory makes random calls of the given kinds from several goroutines. It returns the calls
// with their results and the times of a common logical clock.
func recordHistory(s *Semaphore, kinds []semCallKind) []porcupine.Operation {
	var clock atomic.Int64
	var mu sync.Mutex
	var history []porcupine.Operation
	var wg sync.WaitGroup
	for id := range 4 {
		wg.Go(func() {
			held := int64(0)
			for i := range 30 {
				in := semInput{kinds[rand.IntN(len(kinds))], 1 + rand.Int64N(3)}
				if i == 29 || in.kind == linRelease {
					in = semInput{linRelease, held}
				}
				if in.kind == linResize {
					in.n++
				}
				call := clock.Add(1)
				out := perform(s, in)
				op := porcupine.Operation{ClientId: id, Input: in, Call: call, Output: out, Return: clock.Add(1)}
				if out.ok {
					held += in.n
				} else if in.kind == linRelease {
					held = 0
				}
				mu.Lock()
				history = append(history, op)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return history
}

func perform(s *Semaphore, in semInput) (out semOutput) {
	switch in.kind {
	case linAcquire:
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(200))*time.Microsecond)
		defer cancel()
		out.ok = s.Acquire(ctx, in.n) == nil
	case linTryAcquire:
		out.ok = s.TryAcquire(in.n)
	case linRelease:
		s.Release(in.n)
	case linResize:
		_ = s.Resize(in.n) // cannot fail: the size is valid
	case linStats:
		st := s.Stats()
		out.used, out.limit = st.Usage[instrument.Used].Or(-1), st.Limit.Or(-1)
	}
	return out
}

func TestSemaphoreIsLinearizable(t *testing.T) {
	for name, kinds := range map[string][]semCallKind{
		"waiters and stats": {linAcquire, linTryAcquire, linRelease, linStats},
		"no waiters":        {linTryAcquire, linRelease, linResize, linStats},
		// without linStats: permits handed to a request that then fails may exceed a lowered size
		"waiters and resize": {linAcquire, linTryAcquire, linRelease, linResize},
	} {
		t.Run(name, func(t *testing.T) {
			spec := semSpec(3, slices.Contains(kinds, linAcquire))
			for _, opts := range [][]instrument.Option{nil, {instrument.WithoutTelemetry()}} {
				for range 40 {
					s, err := NewSemaphore(t.Name(), 3, SemaphoreConfig{}, opts...)
					if err != nil {
						t.Fatal(err)
					}
					history := recordHistory(s, kinds)
					s.Close()
					if porcupine.CheckOperationsTimeout(spec, history, 10*time.Second) == porcupine.Illegal {
						t.Fatalf("the history is not linearizable: %+v", history)
					}
				}
			}
		})
	}
}
