package profile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime/trace"
	"strings"
	"time"

	exptrace "golang.org/x/exp/trace"
)

const (
	regionName = "poolgauge/instrument/profile"
	maxTrace   = 64 << 20 // maximum size of the trace, in bytes
	mutexWait  = "mutex"
)

var errTraceTooLarge = fmt.Errorf("the execution trace exceeds %d MiB: make fewer calls", maxTrace>>20)

// account describes how the goroutine spent its time during the calls, according to the runtime's
// execution trace. active, runnable and waits add up to the time of the calls.
type account struct {
	active   time.Duration   // running or in a system call
	runnable time.Duration   // ready and waiting for Go's scheduler
	waits    map[string]Wait // by reason

	started int           // number of goroutines that the goroutine started, directly or indirectly
	ran     time.Duration // total run time of these goroutines, as far as the trace shows it
}

// waiting returns the total time of all waits.
func (a *account) waiting() (sum time.Duration) {
	for _, w := range a.waits {
		sum += w.Time
	}
	return sum
}

// tracer records an execution trace of limited size.
type tracer struct {
	data      bytes.Buffer
	truncated bool  // the trace exceeded maxTrace
	on        bool  // the trace is running
	err       error // why there is no trace
}

// startTracer starts a trace, unless one is already running, since a process can have only one at a
// time.
func startTracer() *tracer {
	t := new(tracer)
	t.err = trace.Start(t)
	t.on = t.err == nil
	return t
}

// Write implements io.Writer. The runtime, which calls it, ignores the error.
func (t *tracer) Write(p []byte) (int, error) {
	if t.data.Len()+len(p) > maxTrace {
		t.truncated = true
	}
	if t.truncated {
		return len(p), nil
	}
	return t.data.Write(p)
}

// stop ends the trace and waits until it is complete. Further calls do nothing.
func (t *tracer) stop() {
	if t.on {
		t.on = false
		trace.Stop()
	}
}

// account returns the account of the goroutine that made the calls. It must be called after stop.
func (t *tracer) account() (*account, error) {
	switch {
	case t.err != nil:
		return nil, t.err
	case t.truncated:
		return nil, errTraceTooLarge
	}
	return readTrace(&t.data)
}

// readTrace parses the trace in data and returns the account of the goroutine that made the calls.
// The calls are marked as a region of the trace.
func readTrace(data io.Reader) (*account, error) {
	r, err := exptrace.NewReader(data)
	if err != nil {
		return nil, fmt.Errorf("reading the execution trace: %w", err)
	}
	a := accountant{ran: map[exptrace.GoID]exptrace.Time{}}
	a.waits = map[string]Wait{}
	for {
		ev, err := r.ReadEvent()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("execution trace does not contain the profiled calls")
		}
		if err != nil {
			return nil, fmt.Errorf("reading the execution trace: %w", err)
		}
		if a.add(ev) {
			return &a.account, nil
		}
	}
}

// accountant computes an account from the events of a trace.
type accountant struct {
	account
	inside bool             // the region of the calls has begun
	self   exptrace.GoID    // the goroutine that makes the calls
	state  exptrace.GoState // current state of self
	reason string           // what self is waiting for
	since  exptrace.Time    // when self entered its current state
	// ran maps each goroutine started by the calls to when it last started running, or to 0 if it
	// is not running
	ran map[exptrace.GoID]exptrace.Time
}

// add processes one event. It returns true at the end of the calls' region.
func (a *accountant) add(ev exptrace.Event) (done bool) {
	switch ev.Kind() {
	case exptrace.EventRegionBegin:
		if ev.Region().Type == regionName && !a.inside {
			a.inside, a.self, a.state, a.since = true, ev.Goroutine(), exptrace.GoRunning, ev.Time()
		}
	case exptrace.EventRegionEnd:
		if a.inside && ev.Goroutine() == a.self && ev.Region().Type == regionName {
			a.close(ev.Time())
			return true
		}
	case exptrace.EventStateTransition:
		if st := ev.StateTransition(); a.inside && st.Resource.Kind == exptrace.ResourceGoroutine {
			a.transition(ev, st)
		}
	default:
	}
	return false
}

func (a *accountant) transition(ev exptrace.Event, st exptrace.StateTransition) {
	id := st.Resource.Goroutine()
	from, to := st.Goroutine()
	if id == a.self {
		a.endState(ev.Time())
		a.state, a.reason = to, reasonOf(st)
		return
	}
	if from == exptrace.GoNotExist && a.isOurs(ev.Goroutine()) {
		a.started++
		a.ran[id] = 0
	}
	since, ours := a.ran[id]
	switch {
	case !ours:
	case to == exptrace.GoRunning:
		a.ran[id] = ev.Time()
	case since != 0:
		a.account.ran += ev.Time().Sub(since)
		a.ran[id] = 0
	}
}

// isOurs reports whether the goroutine with the given ID makes the calls or was started by them.
func (a *accountant) isOurs(id exptrace.GoID) bool {
	_, child := a.ran[id]
	return child || id == a.self
}

// endState adds the time that self has spent in its current state to the account.
func (a *accountant) endState(now exptrace.Time) {
	took := now.Sub(a.since)
	a.since = now
	switch a.state {
	case exptrace.GoRunning, exptrace.GoSyscall:
		a.active += took
	case exptrace.GoRunnable:
		a.runnable += took
	default:
		w := a.waits[a.reason]
		a.waits[a.reason] = Wait{Reason: a.reason, Time: w.Time + took, Count: w.Count + 1}
	}
}

// close completes the account at the end of the calls.
func (a *accountant) close(now exptrace.Time) {
	a.endState(now)
	for _, since := range a.ran {
		if since != 0 {
			a.account.ran += now.Sub(since)
		}
	}
}

// reasonOf returns what a goroutine is waiting for. That is the reason given by the runtime, except
// for waits in package sync, most of which share one reason and are told apart by their stacks.
func reasonOf(st exptrace.StateTransition) string {
	if !strings.HasPrefix(st.Reason, "sync") {
		return st.Reason
	}
	for frame := range st.Stack.Frames() {
		switch {
		case strings.Contains(frame.Func, "Mutex)."):
			return mutexWait
		case strings.Contains(frame.Func, "WaitGroup)."):
			return "wait group"
		case strings.Contains(frame.Func, "Cond)."):
			return "condition"
		}
	}
	return st.Reason
}
