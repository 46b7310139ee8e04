package thread

import (
	"os"
	"runtime"
	"testing"
	"time"
)

func TestParseSchedstat(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"1715558 323494 1\n":     323494,
		"1 0 1\n":                0,
		"0 73 1\n":               73, // a thread that has just started
		"5 0 0\n":                -1,
		"0 0 0\n":                -1, // a kernel that does not record run-queue delay
		"1715558 323494\n":       -1,
		"1715558 -1 1\n":         -1,
		"a b c\n":                -1,
		"":                       -1,
		"1 99999999999999999999": -1,
	} {
		got, ok := parseSchedstat([]byte(in))
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: got %v, %v, want %v", in, got, ok, want)
		}
	}
}

func TestTheDelayOfAThreadThatHasEndedIsUnknown(t *testing.T) {
	if delay, ok := readSchedstat(-1); ok {
		t.Errorf("got %v, want no delay", delay)
	}
}

func FuzzParseSchedstat(f *testing.F) {
	f.Add([]byte("1715558 323494 1\n"))
	f.Add([]byte("0 0 0\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, ok := parseSchedstat(b); d < 0 || !ok && d != 0 {
			t.Errorf("%q: got %v, %v; want a delay of at least 0, and of 0 if it is unknown", b, d, ok)
		}
	})
}

func TestSleepingTakesNoCPUTimeAndIsAVoluntarySwitch(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cpu := CPU()
	counts, known := ReadCounts()
	if !known {
		t.Fatal("ReadCounts returned no counts")
	}
	// uses little CPU time, and puts the thread to sleep at least once
	time.Sleep(20 * time.Millisecond)
	if used := CPU() - cpu; used <= 0 || used >= 20*time.Millisecond {
		t.Errorf("sleeping for 20ms used %v of CPU time, want little but more than 0", used)
	}
	if after, _ := ReadCounts(); after.Voluntary == counts.Voluntary {
		t.Error("sleeping did not count as a voluntary switch")
	}
	delay, err := OpenDelay()
	if err != nil {
		t.Skip(err)
	}
	defer delay.Close()
	if d, ok := delay.Total(); ok && d < 0 {
		t.Errorf("got run delay %v, want at least 0", d)
	}
}

func TestMeterSplitsTheWallTime(t *testing.T) {
	var m Meter
	before := descriptors(t)
	for range 3 {
		m.Start()
		time.Sleep(20 * time.Millisecond)
		s, ok := m.Stop()
		if !ok {
			t.Skip("the kernel does not record run-queue delay")
		}
		if s.Wall < 20*time.Millisecond || s.OnCPU <= 0 || s.OnCPU+s.RunQueue+s.Blocked != s.Wall {
			t.Errorf("sleeping for 20ms: got %+v", s)
		}
	}
	m.Start()
	for cpu := CPU(); CPU()-cpu < 5*time.Millisecond; {
		continue
	}
	if s, _ := m.Stop(); s.OnCPU < 5*time.Millisecond {
		t.Errorf("computing for 5ms: got %+v", s)
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d more descriptors are open than before", after-before)
	}
}

func TestProcessDelayIsKnownIfThreadDelayIs(t *testing.T) {
	own, err := OpenDelay()
	if err != nil {
		t.Skip(err)
	}
	defer own.Close()
	_, want := own.Total()
	if total, ok := ProcessDelay(); ok != want || total < 0 {
		t.Errorf("got %v, %v; want a delay, %v", total, ok, want)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(names)
}

func BenchmarkMeter(b *testing.B) {
	var m Meter
	for b.Loop() {
		m.Start()
		m.Stop()
	}
}
