package measure

import (
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// Recorder measures a pool that has no lock of its own, such as a wrapped pool. The Recorder's lock
// may guard other state too. The caller must hold the lock unless a method's comment says
// otherwise.
//
// A Recorder is for pools that observe the start and the end of each use, and whose uses take one
// slot each. Other pools use the parts of a Recorder directly.
type Recorder struct {
	mu sync.Mutex // guards everything below

	Meter    Meter
	Requests Requests
	Uses     Uses
	Pending  Pending

	inProgress []Span  // uses in progress, by Use.place; zero for free places
	freePlaces []int32 // indexes of unused elements of inProgress
}

// Init initializes the recorder.
func (r *Recorder) Init(t instrument.Timing) {
	r.Meter.Init(t, r, r.Uses.InUse)
}

// InitTasks initializes the recorder for a pool whose uses are tasks.
func (r *Recorder) InitTasks(t instrument.Timing) {
	r.Init(t)
	r.Uses.Split.Init(t)
}

// Lock locks the recorder.
func (r *Recorder) Lock() { r.mu.Lock() }

// Unlock unlocks the recorder.
func (r *Recorder) Unlock() { r.mu.Unlock() }

// Start records a request that did not wait, and the start of its use.
func (r *Recorder) Start() Use {
	now := r.Meter.Event(r.Uses.InUse())
	r.Requests.Add(instrument.Acquired, 1)
	return r.begin(now)
}

// begin records the start of a use.
func (r *Recorder) begin(now time.Duration) Use {
	use := r.Uses.Begin(&r.Meter, now)
	if last := len(r.freePlaces) - 1; last >= 0 {
		use.place = r.freePlaces[last]
		r.freePlaces = r.freePlaces[:last]
		r.inProgress[use.place] = use.Span
	} else {
		use.place = int32(len(r.inProgress))
		r.inProgress = append(r.inProgress, use.Span)
	}
	return use
}

// Wait records the start of a wait. Pass the returned Span to StartAfter when the wait ends.
func (r *Recorder) Wait() Span {
	return r.Requests.Begin(&r.Meter, r.Meter.Event(r.Uses.InUse()))
}

// StartAfter records the end of a wait and the start of a use.
func (r *Recorder) StartAfter(wait Span) Use {
	now := r.Meter.Event(r.Uses.InUse())
	r.Requests.End(&r.Meter, instrument.Acquired, wait, now)
	return r.begin(now)
}

// End records the end of a use.
func (r *Recorder) End(use Use, how instrument.Ending) {
	r.inProgress[use.place] = Span{}
	r.freePlaces = append(r.freePlaces, use.place)
	r.Uses.End(&r.Meter, use, how, r.Meter.Event(r.Uses.InUse()))
}

// ReportUses is like [Uses.Report], and also sets the age of the oldest use.
func (r *Recorder) ReportUses(s *instrument.Stats, now time.Duration, endings ...instrument.Ending) {
	r.Uses.Report(s, &r.Meter, now, endings...)
	var first Span
	for _, use := range r.inProgress {
		if use.at != 0 && (first.at == 0 || use.at < first.at) {
			first = use
		}
	}
	s.UseAge = first.Age(now)
}

// Close makes sure that the recorder never enters overload again, so that no timer runs. The caller
// must not hold the lock. The recorder may still be used.
func (r *Recorder) Close() {
	r.Lock()
	defer r.Unlock()
	r.Meter.Close()
}
