package sizing

import (
	"container/heap"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// The values are from published tables of Erlang C.
func TestErlangCMatchesPublishedTables(t *testing.T) {
	for _, c := range []struct {
		slots      int
		load, want float64
	}{{1, 0.5, 0.5}, {2, 1, 1.0 / 3}, {10, 7, 0.2217}, {20, 16, 0.2561}, {100, 90, 0.2169}, {3, 0, 0}} {
		got, err := ErlangC(c.slots, c.load)
		if err != nil || math.Abs(got-c.want) > 1e-4 {
			t.Errorf("ErlangC(%d, %v) = %.4f, %v, want %.4f", c.slots, c.load, got, err, c.want)
		}
	}
}

// The recursion may start close to the load: the results are those of the whole recursion.
func TestErlangCOfLargePools(t *testing.T) {
	for _, load := range []float64{50, 90, 200, 5000.5, 90_000} {
		for _, slots := range []int{int(load) + 1, int(load + 2*math.Sqrt(load)), int(2 * load)} {
			blocked := 1.0
			for n := 1; n <= slots; n++ {
				blocked = nextErlangB(blocked, n, load)
			}
			want := erlangC(blocked, slots, load)
			if got, err := ErlangC(slots, load); err != nil || math.Abs(got-want) > 1e-12 {
				t.Errorf("ErlangC(%d, %v) = %v, %v, want %v", slots, load, got, err, want)
			}
		}
	}
	steps := firstSlots(950_000)
	if n := 950_000 - steps; n > 10_000 {
		t.Errorf("a load of 950,000 takes %d steps up to the load, want at most 10,000", n)
	}
}

func TestWaitOfOneSlotIsPollaczekKhinchine(t *testing.T) {
	load := Load{Rate: 80, Service: 10 * time.Millisecond, CV: 2}
	got, err := load.Wait(1)
	want := 100 * time.Millisecond // ρ/(1-ρ) × service × (1+cv²)/2
	if err != nil || (got-want).Abs() > time.Microsecond {
		t.Errorf("got a wait of %v, %v, want %v", got, err, want)
	}
}

type minHeap []float64

func (h minHeap) Len() int           { return len(h) }
func (h minHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h minHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *minHeap) Push(x any)        { *h = append(*h, x.(float64)) }
func (h *minHeap) Pop() any          { panic("never shrinks") }

// serviceTime draws from a distribution with mean 1 and the given coefficient of variation:
// constant, Erlang-4, exponential or hyperexponential.
func serviceTime(rng *rand.Rand, cv float64) float64 {
	switch {
	case cv == 0:
		return 1
	case cv < 1: // Erlang-4, cv 0.5
		sum := 0.0
		for range 4 {
			sum += rng.ExpFloat64() / 4
		}
		return sum
	case cv == 1:
		return rng.ExpFloat64()
	}
	p := (1 + math.Sqrt((cv*cv-1)/(cv*cv+1))) / 2 // two phases with balanced means
	if rng.Float64() < p {
		return rng.ExpFloat64() / (2 * p)
	}
	return rng.ExpFloat64() / (2 * (1 - p))
}

// simulatedWait returns the mean wait of M/G/c with a mean service time of 1.
func simulatedWait(slots int, load, cv float64, arrivals int, seed uint64) float64 {
	rng := rand.New(rand.NewPCG(seed, uint64(slots)))
	free := make(minHeap, slots) // when each slot becomes free
	now, waited, counted := 0.0, 0.0, 0
	for i := range arrivals {
		now += rng.ExpFloat64() / load
		begin := max(now, free[0])
		free[0] = begin + serviceTime(rng, cv)
		heap.Fix(&free, 0)
		if i > arrivals/10 {
			waited += begin - now
			counted++
		}
	}
	return waited / float64(counted)
}

// The size from Erlang C is within ±2, or ±10% if that is more, of the smallest size that a
// simulation finds sufficient.
func TestSlotsMatchASimulation(t *testing.T) {
	arrivals := 400_000
	if raceEnabled {
		arrivals = 40_000
	}
	for _, load := range []float64{1, 2, 5, 10, 20, 40, 80} {
		for _, cv := range []float64{0, 0.5, 1, 2, 4} {
			got, err := Load{Rate: load, Service: time.Second, CV: cv}.Slots(AcceptableWait)
			if err != nil {
				t.Fatal(err)
			}
			off := max(2, int(0.1*float64(got)))
			wait := func(slots int) float64 { return simulatedWait(slots, load, cv, arrivals, 16) }
			if w := wait(got + off); w > AcceptableWait {
				t.Errorf("load %v, cv %v: %d slots, but with %d the wait is still %.3f", load, cv, got, got+off, w)
			}
			if fewer := got - off - 1; fewer > int(load) {
				if w := wait(fewer); w <= AcceptableWait {
					t.Errorf("load %v, cv %v: %d slots, but with %d the wait is only %.3f", load, cv, got, fewer, w)
				}
			}
		}
	}
}

func TestLittlesLaw(t *testing.T) {
	if got, err := Little(200, 50*time.Millisecond); err != nil || math.Abs(got-10) > 1e-9 {
		t.Errorf("Little = %v, %v, want 10", got, err)
	}
}

func TestQueueRejectsInvalidValues(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	wantErr := func(what string, err error) {
		t.Helper()
		if err == nil || errors.Is(err, ErrOverload) {
			t.Errorf("%s: got %v, want an error about the value", what, err)
		}
	}
	for _, rate := range []float64{-1, nan, inf} {
		_, err := Little(rate, time.Second)
		wantErr("Little, rate", err)
		_, err = Load{Rate: rate, Service: time.Second}.Slots(0.1)
		wantErr("Slots, rate", err)
		_, err = ErlangC(3, rate)
		wantErr("ErlangC, load", err)
		_, err = Load{Rate: 1, Service: time.Second, CV: rate}.Wait(3)
		wantErr("Wait, cv", err)
	}
	_, err := Little(1, -1)
	wantErr("Little, time", err)
	_, err = ErlangC(0, 1)
	wantErr("ErlangC, slots", err)
	for _, wait := range []float64{0, -1, nan, inf} {
		_, err = Load{Rate: 1, Service: time.Second}.Slots(wait)
		wantErr("Slots, wait", err)
	}
	_, err = Load{Rate: 1e9, Service: time.Hour}.Slots(0.1)
	wantErr("Slots, load", err)
	if _, err := (Load{Rate: 30, Service: time.Second}).Wait(30); !errors.Is(err, ErrOverload) {
		t.Errorf("30 slots for a load of 30: got %v, want ErrOverload", err)
	}
}
