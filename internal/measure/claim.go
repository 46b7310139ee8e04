package measure

import (
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/poolgauge/poolgauge/instrument"
)

// Claim is one request for a slot in a pool that may construct a slot for a request. While a slot
// is being constructed for it, the request does not count as waiting. The claim ends when the
// request gets a slot or gives up. The zero Claim is no request. It is guarded by the lock of the
// recorder.
type Claim struct {
	asked  time.Duration // start of the request
	span   trace.SpanContext
	wait   Span
	pended *Pended       // set while it waits
	since  time.Duration // start of the construction, while a slot is being constructed for it
	spent  time.Duration // on earlier constructions
	active bool
}

// Ask begins a request, which is part of a span.
func (r *Recorder) Ask(span trace.SpanContext) Claim {
	c := Claim{asked: Clock(), span: span, wait: r.Wait(), active: true}
	c.pended = r.Pending.Add(c.wait)
	return c
}

// IsActive reports whether the claim has not ended.
func (c *Claim) IsActive() bool { return c.active }

// IsConstructing reports whether a slot is being constructed for the request.
func (c *Claim) IsConstructing() bool { return c.active && c.pended == nil }

// Asked returns the start of the request.
func (c *Claim) Asked() time.Duration { return c.asked }

// Construct ends or interrupts the wait: since that time, a slot has been under construction for
// the request.
func (c *Claim) Construct(r *Recorder, since time.Duration) {
	if c.pended != nil {
		r.Pending.Remove(c.pended)
		c.pended, c.since = nil, since
	}
}

// Resume continues the wait, because the constructed slot cannot be used.
func (c *Claim) Resume(r *Recorder) {
	if c.IsConstructing() {
		c.spent += Clock() - c.since
		c.pended = r.Pending.Add(c.wait)
	}
}

// Get ends the claim and begins a use.
func (c *Claim) Get(r *Recorder) Use {
	now := r.Meter.Event(r.Uses.InUse())
	c.end(r, instrument.Acquired, now)
	return r.begin(now)
}

// GetAfter is like Get, for a pool that knows how long the request waited.
func (c *Claim) GetAfter(r *Recorder, waited time.Duration) Use {
	now := r.Meter.Event(r.Uses.InUse())
	if c.pended != nil {
		r.Pending.Remove(c.pended)
	}
	r.Requests.TracedBy(c.span, r.Requests.End(&r.Meter, instrument.Acquired, c.wait, c.asked+waited))
	*c = Claim{}
	return r.begin(now)
}

// GiveUp ends the claim without a use.
func (c *Claim) GiveUp(r *Recorder, how instrument.Outcome) {
	c.end(r, how, r.Meter.Event(r.Uses.InUse()))
}

// end ends the claim. The wait is the duration of the request, without the time for which slots
// were being constructed for it. now is the time of an event, or 0.
func (c *Claim) end(r *Recorder, how instrument.Outcome, now time.Duration) {
	ended := now
	if c.pended == nil || c.spent > 0 {
		clock := Clock()
		if c.pended == nil {
			c.spent += clock - c.since
		}
		ended = clock - c.spent
	}
	if c.pended != nil {
		r.Pending.Remove(c.pended)
	}
	r.Requests.TracedBy(c.span, r.Requests.End(&r.Meter, how, c.wait, ended))
	*c = Claim{}
}
