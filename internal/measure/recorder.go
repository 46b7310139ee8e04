package measure

import (
	"sync"

	"github.com/poolgauge/poolgauge/instrument"
)

// Recorder measures a pool that has no lock of its own, such as one that is wrapped: it brings one, and
// its owner may guard more with it. All methods but [Recorder.Close] need the lock held.
//
// It is for pools that see each use begin and end, one slot each. One that does not uses the parts.
type Recorder struct {
	sync.Mutex // guards what follows

	Meter    Meter
	Requests Requests
	Uses     Uses
	Pending  Pending
}

// Init makes the recorder of a pool. Its owner also calls Uses.Split.Init if uses are tasks.
func (r *Recorder) Init(t instrument.Timing) {
	r.Meter.Init(t, &r.Mutex, r.Uses.InUse)
}

// Start counts a request that did not wait, and begins its use.
func (r *Recorder) Start() Use {
	now := r.Meter.Event(r.Uses.InUse())
	r.Requests.Add(instrument.Acquired, 1)
	return r.Uses.Begin(&r.Meter, now)
}

// Try is [Recorder.Start] for a use that has its slot if start, which must not block, reports so.
func (r *Recorder) Try(start func(Use) bool) bool {
	now := r.Meter.Event(r.Uses.InUse())
	if !start(r.Uses.Begin(&r.Meter, now)) {
		r.Uses.began--
		return false
	}
	r.Requests.Add(instrument.Acquired, 1)
	return true
}

// Wait begins a wait.
func (r *Recorder) Wait() Span {
	return r.Meter.Begin(r.Meter.Event(r.Uses.InUse()))
}

// StartAfter ends a wait in a use, which begins.
func (r *Recorder) StartAfter(wait Span) Use {
	now := r.Meter.Event(r.Uses.InUse())
	r.Requests.End(&r.Meter, instrument.Acquired, wait, now)
	return r.Uses.Begin(&r.Meter, now)
}

// GiveUp ends a wait without a use.
func (r *Recorder) GiveUp(wait Span, how instrument.Outcome) {
	r.Requests.End(&r.Meter, how, wait, r.Meter.Event(r.Uses.InUse()))
}

// End ends a use.
func (r *Recorder) End(use Use, how instrument.Ending) {
	r.Uses.End(&r.Meter, use, how, r.Meter.Event(r.Uses.InUse()))
}

// Close stops the timer, for good. The recorder may still be used.
func (r *Recorder) Close() {
	r.Lock()
	defer r.Unlock()
	r.Meter.Close()
}
