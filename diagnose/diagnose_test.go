package diagnose

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// healthy returns a window of ten seconds in which half of a pool's ten slots are used, by 100 uses
// per second of 50 ms each.
func healthy() Window {
	return Window{
		Seconds: 10, Limit: 10, Utilization: 0.5, Served: 100, Ended: 1000, Wait: 0.001, Use: 0.05,
		UseAge: math.NaN(), OnCPU: 0.2, RunQueue: 0.01, Blocked: 0.79,
	}
}

// congested returns a window in which the same pool is full, and requests wait for twice the
// duration of a use.
func congested() Window {
	w := healthy()
	w.Utilization, w.Ended, w.Pending, w.Wait = 0.99, 1980, 20, 0.1
	return w
}

func machine() Machine {
	m := UnknownMachine()
	m.CPUs, m.BusyCPUs, m.Throttled, m.LockWait, m.Runnable, m.RunDelay = 8, 3, 0, 0.01, 0.2, 0.02
	return m
}

func TestPoolNamesTheCause(t *testing.T) {
	for _, c := range []struct {
		name     string
		change   func(w *Window, m *Machine, u *Usual)
		verdict  Verdict
		evidence string
	}{
		{
			"a full pool on an idle machine", func(*Window, *Machine, *Usual) {}, TooSmall,
			"99% of 10 slots were used, requests waited 100ms, uses took 50ms; uses take no longer than usual, and 20% of their time is on a CPU",
		},
		{"requests that are refused without waiting", func(w *Window, _ *Machine, _ *Usual) { w.Pending, w.Wait, w.Refused = 0, 0, 0.2 }, TooSmall, "20% were refused"},
		{"a limit that changed", func(w *Window, _ *Machine, _ *Usual) { w.Limit = math.NaN() }, Undetermined, "has changed"},
		{"uses that fail", func(w *Window, _ *Machine, _ *Usual) { w.Failed = 0.7 }, Failing, "70% of 1980 uses failed"},
		{"resources that cannot be created", func(w *Window, _ *Machine, _ *Usual) { w.Ended, w.NotMade = 0, 40 }, Failing, "40 resources"},
		{"free slots while a large request waits", func(w *Window, _ *Machine, _ *Usual) { w.Utilization, w.HeldBack = 0.6, 0.3 }, HeadOfLine, "30% of 10 slots were free while requests waited 100ms on average"},
		{"slots that are rarely free while requests wait", func(w *Window, _ *Machine, _ *Usual) { w.HeldBack = 0.05 }, TooSmall, "99% of 10"},
		{"uses that did not end for a window", func(w *Window, _ *Machine, u *Usual) { w.Held, u.HeldFor = 6, 10 }, Undetermined, "hold 6.0 slots"},
		{"uses that last for minutes", func(w *Window, _ *Machine, u *Usual) { w.Held, u.HeldFor, w.Longest = 6, 60, 100 }, Undetermined, "hold 6.0 slots"},
		{"permanent uses", func(w *Window, _ *Machine, u *Usual) { w.Held, u.HeldFor, u.Held = 6, 0, 6 }, TooSmall, "99% of 10"},
		{"usual values that are unknown", func(w *Window, _ *Machine, u *Usual) { w.Held, *u = 6, unknownUsual() }, Undetermined, "hold 6.0 slots"},
		{"a leak of all slots", func(w *Window, _ *Machine, u *Usual) { w.Held, w.Ended, u.Lost = 10, 0, 9 }, Leaking, "hardly any other uses ended"},
		{"uses that do not end, with a known age", func(w *Window, _ *Machine, u *Usual) {
			w.Held, u.HeldFor, w.Longest, w.UseAge = 6, 20, 2, 95
		}, Leaking, "by uses that do not end, the oldest for 1m35s; the 1980 other uses"},
		{"uses that are no older than the longest that ended", func(w *Window, _ *Machine, u *Usual) {
			w.Held, u.HeldFor, w.Longest, w.UseAge = 6, 20, 2, 1.5
		}, Undetermined, "hold 6.0 slots"},
		{"lost slots that were returned", func(w *Window, _ *Machine, u *Usual) {
			w.Held, u.Lost, w.Longest, w.UseAge = 9, 9, 90, 1.5
		}, Undetermined, "hold 9.0 slots"},
		{"uses that do not end", func(w *Window, _ *Machine, u *Usual) { w.Held, u.HeldFor = 6, 20 }, Leaking, "6.0 of 10 slots are held by uses that do not end"},
		{"all uses hang", func(w *Window, _ *Machine, _ *Usual) { w.Held, w.Ended, w.Use = 10, 0, math.NaN() }, Undetermined, "the others are hung, or take this long"},
		{"tasks that use all CPUs", func(w *Window, m *Machine, _ *Usual) { w.OnCPU, w.Blocked, m.BusyCPUs = 0.75, 0.2, 7.8 }, CPUSaturated, "used 7.4 of 8.0 CPUs"},
		{"other processes that use the CPUs", func(w *Window, _ *Machine, _ *Usual) { w.RunQueue, w.Blocked = 0.5, 0.3 }, Starved, "waited for a CPU 50%"},
		{"a lock", func(_ *Window, m *Machine, _ *Usual) { m.LockWait = 6 }, LockContention, "6.0 goroutines waited for locks"},
		{"uses that are blocked longer than usual", func(w *Window, _ *Machine, _ *Usual) { w.Use = 0.25 }, DownstreamSlow, "each use was blocked for 198ms, and a use usually takes 50ms"},
		{"longer uses for an unknown reason", func(w *Window, _ *Machine, _ *Usual) {
			w.Use, w.OnCPU, w.RunQueue, w.Blocked = 0.25, math.NaN(), math.NaN(), math.NaN()
		}, Undetermined, "for an unknown reason"},
		{"longer uses that the process cannot have spent on a CPU", func(w *Window, m *Machine, _ *Usual) {
			w.Use, w.OnCPU, w.RunQueue, w.Blocked, m.BusyCPUs, m.Runnable = 0.25, math.NaN(), math.NaN(), math.NaN(), 0.2, 0
		}, DownstreamSlow, "a use usually takes 50ms"},
		{"a process that uses all CPUs", func(w *Window, m *Machine, _ *Usual) {
			w.Use, w.OnCPU, w.RunQueue, w.Blocked, m.BusyCPUs = 0.25, math.NaN(), math.NaN(), math.NaN(), 7.8
		}, CPUSaturated, "the process's threads used 7.8 of 8.0 CPUs"},
		{"goroutines without a processor", func(w *Window, m *Machine, _ *Usual) {
			w.Use, m.Runnable, m.RunDelay = 0.25, 4, 0.5
		}, Starved, "waited for a CPU"},
		{"goroutines that were ready at one instant, in a process that hardly uses the CPUs", func(_ *Window, m *Machine, _ *Usual) {
			m.Runnable, m.BusyCPUs, m.RunDelay = 4, 0.6, 4
		}, TooSmall, "uses take no longer than usual"},
		{"a pool that does not measure its uses", func(w *Window, _ *Machine, _ *Usual) {
			w.Use, w.OnCPU, w.RunQueue, w.Blocked = math.NaN(), math.NaN(), math.NaN(), math.NaN()
		}, Undetermined, "waited 100ms, and it is unknown how its uses spend their time"},
		{"a shrinking backlog", func(w *Window, _ *Machine, _ *Usual) { w.Grown = -100 }, Undetermined, "more requests were served than arrived, and 100 fewer wait than before"},
		{"a backlog that shrinks by chance", func(w *Window, _ *Machine, _ *Usual) { w.Grown = -60 }, TooSmall, "99% of 10"},
		{"a long backlog that shrinks slowly", func(w *Window, _ *Machine, _ *Usual) { w.Served, w.Grown = 1000, -450 }, TooSmall, "99% of 10"},
		{"a backlog that shrinks since requests are refused", func(w *Window, _ *Machine, _ *Usual) { w.Grown, w.Refused = -100, 0.2 }, TooSmall, "20% were refused"},
		{"a shrinking backlog of a pool that never refuses", func(w *Window, _ *Machine, _ *Usual) { w.Grown, w.Refused = -100, math.NaN() }, Undetermined, "100 fewer wait"},
		{"a shrinking backlog of slow uses", func(w *Window, _ *Machine, _ *Usual) { w.Use, w.Grown = 0.25, -100 }, DownstreamSlow, "a use usually takes 50ms"},
		{"free slots", func(w *Window, _ *Machine, _ *Usual) { *w = healthy() }, OK, "50% of 10 slots"},
		{"hardly any use", func(w *Window, _ *Machine, _ *Usual) { *w = healthy(); w.Utilization = 0.02 }, Oversized, "0.2 of 10 slots"},
		{"hardly any use of 8 slots", func(w *Window, _ *Machine, _ *Usual) { *w = healthy(); w.Limit, w.Utilization = 8, 0.02 }, Oversized, "0.2 of 8 slots"},
		{"hardly any use of a small pool", func(w *Window, _ *Machine, _ *Usual) { *w = healthy(); w.Limit, w.Utilization = 7, 0.02 }, OK, "2% of 7 slots"},
		{"waits in bursts", func(w *Window, _ *Machine, _ *Usual) { *w = healthy(); w.Wait = 0.1 }, Undetermined, "in bursts"},
		{"bursts that keep most slots used", func(w *Window, _ *Machine, _ *Usual) {
			w.Utilization, w.Pending, w.Wait = 0.86, 0, 3.5
		}, Undetermined, "in bursts"},
		{"requests of many sizes that block each other", func(w *Window, _ *Machine, _ *Usual) {
			w.Utilization, w.HeldBack, w.Wait = 0.96, 0.035, 2
		}, TooSmall, "96% of 10 slots"},
		{"slots that are almost always used", func(w *Window, _ *Machine, _ *Usual) {
			w.Utilization, w.Wait = 0.998, 3.5
		}, TooSmall, "100% of 10 slots"},
		{"waits as long as with random arrivals", func(w *Window, _ *Machine, _ *Usual) {
			w.Utilization, w.Wait = 0.9, 0.05
		}, TooSmall, "90% of 10 slots"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, m := congested(), machine()
			usual := Usual{Use: 0.05, Blocked: 0.04, Lost: math.NaN()}
			c.change(&w, &m, &usual)
			f := Pool(w, m, usual)
			if f.Verdict != c.verdict || !strings.Contains(f.Evidence, c.evidence) {
				t.Errorf("got %v: %s\nwant %v: … %s …", f.Verdict, f.Evidence, c.verdict, c.evidence)
			}
		})
	}
}

