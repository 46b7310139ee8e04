package profile

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/throttle"
)

const ms = time.Millisecond

func some(d time.Duration) instrument.Optional[time.Duration] { return instrument.Some(d) }

// traced returns an account with the given times.
func traced(active, runnable time.Duration, waits ...Wait) *account {
	a := &account{active: active, runnable: runnable, waits: map[string]Wait{}}
	for _, w := range waits {
		a.waits[w.Reason] = w
	}
	return a
}

// throttledFor returns the Stops of a quota that throttled the process for d.
func throttledFor(d time.Duration) *throttle.Stops {
	return &throttle.Stops{Quota: 0.2, Periods: 3, Throttled: 2, Time: d}
}

var errOther = errors.New("another trace is running")

// The values are rounded measurements from real runs on 2 CPUs.
func TestClassify(t *testing.T) {
	for name, c := range map[string]struct {
		f       factors
		want    Class
		workers int64 // 0 means none
	}{
		"computing, alone":          {factors{calls: 10, wall: 50 * ms, cpu: some(50 * ms), queue: some(0), trace: traced(50*ms, 0)}, CPUBound, 2},
		"computing, CPUs shared":    {factors{calls: 10, wall: 130 * ms, cpu: some(50 * ms), queue: some(79 * ms), trace: traced(130*ms, 0)}, CPUBound, 2},
		"computing, scheduler busy": {factors{calls: 10, wall: 150 * ms, cpu: some(50 * ms), queue: some(1 * ms), trace: traced(51*ms, 99*ms)}, CPUBound, 2},
		"computing, CPUs shared and scheduler busy": {
			factors{calls: 10, wall: 300 * ms, cpu: some(50 * ms), queue: some(150 * ms), trace: traced(150*ms, 150*ms)}, Undetermined, 0,
		},
		"sleeping, alone": {
			factors{calls: 10, wall: 51 * ms, cpu: some(ms / 2), queue: some(ms / 10), trace: traced(ms, 0, Wait{"sleep", 50 * ms, 10})}, IOBound, 204,
		},
		"sleeping, CPUs shared": {
			factors{calls: 10, wall: 90 * ms, cpu: some(ms), queue: some(40 * ms), trace: traced(2*ms, 38*ms, Wait{"sleep", 50 * ms, 10})}, IOBound, 0,
		},
		"half computing": {
			factors{calls: 10, wall: 100 * ms, cpu: some(50 * ms), queue: some(0), trace: traced(50*ms, 0, Wait{"sleep", 50 * ms, 10})}, Mixed, 4,
		},
		"one fifth computing": {
			factors{calls: 10, wall: 150 * ms, cpu: some(20 * ms), queue: some(50 * ms), trace: traced(70*ms, 0, Wait{"sleep", 80 * ms, 10})}, Mixed, 10,
		},
		"one fifth computing, scheduler busy": {
			factors{calls: 10, wall: 300 * ms, cpu: some(20 * ms), queue: some(0), trace: traced(20*ms, 100*ms, Wait{"sleep", 180 * ms, 10})}, Mixed, 0,
		},
		"fsync":                      {factors{calls: 10, wall: 50 * ms, cpu: some(ms), queue: some(0), trace: traced(50*ms, 0)}, IOBound, 100},
		"mostly waiting for a mutex": {factors{calls: 10, wall: 40 * ms, cpu: some(10 * ms), queue: some(0), trace: traced(10*ms, 0, Wait{mutexWait, 30 * ms, 10})}, LockContended, 1},
		"rarely waiting for a mutex": {factors{calls: 10, wall: 40 * ms, cpu: some(38 * ms), queue: some(0), trace: traced(38*ms, 0, Wait{mutexWait, 2 * ms, 1})}, CPUBound, 2},
		"waiting for a channel":      {factors{calls: 10, wall: 40 * ms, cpu: some(ms), queue: some(0), trace: traced(ms, 0, Wait{"chan receive", 39 * ms, 10})}, IOBound, 80},
		"quick":                      {factors{calls: 1000, wall: ms, cpu: some(ms), queue: some(0), trace: traced(ms, 0)}, Quick, 1},
		"quick, queued":              {factors{calls: 1000, wall: 50 * ms, cpu: some(ms), queue: some(49 * ms), trace: traced(50*ms, 0)}, Quick, 1},
		"zero time":                  {factors{calls: 1, trace: traced(0, 0)}, Quick, 1},
		"work in other goroutines": {
			factors{calls: 10, wall: 50 * ms, cpu: some(ms), queue: some(0), trace: &account{active: ms, started: 10, ran: 45 * ms, waits: map[string]Wait{"wait group": {"wait group", 49 * ms, 10}}}},
			Undetermined, 0,
		},
		"no trace, computing":       {factors{calls: 10, wall: 50 * ms, cpu: some(50 * ms), queue: some(0), traceErr: errOther}, CPUBound, 2},
		"no trace, sleeping, alone": {factors{calls: 10, wall: 51 * ms, cpu: some(ms), queue: some(0), latency: some(ms / 100), sleeps: instrument.Some(int64(10)), traceErr: errOther}, IOBound, 102},
		"no trace, scheduler busy": {
			factors{calls: 10, wall: 150 * ms, cpu: some(50 * ms), queue: some(0), latency: some(15 * ms), sleeps: instrument.Some(int64(10)), traceErr: errOther}, Undetermined, 0,
		},
		"no trace, scheduler latency unknown": {factors{calls: 1, wall: 150 * ms, cpu: some(50 * ms), queue: some(0), sleeps: instrument.Some(int64(1)), traceErr: errOther}, Undetermined, 0},
		"no trace, possibly waiting for a mutex": {
			factors{calls: 10, wall: 51 * ms, cpu: some(ms), queue: some(0), latency: some(0), mutex: 40 * ms, traceErr: errOther}, Undetermined, 0,
		},
		"quota, computing": {
			factors{calls: 10, wall: 250 * ms, cpu: some(50 * ms), queue: some(200 * ms), trace: traced(250*ms, 0), quota: throttledFor(200 * ms)}, CPUBound, 2,
		},
		"quota, sleeping": {
			factors{calls: 10, wall: 101 * ms, cpu: some(ms), queue: some(0), trace: traced(ms, 0, Wait{"sleep", 100 * ms, 10}), quota: throttledFor(60 * ms)}, IOBound, 0,
		},
		"quota, woken late": {
			factors{calls: 10, wall: 100 * ms, cpu: some(10 * ms), queue: some(0), trace: traced(10*ms, 0, Wait{"sleep", 90 * ms, 10}), quota: throttledFor(85 * ms)}, Undetermined, 0,
		},
		"quota, woken late, no trace": {
			factors{calls: 10, wall: 100 * ms, cpu: some(10 * ms), queue: some(0), latency: some(0), traceErr: errOther, quota: throttledFor(85 * ms)}, Undetermined, 0,
		},
		"quota without throttling": {
			factors{calls: 10, wall: 100 * ms, cpu: some(9 * ms), queue: some(0), trace: traced(9*ms, 0, Wait{"sleep", 91 * ms, 10}), quota: &throttle.Stops{Quota: 0.2, Periods: 3}}, IOBound, 0,
		},
		"macOS, computing":   {factors{calls: 10, wall: 50 * ms, cpu: some(50 * ms), trace: traced(50*ms, 0)}, CPUBound, 2},
		"macOS, queued":      {factors{calls: 10, wall: 150 * ms, cpu: some(50 * ms), trace: traced(150*ms, 0)}, Undetermined, 0},
		"Windows, computing": {factors{calls: 10, wall: 50 * ms, trace: traced(50*ms, 0)}, Undetermined, 0},
		"Windows, sleeping":  {factors{calls: 10, wall: 51 * ms, trace: traced(ms, 0, Wait{"sleep", 50 * ms, 10})}, IOBound, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c.f.processors = 2
			p := c.f.classify()
			if p.Class != c.want {
				t.Errorf("got class %v, want %v:\n%v", p.Class, c.want, p)
			}
			if c.workers != 0 && p.Workers.Or(0) != c.workers {
				t.Errorf("got %d workers, want %d", p.Workers.Or(0), c.workers)
			}
			if p.Class == Undetermined && p.Workers.Or(0) != 0 {
				t.Error("the class is undetermined, but Workers is set")
			}
			if q := c.f.quota; q != nil {
				mentioned := strings.Contains(strings.Join(p.Reasons, "; "), "quota of 0.2 CPUs")
				if mentioned != (q.Throttled > 0) || p.Quota.Or(0) != 0.2 || p.ThrottledTime.Or(-1) != q.Time ||
					!strings.Contains(p.String(), "CPU quota") {
					t.Errorf(
						"want quota %+v in the profile, and in the reasons if it throttled (in reasons: %v), got\n%v",
						*q,
						mentioned,
						p,
					)
				}
			}
			if len(p.Reasons) == 0 || p.Advice == "" {
				t.Errorf("got reasons %q and advice %q, want both", p.Reasons, p.Advice)
			}
			if sum := p.OnCPU.Or(0) + p.RunQueue.Or(0) + p.Blocked.Or(0); p.Blocked.Or(0) != 0 && sum != p.Wall {
				t.Errorf("on CPU, run queue and blocked add up to %v, want %v", sum, p.Wall)
			}
		})
	}
}

func TestTableOmitsUnknownValues(t *testing.T) {
	full := (&factors{
		calls: 10, processors: 2, wall: 90 * ms, cpu: some(10 * ms), queue: some(40 * ms),
		trace: traced(20*ms, 30*ms, Wait{"sleep", 40 * ms, 10}),
	}).classify()
	for _, want := range []string{"mixed: ", "on a CPU", "run queue", "±", "for sleep", "Go's scheduler", "9ms"} {
		if !strings.Contains(full.String(), want) {
			t.Errorf("%q is missing from\n%v", want, full)
		}
	}
	bare := (&factors{calls: 1, processors: 2, wall: 90 * ms, traceErr: errOther}).classify()
	for _, absent := range []string{"on a CPU  ", "run queue", "for sleep", "Go's scheduler", "switches", "page faults"} {
		if strings.Contains(bare.String(), absent) {
			t.Errorf("%q must not be in\n%v", absent, bare)
		}
	}
}
