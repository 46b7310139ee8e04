package diagnose

import (
	"maps"
	"math"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/pools/sizing"
)

// report advances the pool's Figures by ten seconds in which the pool behaves as in w.
func report(f *Figures, w Window) {
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

func TestJudgeHoldsWhatComesBack(t *testing.T) {
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
		{well(), Undetermined},
		{well(), Undetermined},
		{well(), OK},
		{well(), OK},
		{congested(), OK},
		{well(), OK},
		{congested(), TooSmall}, // two of the last three
		{well(), TooSmall},
		{well(), TooSmall},
		{well(), OK}, // three in a row
		{slow, OK},
		{slow, DownstreamSlow},
		{hang, DownstreamSlow},
		{hang, DownstreamSlow}, // undetermined does not count
		{well(), DownstreamSlow},
		{congested(), DownstreamSlow},
		{congested(), TooSmall},
	} {
		report(&f, c.window)
		if holds, one := j.See(f, machine()); holds.Verdict != c.holds {
			t.Errorf("after window %d, which is %v, %v holds, want %v", i, one.Verdict, holds.Verdict, c.holds)
		}
	}
}

// Writes count as slow if they take much longer than usual for the disk. States includes earlier
// verdicts.
func TestHostJudgeLearnsWhatIsUsual(t *testing.T) {
	var j HostJudge
	if m := j.Machine(); !math.IsNaN(m.CPUs) {
		t.Errorf("a machine that was never seen has %v CPUs", m.CPUs)
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
			t.Errorf("after window %d %v holds, want %v", i, v, c.holds)
		}
	}
	states := map[HostVerdict]bool{}
	for v, holds := range j.States() {
		states[v] = holds
	}
	if want := map[HostVerdict]bool{HostUndetermined: false, HostOK: true, DiskSlow: false}; !maps.Equal(states, want) {
		t.Errorf("states %v, want %v", states, want)
	}
}

// Lost slots are remembered until they are returned or the pool is restarted.
func TestJudgeRemembersALeak(t *testing.T) {
	var j Judge
	f := Figures{At: time.Unix(1000, 0)}
	leak := well()
	leak.Utilization += 0.3
	all := congested() // no slot is left
	all.Utilization, all.Ended, all.Use = 1, 0, 0
	back := well()
	back.Use *= 2
	for i, c := range []struct {
		window Window
		want   Verdict
	}{
		{well(), Undetermined},
		{well(), OK},
		{well(), OK},
		{well(), OK},
		{leak, OK}, // one use may take that long
		{leak, Leaking},
		{all, Leaking},
		{all, Leaking},
		{back, OK},
		{all, Undetermined}, // if all slots were held at once, it may be a hang
	} {
		report(&f, c.window)
		if _, one := j.See(f, machine()); one.Verdict != c.want {
			t.Errorf("window %d is %v (%s), want %v", i, one.Verdict, one.Evidence, c.want)
		}
	}
}

// If uses are not timed, a slow leak and a downstream that slowly becomes slower look like a pool
// that is too small, but not more uses end than before. How full the pool is does not matter.
func TestJudgeOfUntimedUses(t *testing.T) {
	for name, c := range map[string]struct {
		leaks, slows, grows float64 // per window: slots lost, and relative changes of uses and of their rate
		holds               Verdict
	}{
		"more requests":                  {0, 0, 0.01, TooSmall},
		"a leak of a slot an hour":       {1. / 360, 0, 0, Undetermined},
		"a leak of a slot a minute":      {1. / 6, 0, 0, Undetermined},
		"uses that take longer":          {0, 0.01, 0, Undetermined},
		"many more requests, and a leak": {1, 0, 0.001, Undetermined},
	} {
		for load := 0.3; load < 0.85; load += 0.05 {
			const slots = 20
			var j Judge
			f := Figures{At: time.Unix(1000, 0)}
			use, rate, leaked := 0.1, load*slots/0.1, 0.0
			convicted := false
			for full := 0; full < 100; {
				w := untimed(Window{Seconds: 10, Limit: slots, UseAge: math.NaN()})
				free := slots - leaked
				wait, err := sizing.ErlangC(int(free), rate*use)
				if err != nil || rate*use > 0.99*free {
					w.Utilization, w.Served, w.Wait, w.Pending = 1, min(rate, free/use), 1, 20
					full++
				} else {
					w.Utilization, w.Served, w.Wait = (leaked+rate*use)/slots, rate, wait/(free-rate*use)*use
				}
				w.Ended = w.Served * w.Seconds
				report(&f, w)
				holds, _ := j.See(f, machine())
				convicted = convicted || holds.Verdict == TooSmall
				if full < 20 {
					leaked, use, rate = leaked+c.leaks, use*(1+c.slows), rate*(1+c.grows)
				}
			}
			if holds := j.Holds(); holds.Verdict != c.holds || convicted != (c.holds == TooSmall) {
				t.Errorf(
					"%s, load %.2f: %v holds, too small was said: %t; want %v",
					name,
					load,
					holds,
					convicted,
					c.holds,
				)
			}
		}
	}
}

