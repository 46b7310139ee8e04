package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// MaxThreads is how many threads of one process are read. A process with more has no [ThreadTotals], rather than wrong ones:
// each thread costs about 15 µs at every reading.
const MaxThreads = 256

// ErrTooManyThreads says that a process has more than [MaxThreads].
var ErrTooManyThreads = fmt.Errorf("more than %d threads: context switches and run delay are not read", MaxThreads)

// ThreadTotals are sums over the threads of a process since it was first read. They never fall.
type ThreadTotals struct {
	RunDelay    kernfile.Optional[time.Duration] // ready to run and waiting for a CPU, throttling included
	Voluntary   kernfile.Optional[int64]         // context switches because the thread waited for something
	Involuntary kernfile.Optional[int64]         // context switches because another thread was due
}

// Threads accumulates the counters that the kernel keeps by thread only: /proc/<pid>/schedstat and /proc/<pid>/status show the
// main thread's, and a thread takes its own along when it exits.
//
// So each reading adds what every thread gained since the last one. The first reading is the zero line. What a thread gains
// between the last reading and its exit is lost; totals are therefore slightly low for processes with short-lived threads, and
// never fall. Memory is bounded by the threads alive. Not safe for concurrent use.
type Threads struct {
	last   map[int]threadCounters
	round  uint64
	totals ThreadTotals
	tids   []int
}

type threadCounters struct {
	runDelay, voluntary, involuntary kernfile.Optional[int64]
	round                            uint64
}

// Read reads all threads of a process and returns the totals. An error is ErrTooManyThreads, or says which file was wrong; the
// totals of what could be read are valid beside it. A thread that exits meanwhile is no error.
func (t *Threads) Read(f *FS, pid int) (ThreadTotals, error) {
	var err error
	if t.tids, err = numbered(f.Path(strconv.Itoa(pid), "task"), t.tids[:0]); err != nil {
		return ThreadTotals{}, ignoreAbsent(err)
	}
	if len(t.tids) > MaxThreads {
		*t = Threads{} // a gap in the readings would show as a burst, so begin again when there are fewer
		return ThreadTotals{}, fmt.Errorf("%s: %w", f.Path(strconv.Itoa(pid)), ErrTooManyThreads)
	}
	first := t.last == nil
	if first {
		t.last = make(map[int]threadCounters, len(t.tids))
	}
	t.round++
	var errs []error
	for _, tid := range t.tids {
		now, err := f.thread(pid, tid)
		if err != nil {
			errs = append(errs, err)
		}
		now.round = t.round
		before, known := t.last[tid]
		switch {
		case first:
			before = now
		case !known:
			before = newborn
		}
		t.add(before, now)
		t.last[tid] = now
	}
	for tid, c := range t.last {
		if c.round != t.round {
			delete(t.last, tid)
		}
	}
	return t.totals, errors.Join(errs...)
}

// newborn is what a thread had before it was seen for the first time, when the process had been seen before.
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

// gain is the growth of a counter that was readable both times. One that fell is another thread's, under the same id.
func gain(before, now kernfile.Optional[int64]) (int64, bool) {
	switch {
	case !before.Defined || !now.Defined:
		return 0, false
	case now.Value < before.Value:
		return now.Value, true
	}
	return now.Value - before.Value, true
}

// thread reads the counters of one thread. What is absent stays undefined.
func (f *FS) thread(pid, tid int) (threadCounters, error) {
	var c threadCounters
	dir := f.Path(strconv.Itoa(pid), "task", strconv.Itoa(tid))
	data, errSched := f.reader.Read(dir + "/schedstat")
	if errSched == nil {
		if c.runDelay, errSched = ParseSchedstat(data); errSched != nil {
			errSched = &os.PathError{Op: "parse", Path: dir + "/schedstat", Err: errSched}
		}
	}
	data, errStatus := f.reader.Read(dir + "/status")
	if errStatus == nil {
		if c.voluntary, c.involuntary, errStatus = ParseSwitches(data); errStatus != nil {
			errStatus = &os.PathError{Op: "parse", Path: dir + "/status", Err: errStatus}
		}
	}
	return c, errors.Join(ignoreAbsent(errSched), ignoreAbsent(errStatus))
}

// ParseSchedstat returns the run delay in nanoseconds, the second of the three numbers of a schedstat file.
func ParseSchedstat(data []byte) (kernfile.Optional[int64], error) {
	fields := 0
	for field := range bytes.FieldsSeq(data) {
		if fields++; fields == 2 {
			v, err := kernfile.ParseInt(field)
			if err != nil {
				return kernfile.Optional[int64]{}, err
			}
			return kernfile.Some(v), nil
		}
	}
	return kernfile.Optional[int64]{}, errors.New("fewer than two numbers")
}

// ParseSwitches returns the voluntary and involuntary context switches of a status file; a file without these lines gives none.
func ParseSwitches(data []byte) (voluntary, involuntary kernfile.Optional[int64], err error) {
	kernfile.Table(data, func(e error) { err = e },
		kernfile.Key{Name: "voluntary_ctxt_switches:", To: &voluntary},
		kernfile.Key{Name: "nonvoluntary_ctxt_switches:", To: &involuntary},
	)
	return voluntary, involuntary, err
}

// ignoreAbsent drops errors that say that the process or thread is gone, or that the kernel lacks the file.
func ignoreAbsent(err error) error {
	if kernfile.Absent(err) {
		return nil
	}
	return err
}