// No pool is judged faulty because values are missing, even if it reports nothing but its limit and
// its utilization.
func TestNoRuleHoldsForUnknownValues(t *testing.T) {
	unknown := math.NaN()
	w := Window{
		unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown,
		unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown,
	}
	for _, limit := range []float64{unknown, 10} {
		for _, utilization := range []float64{unknown, 1} {
			w.Limit, w.Utilization = limit, utilization
			if f := Pool(w, UnknownMachine(), unknownUsual()); f.Verdict.Convicts() {
				t.Errorf("limit %v, utilization %v: got fault %v (%s)", limit, utilization, f.Verdict, f.Evidence)
			}
		}
	}
	if f := Host(UnknownMachine(), unknown); f.Verdict != HostUndetermined {
		t.Errorf("unknown machine: got %v, want %v", f, HostUndetermined)
	}
}

func TestHostNamesTheShortage(t *testing.T) {
	for _, c := range []struct {
		change  func(m *Machine)
		verdict HostVerdict
	}{
		{func(*Machine) {}, HostOK},
		{func(m *Machine) { m.Throttled, m.RunDelay = 0.4, 2 }, Throttled},
		{func(m *Machine) { m.MemoryPressure = 0.2 }, MemoryPressure},
		{func(m *Machine) { m.Steal = 0.3 }, Steal},
		{func(m *Machine) { m.RunDelay = 1 }, NoisyNeighbor},
		{func(m *Machine) { m.RunDelay, m.BusyCPUs = 1, 7.9 }, HostOK}, // the pool's own threads compete
		{func(m *Machine) { m.Stretch = 1.8 }, NoisyNeighbor},
		{func(m *Machine) { m.Stretch, m.RunDelay = 1.8, math.NaN() }, NoisyNeighbor},
		{func(m *Machine) { m.Stretch = 1.2 }, HostOK},
		{func(m *Machine) { m.Stretch, m.BusyCPUs = 1.8, 6.5 }, HostOK}, // the process's own threads may cause the stretch
		{func(m *Machine) { m.Stretch, m.BusyCPUs = 1.8, math.NaN() }, HostOK},
		{func(m *Machine) {
			*m = UnknownMachine()
			m.Stretch = 1.8
		}, HostUndetermined},
		{func(m *Machine) { m.Write = 0.08 }, DiskSlow},
		{func(m *Machine) { m.Write = 0.02 }, HostOK},
	} {
		m := machine()
		c.change(&m)
		if f := Host(m, 0.01); f.Verdict != c.verdict {
			t.Errorf("got %v, want %v: %s", f.Verdict, c.verdict, f.Evidence)
		}
	}
}

