package diagnose

import (
	"maps"
	"math"
	"testing"
	"time"
)

// advance advances the pool's Figures by ten seconds in which the pool behaves as in w.
func advance(f *Figures, w Window) {
	f.At = f.At.Add(10 * time.Second)
	f.Limit, f.Pending, f.UseAge, f.HeldBack, f.Longest = w.Limit, w.Pending, w.UseAge, math.NaN(), math.NaN()
	f.Served += w.Served * w.Seconds
	f.WaitTime += w.Wait * w.Served * w.Seconds
	f.Ended += w.Ended
	used := w.Utilization * w.Limit * w.Seconds
	f.UseTime += used
	f.EndedTime += w.Use * w.Ended
	f.OnCPU += w.OnCPU * used
	f.RunQueue += w.RunQueue * used
	f.Blocked += w.Blocked * used
}

func TestJudgeHoldsVerdictsThatRecur(t *testing.T) {
	var j Judge
	f := Figures{At: time.Unix(1000, 0)}
	slow := congested()
	slow.Use, slow.Ended = 0.5, 198
	hang := congested()
	hang.Ended, hang.Use = 0, 0
	for i, c := range []struct {
		window Window
		holds  Verdict
	}{
		{healthy(), Undetermined},
		{healthy(), Undetermined},
		{healthy(), OK},
		{healthy(), OK},
		{congested(), OK},
		{healthy(), OK},
		{congested(), TooSmall}, // two of the last three
		{healthy(), TooSmall},
		{healthy(), TooSmall},
		{healthy(), OK}, // three in a row
		{slow, OK},
		{slow, DownstreamSlow},
		{hang, DownstreamSlow},
		{hang, DownstreamSlow}, // undetermined does not count
		{healthy(), DownstreamSlow},
		{congested(), DownstreamSlow},
		{congested(), TooSmall},
	} {
		advance(&f, c.window)
		if holds, one := j.See(f, machine()); holds.Verdict != c.holds {
			t.Errorf("after window %d (%v alone): got verdict %v, want %v", i, one.Verdict, holds.Verdict, c.holds)
		}
	}
}

// Writes count as slow if they take much longer than usual for the disk. States includes earlier
// verdicts.
func TestHostJudgeLearnsWhatIsUsual(t *testing.T) {
	var j HostJudge
	if m := j.Machine(); !math.IsNaN(m.CPUs) {
		t.Errorf("before the first measurement: got %v CPUs, want NaN", m.CPUs)
	}
	f := UnknownHost(time.Unix(1000, 0))
	f.CPUs, f.BusyTime, f.QueueTime, f.Writes, f.WriteTime = 4, 0, 0, 0, 0
	see := func(write float64) HostVerdict {
		f.At = f.At.Add(10 * time.Second)
		f.BusyTime, f.QueueTime = f.BusyTime+10, f.QueueTime+0.1
		f.Writes, f.WriteTime = f.Writes+2, f.WriteTime+2*write
		holds, _ := j.See(f)
		return holds.Verdict
	}
	for i, c := range []struct {
		write float64
		holds HostVerdict
	}{
		{0.02, HostUndetermined},
		{0.2, HostUndetermined}, // the usual value is not known yet
		{0.02, HostOK},
		{0.02, HostOK},
		{0.9, HostOK},
		{0.9, DiskSlow},
		{0.02, DiskSlow},
		{0.02, DiskSlow},
		{0.02, HostOK},
	} {
		if v := see(c.write); v != c.holds {
			t.Errorf("after window %d: got verdict %v, want %v", i, v, c.holds)
		}
	}
	states := map[HostVerdict]bool{}
	for v, holds := range j.States() {
		states[v] = holds
	}
	if want := map[HostVerdict]bool{HostUndetermined: false, HostOK: true, DiskSlow: false}; !maps.Equal(states, want) {
		t.Errorf("got states %v, want %v", states, want)
	}
}

// Lost slots are remembered until they are returned or the pool is restarted.
func TestJudgeRemembersALeak(t *testing.T) {
	var j Judge
	f := Figures{At: time.Unix(1000, 0)}
	leak := healthy()
	leak.Utilization += 0.3
	all := congested() // no slot is left
	all.Utilization, all.Ended, all.Use = 1, 0, 0
	back := healthy()
	back.Use *= 2
	for i, c := range []struct {
		window Window
		want   Verdict
	}{
		{healthy(), Undetermined},
		{healthy(), OK},
		{healthy(), OK},
		{healthy(), OK},
		{leak, OK}, // one use may take that long
		{leak, Leaking},
		{all, Leaking},
		{all, Leaking},
		{back, OK},
		{all, Undetermined}, // may be a hang, since the leaked slots were returned
	} {
		advance(&f, c.window)
		if _, one := j.See(f, machine()); one.Verdict != c.want {
			t.Errorf("window %d: got %v (%s), want %v", i, one.Verdict, one.Evidence, c.want)
		}
	}
}

// Slots of a pool with billions of them are bytes, for which there is no recommended limit.
func TestNoLimitIsRecommendedForBytes(t *testing.T) {
	for limit, recommends := range map[float64]bool{8 << 30: false, 10: true} {
		var j Judge
		f := Figures{At: time.Unix(1000, 0)}
		w := healthy()
		if w.Limit = limit; !recommends {
			w.Utilization, w.Served, w.Ended, w.Use, w.Wait = 500_000/limit, 100_000, 1_000_000, 5, 0
		}
		for range 2 * remembered {
			advance(&f, w)
			j.See(f, machine())
		}
		if n := j.Recommends(); (n != 0) != recommends {
			t.Errorf("limit %v: recommends %d", limit, n)
		}
	}
}

// BenchmarkJudge judges one window of one pool, which takes about a microsecond and happens once
// every ten seconds.
func BenchmarkJudge(b *testing.B) {
	var j Judge
	f := Figures{At: time.Unix(1000, 0)}
	m := machine()
	for b.Loop() {
		advance(&f, healthy())
		j.See(f, m)
	}
}
