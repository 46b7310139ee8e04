package probe

import (
	"runtime"
	"testing"
	"time"
)

func TestParseSchedstat(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"1715558 323494 1\n":     323494,
		"1 0 1\n":                0,
		"0 0 0\n":                -1, // a kernel that does not keep them
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

func FuzzParseSchedstat(f *testing.F) {
	f.Add([]byte("1715558 323494 1\n"))
	f.Add([]byte("0 0 0\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, ok := parseSchedstat(b); d < 0 || !ok && d != 0 {
			t.Errorf("%q gave %v, %v", b, d, ok)
		}
	})
}

func TestThreadClocks(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cpu, parked := threadCPU(), threadParked()
	time.Sleep(20 * time.Millisecond) // CPU time does not pass, and the thread goes to sleep at least once
	if used := threadCPU() - cpu; used <= 0 || used >= 20*time.Millisecond {
		t.Errorf("sleeping for 20ms used %v of CPU time", used)
	}
	if threadParked() == parked {
		t.Error("sleeping did not count as parking")
	}
	delay, err := openRunDelay()
	if err != nil {
		t.Skip(err)
	}
	defer delay.close()
	if d, ok := delay.total(); ok && d < 0 {
		t.Errorf("run delay %v", d)
	}
}