func TestBetweenTakesDifferences(t *testing.T) {
	at := time.Unix(1000, 0)
	from := Figures{
		At: at, Limit: 4, Served: 10, Refused: 5, WaitTime: 3, Ended: 8, Failed: 1, NotMade: 2,
		UseTime: 100, EndedTime: 90, HeldBack: 5, OnCPU: 10, RunQueue: 20, Blocked: 60,
	}
	to := Figures{
		At:        at.Add(10 * time.Second),
		Limit:     4,
		Pending:   7,
		UseAge:    6,
		Served:    40,
		Refused:   15,
		WaitTime:  9,
		Ended:     28,
		Failed:    6,
		NotMade:   9,
		UseTime:   130,
		EndedTime: 110,
		Longest:   2,
		HeldBack:  9,
		OnCPU:     13,
		RunQueue:  25,
		Blocked:   72,
	}
	want := Window{
		Seconds:     10,
		Limit:       4,
		Utilization: 0.75,
		HeldBack:    0.1,
		Pending:     7,
		Grown:       7,
		Served:      3,
		Refused:     0.25,
		Wait:        0.2,
		Ended:       20,
		Failed:      0.25,
		NotMade:     7,
		Use:         1,
		Longest:     2,
		Held:        1,
		UseAge:      6,
		OnCPU:       0.15,
		RunQueue:    0.25,
		Blocked:     0.6,
	}
	if w := Between(from, to); w != want {
		t.Errorf("got  %+v\nwant %+v", w, want)
	}
	to.Limit = 5
	if w := Between(from, to); !math.IsNaN(w.Limit) {
		t.Errorf("the limit changed: got %v, want NaN", w.Limit)
	}
	to.Served = 3
	if w := Between(from, to); !math.IsNaN(w.Seconds) || Pool(w, machine(), Usual{}).Verdict != Undetermined {
		t.Errorf("the pool was restarted: got %+v, want an unknown length and no verdict", w)
	}
}

