package pools_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/poolgauge/poolgauge/pools"
)

// resCall is a call to the pool in a history of concurrent calls.
type resCall struct {
	method string
	id     int64 // the resource, or the limit
}

// resLinearState is the state of a pool whose calls are sequential. The resource that became idle
// last is lent first.
type resLinearState struct {
	limit int64
	idle  []int64
	used  []int64 // sorted
}

func (s resLinearState) alive() int64 { return int64(len(s.idle) + len(s.used)) }

func (s resLinearState) with(id int64) resLinearState {
	i, _ := slices.BinarySearch(s.used, id)
	s.used = slices.Insert(slices.Clone(s.used), i, id)
	return s
}

func (s resLinearState) without(id int64) resLinearState {
	i, _ := slices.BinarySearch(s.used, id)
	s.used = slices.Delete(slices.Clone(s.used), i, i+1)
	return s
}

// step reports whether call c may return resource got, and returns the state after the call. got is
// 0 if the call returned no resource.
func (s resLinearState) step(c resCall, got int64) (bool, resLinearState) {
	switch c.method {
	case "Acquire":
		return s.acquire(got)
	case "TryAcquire":
		if got == 0 {
			return len(s.idle) == 0, s
		}
		ok, next := s.acquire(got)
		return ok && len(s.idle) > 0, next
	case "Release":
		surplus := s.alive() > s.limit
		s = s.without(c.id)
		if !surplus {
			s.idle = append(slices.Clone(s.idle), c.id)
		}
		return true, s
	case "Destroy":
		return true, s.without(c.id)
	default: // Resize
		s.limit = c.id
		for len(s.idle) > 0 && s.alive() > s.limit {
			s.idle = s.idle[1:]
		}
		return true, s
	}
}

func (s resLinearState) acquire(got int64) (bool, resLinearState) {
	if last := len(s.idle) - 1; last >= 0 {
		ok := s.idle[last] == got
		s.idle = s.idle[:last]
		return ok, s.with(got)
	}
	return int64(len(s.used)) < s.limit && !slices.Contains(s.used, got), s.with(got)
}

func resLinearModel(limit int64, idle ...int64) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return resLinearState{limit: limit, idle: idle} },
		Step: func(state, input, output any) (bool, any) {
			current, _ := state.(resLinearState)
			call, _ := input.(resCall)
			got, _ := output.(int64)
			ok, next := current.step(call, got)
			return ok, next
		},
		Equal: func(a, b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) },
		DescribeOperation: func(input, output any) string {
			return fmt.Sprintf("%v → %v", input, output)
		},
	}
}

// resHistory records concurrent calls to a pool.
type resHistory struct {
	start time.Time
	mu    sync.Mutex // guards calls
	calls []porcupine.Operation
}

func (h *resHistory) call(client int, c resCall, f func() int64) int64 {
	begin := time.Since(h.start)
	got := f()
	end := time.Since(h.start)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, porcupine.Operation{
		ClientId: client, Input: c, Output: got, Call: int64(begin), Return: int64(end),
	})
	return got
}

// use acquires a resource, with TryAcquire if try is true, and ends the lease with a method chosen
// at random from ends.
func (h *resHistory) use(t *testing.T, p *pools.Resources[int64], client int, try bool, ends ...string) {
	var lease pools.Lease[int64]
	method, acquire := "Acquire", p.Acquire
	if try {
		method, acquire = "TryAcquire", p.TryAcquire
	}
	got := h.call(client, resCall{method: method}, func() int64 {
		var err error
		if lease, err = acquire(context.Background()); err != nil {
			if !try {
				t.Error(err)
			}
			return 0
		}
		return lease.Value()
	})
	if got == 0 {
		return
	}
	if rand.IntN(2) == 0 {
		runtime.Gosched()
	}
	end := ends[rand.IntN(len(ends))]
	h.call(client, resCall{end, got}, func() int64 {
		switch end {
		case "Release":
			lease.Release()
		case "Destroy":
			lease.Destroy()
		}
		return 0
	})
}

func (h *resHistory) check(t *testing.T, model porcupine.Model) {
	t.Helper()
	if porcupine.CheckOperations(model, h.calls) {
		return
	}
	var all strings.Builder
	for _, c := range h.calls {
		fmt.Fprintf(
			&all,
			"%d–%d client %d: %s\n",
			c.Call,
			c.Return,
			c.ClientId,
			model.DescribeOperation(c.Input, c.Output),
		)
	}
	t.Fatalf("no sequential order of the calls explains their results:\n%s", all.String())
}

// While all resources exist, TryAcquire fails if and only if none is idle.
func TestResourcesAreLinearizableWithTryAcquire(t *testing.T) {
	for range 50 {
		var f resFactory
		p := f.open(t, 2, pools.ResourcesConfig[int64]{})
		for range 2 {
			if err := p.CreateResource(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		h := resHistory{start: time.Now()}
		runConcurrently(5, func(client int) {
			for range 20 {
				h.use(t, p, client, client%2 == 0, "Release")
			}
		})
		p.Close()
		h.check(t, resLinearModel(2, 1, 2))
	}
}

// The pool stays linearizable while resources are destroyed and the limit changes.
func TestResourcesAreLinearizableWithDestroyAndResize(t *testing.T) {
	for range 50 {
		var f resFactory
		p := f.open(t, 3, pools.ResourcesConfig[int64]{})
		h := resHistory{start: time.Now()}
		runConcurrently(5, func(client int) {
			for i := range 20 {
				if client == 0 && i%4 == 0 {
					limit := int64(1 + rand.IntN(4))
					h.call(client, resCall{"Resize", limit}, func() int64 {
						if err := p.Resize(int(limit)); err != nil {
							t.Error(err)
						}
						return 0
					})
				}
				h.use(t, p, client, false, "Release", "Release", "Destroy")
			}
		})
		p.Close()
		h.check(t, resLinearModel(3))
	}
}
