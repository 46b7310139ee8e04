package diagnose

import (
	"math"
	"strings"
	"testing"
)

// see passes w to a new Advisor the given number of times, and returns the last advice.
func see(times int, w Window, m Machine, v Verdict) Advice {
	var a Advisor
	var last Advice
	for range times {
		last = a.See(w, m, v)
	}
	return last
}

func wantAdvice(t *testing.T, got Advice, limit int, reason string) {
	t.Helper()
	if got.Limit != limit || !strings.Contains(got.Reason, reason) {
		t.Errorf("got advice %d (%s), want %d (… %s …)", got.Limit, got.Reason, limit, reason)
	}
}

func TestAdviceForAPoolThatIsTooSmall(t *testing.T) {
	w := congested() // 100 requests per second of 50 ms each are 5 erlangs; another 40% are refused
	w.Limit, w.Served, w.Ended, w.Refused, w.Pending = 7, 100, 1000, 0.4, 0
	wantAdvice(t, see(1, w, machine(), TooSmall), 7, "12 slots are enough for 167 requests per second of 50ms each")
	wantAdvice(t, see(2, w, machine(), TooSmall), 12, "12 slots are enough")
	w.Limit = 4
	wantAdvice(t, see(1, w, machine(), TooSmall), 8, "12 slots are enough")
}

func TestAdviceCountsRequestsThatStillWait(t *testing.T) {
	w := congested()
	w.Limit, w.Grown = 5, 1000 // 100 more per second
	wantAdvice(t, see(1, w, machine(), TooSmall), 10, "for 200 requests per second")
	w.Grown = 0
	wantAdvice(t, see(2, w, machine(), TooSmall), 8, "for 100 requests per second")
}

func TestAdviceIsBoundedBySharedCPUs(t *testing.T) {
	w := congested()
	w.Limit, w.Utilization, w.Served, w.Ended, w.Refused = 20, 1, 160, 1600, 0.9
	w.Use, w.OnCPU, w.RunQueue, w.Blocked = 0.125, 0.4, 0.4, 0.2 // 50 ms on a CPU, 25 ms blocked
	m := machine()
	m.CPUs, m.BusyCPUs = 8, 8
	wantAdvice(t, see(3, w, m, CPUSaturated), 20, "15 slots saturate what the tasks share")
	w.Limit, w.Use = 10, 0.0625 // 25 ms on a CPU: the pool uses 4 CPUs, and others use 4
	w.OnCPU, w.RunQueue, w.Blocked = 0.4, 0, 0.6
	wantAdvice(t, see(3, w, m, TooSmall), 13, "13 slots saturate what the tasks share")
}

func TestAdviceForAPoolThatIsTooLarge(t *testing.T) {
	w := healthy()
	w.Limit, w.Utilization = 100, 0.05
	wantAdvice(t, see(remembered-1, w, machine(), Oversized), 100, "8 slots are enough")
	wantAdvice(t, see(remembered, w, machine(), Oversized), 75, "at most 8 slots were needed recently")
	var a Advisor
	busy := w
	w.Limit, busy.Limit, busy.Served, busy.Ended = 45, 45, 1500, 15000
	a.See(busy, machine(), OK)
	for range remembered - 1 {
		wantAdvice(t, a.See(w, machine(), OK), 45, "8 slots are enough") // the peak was 34
	}
	w.Limit, w.Utilization = 11, 0.4 // within the dead band
	wantAdvice(t, see(2*remembered, w, machine(), OK), 11, "8 slots are enough")
}

func TestNoAdvice(t *testing.T) {
	w := congested()
	for _, v := range []Verdict{Undetermined, Starved, DownstreamSlow, Leaking, HeadOfLine, Failing} {
		wantAdvice(t, see(3, w, machine(), v), 0, "no limit is recommended while the verdict is "+v.String())
	}
	for _, change := range []func(m *Machine){
		func(m *Machine) { m.Throttled = 0.2 }, func(m *Machine) { m.MemoryPressure = 0.2 }, func(m *Machine) { m.Steal = 0.2 },
	} {
		m := machine()
		change(&m)
		wantAdvice(t, see(3, w, m, TooSmall), 0, "")
	}
	w.Ended = 4
	wantAdvice(t, see(3, w, machine(), TooSmall), 0, "only 4 uses of slots ended, too few to decide")
	w = congested()
	w.Refused = 1
	wantAdvice(t, see(3, w, machine(), TooSmall), 0, "all requests were refused")
	w = congested()
	w.Limit = math.NaN()
	wantAdvice(t, see(3, w, machine(), TooSmall), 0, "the limit or the duration of uses is unknown")
}