func TestAPoolWithoutUsesHasSpentNoTime(t *testing.T) {
	var s instrument.Stats
	s.Requests[instrument.Acquired], s.Completed[instrument.OK] = instrument.Some[int64](0), instrument.Some[int64](0)
	if f := FiguresOf(&s, time.Unix(5, 0)); f.WaitTime != 0 || f.EndedTime != 0 {
		t.Errorf("got WaitTime %v and EndedTime %v, want 0", f.WaitTime, f.EndedTime)
	}
}

func TestFiguresOfAbsentValuesAreNaN(t *testing.T) {
	var wait, use instrument.Histogram
	wait.Record(2 * time.Second)
	use.Record(3 * time.Second)
	s := instrument.Stats{
		Limit:      instrument.Some(int64(4)),
		Pending:    instrument.Some(int64(2)),
		PendingAge: instrument.Some(time.Second),
		UseTime: instrument.Some(
			7.0,
		),
		HeldBack: instrument.Some(0.5),
		Use:      &use,
		UseAge:   instrument.Some(4 * time.Second),
	}
	s.Usage[instrument.Used], s.Usage[instrument.Idle] = instrument.Some(int64(3)), instrument.Some(int64(1))
	s.Requests[instrument.Acquired], s.Requests[instrument.TimedOut] = instrument.Some(
		int64(11),
	), instrument.Some(
		int64(5),
	)
	s.Completed[instrument.OK], s.Completed[instrument.Failed] = instrument.Some(int64(9)), instrument.Some(int64(6))
	s.Wait[instrument.Acquired] = &wait
	s.Resources = []instrument.Resources{
		{Event: instrument.Created, Count: 13},
		{Event: instrument.CreateFailed, Count: 8},
	}
	f := FiguresOf(&s, time.Unix(5, 0))
	for _, v := range []float64{f.OnCPU, f.RunQueue, f.Blocked} {
		if !math.IsNaN(v) {
			t.Errorf("absent value: got %v, want NaN", v)
		}
	}
	f.OnCPU, f.RunQueue, f.Blocked = 0, 0, 0
	want := Figures{
		At: time.Unix(5, 0), Limit: 4, Pending: 2, UseAge: 4, Served: 11, Refused: 5, WaitTime: 2, Ended: 15, Failed: 6,
		NotMade: 8, UseTime: 7, EndedTime: 3, Longest: 3, HeldBack: 0.5,
	}
	if f != want {
		t.Errorf("got  %+v\nwant %+v", f, want)
	}
	if f := FiguresOf(
		&instrument.Stats{},
		time.Unix(5, 0),
	); !math.IsNaN(f.Limit) || !math.IsNaN(f.Served) || !math.IsNaN(f.UseAge) ||
		!math.IsNaN(f.WaitTime) {
		t.Errorf("empty Stats: got %+v, want NaN", f)
	}
}

