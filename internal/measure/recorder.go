package measure

import (
	"sync"
	"sync/atomic"

	"github.com/poolgauge/poolgauge/instrument"
)

// Recorder measures a pool that has no lock of its own, such as one that is wrapped: it brings one, and
// its owner may guard more with it. Methods need the lock held, where they do not say otherwise.
//
// It is for pools that see each use begin and end, one slot each. One that does not uses the parts.
type Recorder struct {
	mu sync.Mutex // guards what follows

	Meter    Meter
	Requests Requests
	Uses     Uses
	Pending  Pending

	// While the meter is blind, most uses are counted without the lock: each spends a credit for its begin
	// and one for its end. Lock counts what was spent and takes the rest back, ends first, so that nothing
	// has ended that did not begin. A use that is timed needs mu and leaves the credits of the others.
	lends      bool // StartQuickly and EndQuickly are used
	lent       bool // credits are
	lentStarts int64
	lentEnds   int64
	span       atomic.Pointer[Span] // of uses that begin without the lock
	_          [64]byte             // a cache line for what the goroutines that begin uses share,
	starts     atomic.Int64
	_          [64]byte // and one for those that end them
	ends       atomic.Int64
}

// credit is how many ends are lent: no limit.
const credit = 1 << 30

// Init makes the recorder of a pool.
func (r *Recorder) Init(t instrument.Timing) {
	r.Meter.Init(t, r, r.Uses.InUse)
}

// InitTasks makes the recorder of a pool whose uses are tasks.
func (r *Recorder) InitTasks(t instrument.Timing) {
	r.lends = true
	r.Init(t)
	r.Uses.Split.Init(t)
}

// Lock locks the recorder, which must not be locked.
func (r *Recorder) Lock() {
	r.mu.Lock()
	if r.lent {
		r.takeBack()
	}
}

func (r *Recorder) takeBack() {
	r.lent = false
	r.countEnds(max(0, r.ends.Swap(0)))
	r.countStarts(max(0, r.starts.Swap(0)))
}

// countStarts counts those since it was called last. Caller must hold mu.
func (r *Recorder) countStarts(left int64) {
	n := r.lentStarts - left
	r.lentStarts = left
	r.Requests.Add(instrument.Acquired, n)
	r.Uses.began += n
	r.Meter.BeganUntimed(n)
	r.Meter.Events(n)
}

// countEnds counts those since it was called last. Caller must hold mu.
func (r *Recorder) countEnds(left int64) {
	n := r.lentEnds - left
	r.lentEnds = left
	r.Uses.ended[instrument.OK] += n
	r.Meter.Events(n)
}

// Unlock unlocks the recorder.
func (r *Recorder) Unlock() {
	if r.lends && r.Meter.Blind() {
		r.lent, r.lentEnds = true, credit
		r.ends.Store(credit)
		r.lendStarts()
	}
	r.mu.Unlock()
}

func (r *Recorder) lendStarts() {
	n, span := r.Meter.Untimed()
	if old := r.span.Load(); old == nil || *old != span {
		r.span.Store(&span)
	}
	r.lentStarts = n
	r.starts.Store(n)
}

// StartQuickly is [Recorder.Start] without the lock held: mostly it does not need it.
func (r *Recorder) StartQuickly() Use {
	if r.starts.Load() > 0 && r.starts.Add(-1) >= 0 {
		return Use{Span: *r.span.Load()}
	}
	r.mu.Lock()
	if r.lent && r.starts.Load() <= 0 {
		defer r.mu.Unlock()
		r.countStarts(0)
		use := r.Start()
		r.lendStarts()
		return use
	}
	r.mu.Unlock()
	r.Lock()
	defer r.Unlock()
	return r.Start()
}

// EndQuickly is [Recorder.End] without the lock held: mostly it does not need it.
func (r *Recorder) EndQuickly(use Use, how instrument.Ending) {
	if use.weight == 0 && how == instrument.OK && r.ends.Load() > 0 {
		if r.span.Load().look-use.look < longAfter && r.ends.Add(-1) >= 0 {
			return
		}
	}
	r.mu.Lock()
	if left := r.ends.Load(); r.lent && left > 0 {
		defer r.mu.Unlock()
		r.countEnds(left)
		r.End(use, how)
		return
	}
	r.mu.Unlock()
	r.Lock()
	defer r.Unlock()
	r.End(use, how)
}

// Start counts a request that did not wait, and begins its use.
func (r *Recorder) Start() Use {
	now := r.Meter.Event(r.Uses.InUse())
	r.Requests.Add(instrument.Acquired, 1)
	return r.Uses.Begin(&r.Meter, now)
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

// Close ends overload, for good, and takes the lock for it. The recorder may still be used.
func (r *Recorder) Close() {
	r.Lock()
	defer r.Unlock()
	r.Meter.Close()
}
