package sizing

import (
	"errors"
	"math"
	"testing"
	"time"
)

const ms = time.Millisecond

func TestSlotsSaturateTheBottleneck(t *testing.T) {
	for _, c := range []struct {
		name   string
		demand Demand
		want   int
	}{
		{"CPU-bound on four", Demand{CPU: 5 * ms, CPUs: 4}, 5},
		{"CPU-bound on one", Demand{CPU: 5 * ms, CPUs: 1}, 1},
		{"CPU-bound on half a CPU", Demand{CPU: 5 * ms, CPUs: 0.5}, 1},
		{"half a CPU, blocked for as long as it runs", Demand{CPU: 5 * ms, Blocked: 10 * ms, CPUs: 0.5}, 3},
		{"nine tenths blocked", Demand{CPU: 1 * ms, Blocked: 9 * ms, CPUs: 2}, 25},
		{"a lock held for a fifth of the task", Demand{CPU: 10 * ms, Lock: 2 * ms, CPUs: 16}, 7},
		{"a lock that is not the bottleneck", Demand{CPU: 10 * ms, Lock: 1 * ms, CPUs: 4}, 5},
		{"a lock held while blocked", Demand{Blocked: 10 * ms, Lock: 5 * ms, CPUs: 4}, 3},
	} {
		if got, err := c.demand.Slots(); err != nil || got != c.want {
			t.Errorf("%s: got %d, %v, want %d", c.name, got, err, c.want)
		}
	}
}

func TestMaxRateIsThatOfTheBottleneck(t *testing.T) {
	got, err := Demand{CPU: 10 * ms, Lock: 4 * ms, CPUs: 4}.MaxRate()
	if err != nil || math.Abs(got-250) > 1e-9 {
		t.Errorf("MaxRate = %v, %v, want 250", got, err)
	}
}

func TestRecommendIsTheSmallerOfNeedAndBound(t *testing.T) {
	demand := Demand{CPU: 1 * ms, Blocked: 9 * ms, CPUs: 2} // 25 slots, 2000 tasks per second
	for _, c := range []struct {
		name string
		rate float64
		want int
	}{{"few arrivals", 100, 3}, {"more than the CPUs can do", 5000, 25}, {"none", 0, 1}} {
		got, err := Recommend(demand, Load{Rate: c.rate, Service: 10 * ms, CV: 1})
		if err != nil || got != c.want {
			t.Errorf("%s: got %d, %v, want %d", c.name, got, err, c.want)
		}
	}
	sleeping := Demand{Blocked: 10 * ms, CPUs: 2}
	if got, err := Recommend(sleeping, Load{Rate: 100, Service: 10 * ms, CV: 1}); err != nil || got != 3 {
		t.Errorf("only arrivals bound the size: got %d, %v, want 3", got, err)
	}
}

func TestDemandRejectsInvalidValues(t *testing.T) {
	for name, d := range map[string]Demand{
		"negative CPU":              {CPU: -1, CPUs: 1},
		"negative blocked time":     {Blocked: -1, CPUs: 1},
		"negative lock":             {CPU: ms, Lock: -1, CPUs: 1},
		"no CPUs":                   {CPU: ms},
		"NaN CPUs":                  {CPU: ms, CPUs: math.NaN()},
		"lock longer than the task": {CPU: ms, Lock: 2 * ms, CPUs: 1},
		"infinitely many CPUs":      {CPU: ms, CPUs: math.Inf(1)},
		"neither CPU nor lock":      {Blocked: ms, CPUs: 1},
	} {
		_, err := d.Slots()
		if err == nil {
			t.Errorf("%s: Slots returned no error", name)
		}
		if _, rateErr := d.MaxRate(); (rateErr == nil) != (err == nil) {
			t.Errorf("%s: MaxRate returned error %v, but Slots returned %v", name, rateErr, err)
		}
	}
	if _, err := (Demand{Blocked: ms, CPUs: 1}).Slots(); !errors.Is(err, ErrUnbounded) {
		t.Errorf("only blocked: got %v, want ErrUnbounded", err)
	}
}

func TestObservationFindsTheDemandOnTheLock(t *testing.T) {
	// Saturated: each of 16 workers waits until the lock has been held 15 times for 2 ms.
	got, err := Observation{Used: 16, Rate: 500, Wall: 32 * ms, CPU: 2 * ms, LockWait: 30 * ms, CPUs: 8}.Demand()
	if err != nil {
		t.Fatal(err)
	}
	if off := (got.Lock - 2*ms).Abs(); off > ms/10 {
		t.Errorf("got %v of lock time per task, want 2ms", got.Lock)
	}
	if got.Blocked != 0 || got.CPU != 2*ms {
		t.Errorf("got %+v, want 2ms of CPU time and no blocked time", got)
	}
}

func TestOneWorkerShowsNoDemandOnTheLock(t *testing.T) {
	got, err := Observation{
		Used:     1,
		Rate:     50,
		Wall:     20 * ms,
		CPU:      5 * ms,
		RunDelay: 3 * ms,
		LockWait: 2 * ms,
		CPUs:     8,
	}.Demand()
	if want := (Demand{CPU: 5 * ms, Blocked: 10 * ms, CPUs: 8}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestObservationRejectsInvalidValues(t *testing.T) {
	good := Observation{Used: 2, Rate: 10, Wall: 10 * ms, CPU: ms, CPUs: 2}
	if _, err := good.Demand(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Observation){
		"no slots in use":    func(o *Observation) { o.Used = 0 },
		"NaN rate":           func(o *Observation) { o.Rate = math.NaN() },
		"negative wall":      func(o *Observation) { o.Wall = -1 },
		"negative CPU":       func(o *Observation) { o.CPU = -1 },
		"negative run delay": func(o *Observation) { o.RunDelay = -1 },
		"negative lock wait": func(o *Observation) { o.LockWait = -1 },
		"no CPUs":            func(o *Observation) { o.CPUs = 0 },
	} {
		o := good
		spoil(&o)
		if d, err := o.Demand(); err == nil {
			t.Errorf("%s: got %+v, want an error", name, d)
		}
	}
}