// Counters that decreased, and windows of length zero, yield unknown values.
func TestHostBetweenTakesDifferences(t *testing.T) {
	from := HostFigures{time.Unix(1000, 0), 2, 9, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 10, 11}
	to := HostFigures{time.Unix(1010, 0), 4, 8, 15, 30, 80, 50, 55, 61, 80, 81, 94, 102, 12, 14}
	want := Machine{
		CPUs:           4,
		BusyCPUs:       0.5,
		Throttled:      0.5,
		MemoryPressure: 0.1,
		Steal:          0.1,
		RunDelay:       2,
		Write:          0.5,
		Stretch:        1.5,
		LockWait:       5,
		Runnable:       2,
	}
	if m := HostBetween(from, to); m != want {
		t.Errorf("got %+v, want %+v", m, want)
	}
	to.BusyTime = 5
	if m := HostBetween(from, to); !math.IsNaN(m.BusyCPUs) || !math.IsNaN(m.RunDelay) || m.LockWait != 5 {
		t.Errorf("the process was restarted: got %+v, want BusyCPUs and RunDelay NaN, LockWait 5", m)
	}
	if m := HostBetween(to, to); !math.IsNaN(m.CPUs) {
		t.Errorf("a window of length zero: got %+v, want NaN", m)
	}
}
