package measure

import (
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/callsite"
)

// Groups measures groups of goroutines, such as errgroup.Group, that are reported together. After
// Init, it is safe for concurrent use. A nil *Groups measures nothing.
type Groups struct {
	rec         Recorder
	first, last *Run // list of the runs in progress, in the order in which they started
}

// Run is one run of a function in a group. The caller sets Func and Span, and must keep the Run
// until it has ended.
type Run struct {
	Func func() error       // the program's function
	Span *trace.SpanContext // span that the run is part of; nil if unknown

	use        Use
	prev, next *Run
}

// Init initializes g.
func (g *Groups) Init(t instrument.Timing) {
	g.rec.InitTasks(t)
}

// Start records the start of r, which got a slot without waiting.
func (g *Groups) Start(r *Run) {
	if g == nil {
		return
	}
	g.rec.Lock()
	now := g.rec.Meter.Event(g.rec.Uses.InUse())
	g.rec.Requests.Add(instrument.Acquired, 1)
	g.begin(r, now)
	g.rec.Unlock()
}

// begin records the start of r's use, and appends r to the runs in progress. Caller must hold the
// lock.
func (g *Groups) begin(r *Run, now time.Duration) {
	r.use = g.rec.Uses.Begin(&g.rec.Meter, now)
	r.prev, r.next = g.last, nil
	if g.last == nil {
		g.first = r
	} else {
		g.last.next = r
	}
	g.last = r
}

// remove removes r from the runs in progress. Caller must hold the lock.
func (g *Groups) remove(r *Run) {
	if r.prev == nil {
		g.first = r.next
	} else {
		r.prev.next = r.next
	}
	if r.next == nil {
		g.last = r.prev
	} else {
		r.next.prev = r.prev
	}
	r.prev, r.next = nil, nil
}

// Reject counts a function that was not started because no slot was free.
func (g *Groups) Reject() {
	if g == nil {
		return
	}
	g.rec.Lock()
	defer g.rec.Unlock()
	g.rec.Requests.Add(instrument.Rejected, 1)
}

// Block records that a caller starts waiting for a slot.
func (g *Groups) Block() *Pended {
	if g == nil {
		return nil
	}
	g.rec.Lock()
	defer g.rec.Unlock()
	return g.rec.Pending.Add(g.rec.Wait())
}

// Unblock records that the wait p ended because a slot became available, and that r started.
func (g *Groups) Unblock(p *Pended, r *Run) {
	if g == nil {
		return
	}
	g.rec.Lock()
	defer g.rec.Unlock()
	now := g.rec.Meter.Event(g.rec.Uses.InUse())
	waited := g.rec.Requests.End(&g.rec.Meter, instrument.Acquired, g.rec.Pending.Remove(p), now)
	if r.Span != nil {
		g.rec.Requests.TracedBy(*r.Span, waited)
	}
	g.begin(r, now)
}

// Call calls r.Func and then records the end of r. The start of r must already be recorded.
func (g *Groups) Call(r *Run) (err error) {
	how := instrument.Exited
	defer func() {
		r.use.Sample.End()
		g.end(r, how)
	}()
	r.use.Sample.Begin()
	if err = r.Func(); err != nil {
		how = instrument.Failed
	} else {
		how = instrument.OK
	}
	return err
}

func (g *Groups) end(r *Run, how instrument.Ending) {
	if g == nil {
		return
	}
	g.rec.Lock()
	g.rec.Uses.End(&g.rec.Meter, r.use, how, g.rec.Meter.Event(g.rec.Uses.InUse()))
	g.remove(r)
	g.rec.Unlock()
}

// Running returns the number of running functions.
func (g *Groups) Running() int {
	g.rec.Lock()
	defer g.rec.Unlock()
	return int(g.rec.Uses.InUse())
}

// Stats returns a consistent snapshot of all groups together. Limit is absent, since each group has
// its own limit and any number of groups may exist. A function that ends without returning counts
// as exited, since a panic would have ended the program.
func (g *Groups) Stats() instrument.Stats {
	s, holders := g.stats()
	s.Holders = holders.Name() // without the lock held
	return s
}

func (g *Groups) stats() (s instrument.Stats, held Holders) {
	g.rec.Lock()
	defer g.rec.Unlock()
	now := Clock()
	g.rec.Requests.Report(&s, &g.rec.Meter, instrument.Acquired, instrument.Rejected)
	g.rec.Uses.Report(&s, &g.rec.Meter, now, instrument.OK, instrument.Failed, instrument.Exited)
	g.rec.Pending.Report(&s, now)
	held = g.holders(&s, now)
	return s, held
}

// holders sets s.UseAge to the age of the oldest run, and returns the holders if s.WantsHolders
// returns true. Caller must hold the lock.
func (g *Groups) holders(s *instrument.Stats, now time.Duration) Holders {
	var oldest Oldest[*Run]
	for r := g.first; r != nil && oldest.n < maxHolders; r = r.next {
		oldest.Add(r.use.Span, r)
	}
	return oldest.Report(s, now, (*Run).hold)
}

func (r *Run) hold() Hold {
	h := Hold{Site: callsite.FuncOf(r.Func).Site()}
	if r.Span != nil {
		h.Trace = r.Span.TraceID()
	}
	return h
}

// Close makes sure that the groups never enter overload again, so that no timer runs. The groups
// may still be used.
func (g *Groups) Close() { g.rec.Close() }
