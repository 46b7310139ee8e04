package proc

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/internal/fixture"
	"github.com/poolgauge/poolgauge/internal/kernfile"
)

const statLine = "7 (%s) S 1 7 7 0 -1 4194560 1200 5 3 6 150 50 0 0 20 0 9 0 4242 2048000 300 18446744073709551615 1 1 0 0\n"

func TestParseStat(t *testing.T) {
	want := Stat{
		MinorFaults: 1200, MajorFaults: 3, User: 1500 * time.Millisecond, System: 500 * time.Millisecond,
		Threads: 9, StartTime: 4242, Virtual: 2048000, Resident: 300 * pageSize,
	}
	for _, comm := range []string{"app", "tmux: server", "a) S 1 (b", "(sd-pam)", "", "x\n)"} {
		want.Comm = comm
		got, err := parseStat([]byte(strings.Replace(statLine, "%s", comm, 1)))
		if err != nil || got != want {
			t.Errorf("comm %q: got %+v, %v; want %+v", comm, got, err, want)
		}
	}
}

func TestParseStatErrors(t *testing.T) {
	for in, want := range map[string]string{
		"":                                      "no process name in parentheses",
		")(":                                    "no process name in parentheses",
		"7 (app) S 1 7":                         "ends before field 10",
		"7 (app)":                               "ends before field 10",
		"7 (app) S 1 7 7 0 -1 4194560 many 5 3": `field 10: "many" is not a number`,
	} {
		if _, err := parseStat([]byte(in)); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", in, err, want)
		}
	}
}

func TestParseSchedstatAndSwitches(t *testing.T) {
	if got, err := parseSchedstat([]byte("100 200 3\n")); err != nil || got.Value != 200 || !got.Defined {
		t.Errorf("run delay: got %v, %v; want 200", got, err)
	}
	for _, in := range []string{"", "5", "5 x 3"} {
		if got, err := parseSchedstat([]byte(in)); err == nil || got.Defined {
			t.Errorf("%q: got %v, %v; want an undefined value and an error", in, got, err)
		}
	}
	v, nv, err := parseSwitches([]byte("Name:\ta\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n"))
	if err != nil || v.Value != 12 || nv.Value != 3 || !v.Defined || !nv.Defined {
		t.Errorf("switches: got %v, %v, %v; want 12 and 3", v, nv, err)
	}
	v, nv, err = parseSwitches([]byte("voluntary_ctxt_switches:\tno\nnonvoluntary_ctxt_switches:\t3\n"))
	if err == nil || v.Defined || !nv.Defined {
		t.Errorf("a malformed count must not affect the other: got %v, %v, %v", v, nv, err)
	}
	if v, nv, err = parseSwitches([]byte("Name:\ta\n")); err != nil || v.Defined || nv.Defined {
		t.Errorf("without counts, as on an old kernel: got %v, %v, %v", v, nv, err)
	}
}

// writeThread writes the files of a thread of process 7.
func writeThread(t *testing.T, dir, tid, runDelay, voluntary, involuntary string) {
	t.Helper()
	fixture.Write(t, dir, "7/task/"+tid+"/schedstat", "1000 "+runDelay+" 5\n")
	fixture.Write(t, dir, "7/task/"+tid+"/status",
		"Name:\ta\nvoluntary_ctxt_switches:\t"+voluntary+"\nnonvoluntary_ctxt_switches:\t"+involuntary+"\n")
}

func TestThreadTotalsNeverDecrease(t *testing.T) {
	dir := t.TempDir()
	f := NewFS(dir)
	var threads Threads
	expect := func(when string, runDelay time.Duration, voluntary, involuntary int64) {
		t.Helper()
		got, err := threads.Read(f, 7)
		if err != nil {
			t.Errorf("%s: %v", when, err)
		}
		if got.RunDelay.Value != runDelay || got.Voluntary.Value != voluntary || got.Involuntary.Value != involuntary ||
			!got.RunDelay.Defined || !got.Voluntary.Defined || !got.Involuntary.Defined {
			t.Errorf("%s: got %+v, want %v, %d, %d", when, got, runDelay, voluntary, involuntary)
		}
	}
	writeThread(t, dir, "7", "1000", "10", "1")
	writeThread(t, dir, "8", "500", "20", "2")
	expect("the first reading is the baseline", 0, 0, 0)
	writeThread(t, dir, "7", "1100", "11", "1")
	writeThread(t, dir, "9", "40", "4", "3")
	expect("counters increase, and a thread is new", 140, 5, 3)
	if err := os.RemoveAll(dir + "/7/task/8"); err != nil {
		t.Fatal(err)
	}
	expect("a thread exits", 140, 5, 3)
	if len(threads.known) != 2 {
		t.Errorf("remembers %d threads, want the 2 that are alive", len(threads.known))
	}
	writeThread(t, dir, "9", "7", "1", "1")
	expect("a thread exits, and a new one reuses its id", 147, 6, 4)
	writeThread(t, dir, "8", "3", "1", "0")
	expect("the id of the first exited thread is reused", 150, 7, 4)
}

