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

// perReading is how many threads of one process are read at once, since each costs some
// microseconds. A process with more has them read in turn, at one reading after the other: its
// totals are complete and lag behind by a few readings.
const perReading = 256

// ThreadTotals are sums over the threads of a process since it was first read. They never fall.
type ThreadTotals struct {
	// ready to run and waiting for a CPU, throttling included
	RunDelay    kernfile.Optional[time.Duration]
	Voluntary   kernfile.Optional[int64] // context switches because the thread waited for something
	Involuntary kernfile.Optional[int64] // context switches because another thread was due
}

// Threads accumulates the counters that the kernel keeps by thread only: /proc/<pid>/schedstat and
// /proc/<pid>/status show the main thread's, and a thread takes its own along when it exits.
//
// So each reading adds what every thread gained since the last one. The first reading is the zero
// line. What a thread gains between the last reading and its exit is lost; totals are therefore
// slightly low for processes with short-lived threads, and never fall. Memory is bounded by the
// threads alive. Not safe for concurrent use.
type Threads struct {
	RunDelayOnly bool // leaves the context switches out

	known  map[int]*thread
	round  uint64
	whole  bool // every thread there was has been read once: what is new now is newborn
	cursor int  // threads up to here have had their turn
	totals ThreadTotals
	tids   []int
}

// thread is what is remembered of a thread.
type thread struct {
	last              threadCounters
	schedstat, status kernfile.File
	round             uint64 // the last one in which it existed
}

type threadCounters struct {
	runDelay, voluntary, involuntary kernfile.Optional[int64]
}

// Read reads the threads of a process and returns the totals. An error says which files were wrong;
// the totals of what could be read are valid beside it. A thread that exits meanwhile is no error.
func (t *Threads) Read(f *FS, pid int) (ThreadTotals, error) {
	var err error
	if t.tids, err = numbered(f.Path(strconv.Itoa(pid), "task"), t.tids[:0]); err != nil {
		return ThreadTotals{}, ignoreAbsent(err)
	}
	if t.known == nil {
		t.known = map[int]*thread{}
	}
	t.round++
	var errs []error
	turn := t.turn()
	for _, tid := range t.tids {
		one := t.known[tid]
		if one != nil {
			one.round = t.round
		}
		if turn(tid) {
			errs = append(errs, t.look(f, pid, tid, one))
		}
	}
	if t.cursor == 0 {
		t.whole = true
	}
	for tid, one := range t.known {
		if one.round != t.round {
			delete(t.known, tid)
		}
	}
	return t.totals, errors.Join(errs...)
}

// look reads a thread, nil if it is new, and adds what it gained.
func (t *Threads) look(f *FS, pid, tid int, one *thread) error {
	isNew := one == nil
	if isNew {
		dir := f.Path(strconv.Itoa(pid), "task", strconv.Itoa(tid))
		one = &thread{
			schedstat: kernfile.NewFile(dir + "/schedstat"), status: kernfile.NewFile(dir + "/status"), round: t.round,
		}
		t.known[tid] = one
	}
	now, err := one.read(f, t.RunDelayOnly)
	before := one.last
	if isNew {
		before = now // the zero line
		if t.whole {
			before = newborn
		}
	}
	t.add(before, now)
	one.last = now.or(before)
	return err
}

// turn returns whose turn it is. All of a small process have it.
func (t *Threads) turn() func(tid int) bool {
	if len(t.tids) <= perReading {
		t.cursor = 0
		return func(int) bool { return true }
	}
	slices.Sort(t.tids)
	first, _ := slices.BinarySearch(t.tids, t.cursor+1)
	last := min(first+perReading, len(t.tids))
	from, to := t.tids[min(first, last-1)], t.tids[last-1]
	if t.cursor = 0; last < len(t.tids) {
		t.cursor = to
	}
	return func(tid int) bool { return tid >= from && tid <= to }
}

// newborn is what a thread had before it was seen for the first time, when the process had been
// seen before.
var newborn = threadCounters{
	runDelay: kernfile.Some[int64](0), voluntary: kernfile.Some[int64](0), involuntary: kernfile.Some[int64](0),
}

// add adds what a thread gained since before.
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

// or fills in what a reading did not get by what was known before.
func (c threadCounters) or(before threadCounters) threadCounters {
	for _, one := range []struct{ to, from *kernfile.Optional[int64] }{
		{&c.runDelay, &before.runDelay}, {&c.voluntary, &before.voluntary}, {&c.involuntary, &before.involuntary},
	} {
		if !one.to.Defined {
			*one.to = *one.from
		}
	}
	return c
}

// gain is the growth of a counter that was readable both times. One that fell is another thread's,
// under the same id.
func gain(before, now kernfile.Optional[int64]) (int64, bool) {
	switch {
	case !before.Defined || !now.Defined:
		return 0, false
	case now.Value < before.Value:
		return now.Value, true
	}
	return now.Value - before.Value, true
}

// read reads the counters of the thread. What is absent stays undefined.
func (t *thread) read(f *FS, runDelayOnly bool) (threadCounters, error) {
	var c threadCounters
	data, errSched := f.reader.ReadFile(&t.schedstat)
	if errSched == nil {
		if c.runDelay, errSched = ParseSchedstat(data); errSched != nil {
			errSched = &os.PathError{Op: "parse", Path: t.schedstat.Path, Err: errSched}
		}
	}
	if runDelayOnly {
		return c, ignoreAbsent(errSched)
	}
	data, errStatus := f.reader.ReadFile(&t.status)
	if errStatus == nil {
		if c.voluntary, c.involuntary, errStatus = ParseSwitches(data); errStatus != nil {
			errStatus = &os.PathError{Op: "parse", Path: t.status.Path, Err: errStatus}
		}
	}
	return c, errors.Join(ignoreAbsent(errSched), ignoreAbsent(errStatus))
}

// ParseSchedstat returns the run delay in nanoseconds, the second of the three numbers of a
// schedstat file. It is absent where all are 0: so a kernel without the accounting shows them, or a
// thread that never ran.
func ParseSchedstat(data []byte) (kernfile.Optional[int64], error) {
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
		return kernfile.Optional[int64]{}, errors.New("fewer than two numbers")
	case numbers == [3]int64{}:
		return kernfile.Optional[int64]{}, nil
	}
	return kernfile.Some(numbers[1]), nil
}

// ParseSwitches returns the voluntary and involuntary context switches of a status file; a file
// without these lines gives none.
func ParseSwitches(data []byte) (voluntary, involuntary kernfile.Optional[int64], err error) {
	kernfile.Table(data, func(e error) { err = e },
		kernfile.Key{Name: "voluntary_ctxt_switches:", To: &voluntary},
		kernfile.Key{Name: "nonvoluntary_ctxt_switches:", To: &involuntary},
	)
	return voluntary, involuntary, err
}

// ignoreAbsent drops errors that say that the process or thread is gone, or that the kernel lacks
// the file.
func ignoreAbsent(err error) error {
	if kernfile.Absent(err) {
		return nil
	}
	return err
}
