package proc

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// threadsPerReading is the maximum number of a process's threads that one call to Read reads. If a
// process has more, successive readings take turns: the totals are complete but lag a few readings
// behind.
const threadsPerReading = 256

// ThreadTotals holds sums over the threads of a process since the process was first read. The sums
// never decrease.
type ThreadTotals struct {
	// time that threads were ready to run but waiting for a CPU, including throttling
	RunDelay    kernfile.Optional[time.Duration]
	Voluntary   kernfile.Optional[int64] // context switches because a thread had to wait
	Involuntary kernfile.Optional[int64] // context switches because a thread was preempted
}

// Threads sums, over all threads of a process, counters that the kernel keeps only per thread.
// /proc/<pid>/schedstat and /proc/<pid>/status hold only the main thread's counters, and a thread's
// counters disappear when the thread exits.
//
// Each reading adds the increase of every thread's counters since the previous reading. The first
// reading is the baseline. Increases between a thread's last reading and its exit are not counted,
// so the totals of processes with short-lived threads are slightly low. A Threads uses memory for
// each live thread. It is not safe for concurrent use.
type Threads struct {
	RunDelayOnly bool // skip the context switches

	known map[int]*thread
	round uint64 // number of readings
	// every thread has been read at least once, so a thread that is not known yet is new
	complete bool
	cursor   int // tid of the last thread read; 0 if the next reading starts over
	totals   ThreadTotals
	tids     []int
}

// thread is the state of a thread between readings.
type thread struct {
	last              threadCounters
	schedstat, status kernfile.File
	round             uint64 // value of Threads.round when the thread last existed
}

type threadCounters struct {
	runDelay, voluntary, involuntary kernfile.Optional[int64]
}

// Read reads the threads of the process pid and returns the totals. An error names the files that
// could not be read or parsed; the totals still include the counters in all other files. A thread
// that exits in the meantime is not an error.
func (t *Threads) Read(f *FS, pid int) (ThreadTotals, error) {
	var err error
	if t.tids, err = appendIDs(f.Path(strconv.Itoa(pid), "task"), t.tids[:0]); err != nil {
		return ThreadTotals{}, ignoreAbsent(err)
	}
	if t.known == nil {
		t.known = map[int]*thread{}
	}
	t.round++
	var errs []error
	due := t.due()
	for _, tid := range t.tids {
		state := t.known[tid]
		if state != nil {
			state.round = t.round
		}
		if due(tid) {
			errs = append(errs, t.readThread(f, pid, tid, state))
		}
	}
	if t.cursor == 0 {
		t.complete = true
	}
	for tid, state := range t.known {
		if state.round != t.round {
			delete(t.known, tid)
		}
	}
	return t.totals, errors.Join(errs...)
}

// readThread reads the thread tid and adds the increases of its counters to the totals. state is
// nil if the thread is not known yet.
func (t *Threads) readThread(f *FS, pid, tid int, state *thread) error {
	isNew := state == nil
	if isNew {
		dir := f.Path(strconv.Itoa(pid), "task", strconv.Itoa(tid))
		state = &thread{
			schedstat: kernfile.NewFile(dir + "/schedstat"), status: kernfile.NewFile(dir + "/status"), round: t.round,
		}
		t.known[tid] = state
	}
	now, err := state.read(f, t.RunDelayOnly)
	before := state.last
	if isNew {
		before = now // the baseline
		if t.complete {
			before = newborn
		}
	}
	t.add(before, now)
	state.last = now.or(before)
	return err
}

// due returns a function that reports whether this reading reads the thread tid. A reading covers
// all threads or, if there are too many, the next threadsPerReading in ascending order of ids.
func (t *Threads) due() func(tid int) bool {
	if len(t.tids) <= threadsPerReading {
		t.cursor = 0
		return func(int) bool { return true }
	}
	slices.Sort(t.tids)
	first, _ := slices.BinarySearch(t.tids, t.cursor+1)
	last := min(first+threadsPerReading, len(t.tids))
	from, to := t.tids[min(first, last-1)], t.tids[last-1]
	if t.cursor = 0; last < len(t.tids) {
		t.cursor = to
	}
	return func(tid int) bool { return tid >= from && tid <= to }
}