func TestMalformedFileAffectsOnlyItsOwnValue(t *testing.T) {
	dir := t.TempDir()
	f := NewFS(dir)
	var threads Threads
	writeThread(t, dir, "7", "soon", "10", "1")
	got, err := threads.Read(f, 7)
	if err == nil || !strings.Contains(err.Error(), "/7/task/7/schedstat") || got.RunDelay.Defined ||
		!got.Voluntary.Defined {
		t.Errorf("got %+v, %v; want context switches, and an error that names the file", got, err)
	}
	writeThread(t, dir, "7", "5000", "10", "1")
	if got, err = threads.Read(f, 7); err != nil || got.RunDelay.Defined {
		t.Errorf("readable again: got %+v, %v; want no run delay until it increases", got, err)
	}
	writeThread(t, dir, "7", "5010", "10", "1")
	if got, err = threads.Read(f, 7); err != nil || got.RunDelay.Value != 10 {
		t.Errorf("got %+v, %v; want the increase since the file became readable, 10ns", got, err)
	}
}

// If a process has more threads than one reading covers, successive readings take turns, and the
// totals include all threads.
func TestManyThreadsAreReadInTurns(t *testing.T) {
	const many = 3*threadsPerReading + 7
	dir := t.TempDir()
	f := NewFS(dir)
	setRunDelays := func(value string) {
		for i := range many {
			writeThread(t, dir, strconv.Itoa(1000+i), value, "10", "1")
		}
	}
	var threads Threads
	read := func(times int) (got ThreadTotals) {
		for range times {
			var err error
			if got, err = threads.Read(f, 7); err != nil {
				t.Fatal(err)
			}
		}
		return got
	}
	setRunDelays("1000")
	read(4) // the baseline
	setRunDelays("1003")
	before := read(1)
	if got := before.RunDelay.Value; got != 3*threadsPerReading {
		t.Errorf("one reading added %v, want %v, the increase of the threads that it read", got, 3*threadsPerReading)
	}
	if got := read(3).RunDelay.Value; got != 3*many {
		t.Errorf("four readings added %v, want %v, the increase of all threads", got, 3*many)
	}
}

// A kernel without run-delay accounting writes zeros, which must not be reported as a run delay of
// 0.
func TestRunDelayIsUndefinedWithoutAccounting(t *testing.T) {
	dir := t.TempDir()
	fixture.Write(t, dir, "7/task/7/schedstat", "0 0 0\n")
	fixture.Write(t, dir, "7/task/7/status", "voluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t3\n")
	var threads Threads
	for range 2 {
		got, err := threads.Read(NewFS(dir), 7)
		if err != nil || got.RunDelay.Defined || !got.Voluntary.Defined {
			t.Errorf("got %+v, %v; want context switches and no run delay", got, err)
		}
	}
}

// The kernel also writes zeros for a thread that has not run yet. Its first wait is still counted.
func TestFirstWaitOfAThreadIsCounted(t *testing.T) {
	dir := t.TempDir()
	f := NewFS(dir)
	var threads Threads
	schedstat := func(tid, content string) {
		fixture.Write(t, dir, "7/task/"+tid+"/schedstat", content)
		if _, err := threads.Read(f, 7); err != nil {
			t.Fatal(err)
		}
	}
	schedstat("7", "10 100 1\n")
	schedstat("8", "0 0 0\n")
	schedstat("8", "5 40 1\n")
	if got := threads.totals.RunDelay; got.Value != 40 {
		t.Errorf("run delay %v, want 40, that of the new thread", got)
	}
}

func TestExitedProcessIsNotAnError(t *testing.T) {
	var threads Threads
	if got, err := threads.Read(NewFS(t.TempDir()), 7); err != nil || got != (ThreadTotals{}) {
		t.Errorf("got %+v, %v; want no totals and no error", got, err)
	}
}

func TestExecutableIsTheNameOfTheFile(t *testing.T) {
	dir := t.TempDir()
	fixture.Write(t, dir, "7/exe -> /usr/bin/some-long-name (deleted)", "")
	f := NewFS(dir)
	if got := f.Executable(7, "some-long-n"); got != "some-long-name" {
		t.Errorf("got %q, want some-long-name", got)
	}
	if got := f.Executable(8, "comm"); got != "comm" {
		t.Errorf("got %q, want comm, since there is no exe link", got)
	}
}

// TestSelf reads the files of the test process.
func TestSelf(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	f := NewFS("")
	pids, err := f.Pids(nil)
	if err != nil || len(pids) == 0 {
		t.Fatalf("pids: %v, %v", pids, err)
	}
	file := kernfile.NewFile(f.Path(strconv.Itoa(os.Getpid()), "stat"))
	s, err := f.Stat(&file)
	if err != nil || s.Resident == 0 || s.Virtual == 0 || s.Threads == 0 || s.StartTime == 0 {
		t.Errorf("got %+v, %v; want non-zero values", s, err)
	}
	if got, want := f.Executable(os.Getpid(), ""), filepath.Base(os.Args[0]); got != want {
		t.Errorf("executable: got %q, want %q", got, want)
	}
	var threads Threads
	if _, err := threads.Read(f, os.Getpid()); err != nil {
		t.Error(err)
	}
}

func BenchmarkThreads(b *testing.B) {
	var threads Threads
	f := NewFS("")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := threads.Read(f, os.Getpid()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(threads.known)), "threads")
}