// Nothing that was learned about untimed uses before the app was restarted counts afterwards, and a
// pool that is too small is no longer said to be once that is in doubt.
func TestJudgeForgetsUntimedUsesAtARestart(t *testing.T) {
	var j Judge
	f := Figures{At: time.Unix(1000, 0)}
	see := func(windows int, w Window) Verdict {
		var holds Finding[Verdict]
		for range windows {
			report(&f, untimed(w))
			holds, _ = j.See(f, machine())
		}
		return holds.Verdict
	}
	more, same := congested(), congested()
	same.Ended = 1000
	see(5, well())
	if v := see(2, more); v != TooSmall {
		t.Errorf("more uses end than ever, and %v holds", v)
	}
	if v := see(3, same); v != Undetermined {
		t.Errorf("no more uses end than before, and %v holds", v)
	}
	f = Figures{At: f.At}
	if v := see(4, more); v != Undetermined {
		t.Errorf("after a restart %v holds", v)
	}
}

// What counts is the least slot-seconds and the most uses while the pool was healthy, not the last.
func TestJudgeRemembersTheBestOfUntimedUses(t *testing.T) {
	for name, c := range map[string]struct {
		utilization, ended float64 // of the first healthy windows
		full               float64 // uses that end in a window once the pool is full
	}{
		"more uses ended at first":           {0.8, 1600, 1670},
		"uses took fewer slots at first":     {0.5, 1660, 1900},
		"both, and the last are as at first": {0.5, 1000, 1000},
	} {
		var j Judge
		f := Figures{At: time.Unix(1000, 0)}
		first, full := well(), congested()
		first.Utilization, first.Ended, full.Ended = c.utilization, c.ended, c.full
		for i := range 60 {
			w := well()
			if i < 20 {
				w = first
			} else if i >= 50 {
				w = full
			}
			report(&f, untimed(w))
			j.See(f, machine())
		}
		if holds := j.Holds(); holds.Verdict != Undetermined && holds.Verdict != OK {
			t.Errorf("%s: %v holds", name, holds)
		}
	}
}

// Until the first use has ended, a pool does not say that it times its uses. Their slot-seconds say
// nothing about their duration then.
func TestJudgeLearnsOnlyDurationsOfTimedUses(t *testing.T) {
	var j Judge
	f := Figures{At: time.Unix(1000, 0), Limit: 10, EndedTime: math.NaN()}
	j.See(f, machine())
	f.EndedTime = 0
	consumers := well()
	consumers.Ended = 10
	for range 4 {
		report(&f, consumers)
		j.See(f, machine())
	}
	if got := j.usual.Use; math.Abs(got-consumers.Use) > 1e-9 {
		t.Errorf("usually uses take %v s, want %v", got, consumers.Use)
	}
}

// BenchmarkJudge judges one window of one pool, which takes about a microsecond and happens once
// every ten seconds.
func BenchmarkJudge(b *testing.B) {
	var j Judge
	f := Figures{At: time.Unix(1000, 0)}
	m := machine()
	for b.Loop() {
		report(&f, well())
		j.See(f, m)
	}
}