// newborn holds the counters of a thread at its start.
var newborn = threadCounters{
	runDelay: kernfile.Some[int64](0), voluntary: kernfile.Some[int64](0), involuntary: kernfile.Some[int64](0),
}

// add adds the increases of a thread's counters between two readings to the totals.
func (t *Threads) add(before, now threadCounters) {
	if gained, ok := gain(before.runDelay, now.runDelay); ok {
		t.totals.RunDelay = kernfile.Some(t.totals.RunDelay.Value + time.Duration(gained))
	}
	if gained, ok := gain(before.voluntary, now.voluntary); ok {
		t.totals.Voluntary = kernfile.Some(t.totals.Voluntary.Value + gained)
	}
	if gained, ok := gain(before.involuntary, now.involuntary); ok {
		t.totals.Involuntary = kernfile.Some(t.totals.Involuntary.Value + gained)
	}
}

// or returns c with undefined values replaced by those of the earlier reading.
func (c threadCounters) or(before threadCounters) threadCounters {
	for _, counter := range []struct{ to, from *kernfile.Optional[int64] }{
		{&c.runDelay, &before.runDelay}, {&c.voluntary, &before.voluntary}, {&c.involuntary, &before.involuntary},
	} {
		if !counter.to.Defined {
			*counter.to = *counter.from
		}
	}
	return c
}

// gain returns the increase of a counter between two readings. It returns false if either is
// undefined. A counter that fell belongs to a new thread with the same id, and started at 0.
func gain(before, now kernfile.Optional[int64]) (int64, bool) {
	switch {
	case !before.Defined || !now.Defined:
		return 0, false
	case now.Value < before.Value:
		return now.Value, true
	}
	return now.Value - before.Value, true
}

// read reads the counters of the thread. A counter whose file or line is missing is undefined.
func (t *thread) read(f *FS, runDelayOnly bool) (threadCounters, error) {
	var c threadCounters
	data, errSched := f.reader.ReadFile(&t.schedstat)
	if errSched == nil {
		if c.runDelay, errSched = parseSchedstat(data); errSched != nil {
			errSched = &os.PathError{Op: "parse", Path: t.schedstat.Path, Err: errSched}
		}
	}
	if runDelayOnly {
		return c, ignoreAbsent(errSched)
	}
	data, errStatus := f.reader.ReadFile(&t.status)
	if errStatus == nil {
		if c.voluntary, c.involuntary, errStatus = parseSwitches(data); errStatus != nil {
			errStatus = &os.PathError{Op: "parse", Path: t.status.Path, Err: errStatus}
		}
	}
	return c, errors.Join(ignoreAbsent(errSched), ignoreAbsent(errStatus))
}

// parseSchedstat returns the run delay in nanoseconds, the second of the three numbers of a
// schedstat file. It is undefined if all three are 0: either the kernel does not record run delay,
// or the thread has never run.
func parseSchedstat(data []byte) (kernfile.Optional[int64], error) {
	var numbers [3]int64
	fields := 0
	for field := range bytes.FieldsSeq(data) {
		v, err := kernfile.ParseInt(field)
		if err != nil {
			return kernfile.Optional[int64]{}, err
		}
		if numbers[fields] = v; fields == len(numbers)-1 {
			break
		}
		fields++
	}
	switch {
	case fields < 2:
		return kernfile.Optional[int64]{}, errors.New("expected at least two numbers")
	case numbers == [3]int64{}:
		return kernfile.Optional[int64]{}, nil
	}
	return kernfile.Some(numbers[1]), nil
}

// parseSwitches returns the numbers of voluntary and involuntary context switches in a status file.
// A number is undefined if the file has no line for it.
func parseSwitches(data []byte) (voluntary, involuntary kernfile.Optional[int64], err error) {
	kernfile.Table(data, func(e error) { err = e },
		kernfile.Key{Name: "voluntary_ctxt_switches:", To: &voluntary},
		kernfile.Key{Name: "nonvoluntary_ctxt_switches:", To: &involuntary},
	)
	return voluntary, involuntary, err
}

// ignoreAbsent returns nil if err means that the process or thread is gone or that the kernel lacks
// the file. Otherwise it returns err.
func ignoreAbsent(err error) error {
	if kernfile.Absent(err) {
		return nil
	}
	return err
}
