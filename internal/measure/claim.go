package measure

import (
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/poolgauge/poolgauge/instrument"
)

// Claim is one request for a slot of a pool that constructs slots for requests. While a slot is
// constructed for it, it does not wait. It ends when it gets a slot or gives up. The zero Claim is
// no request. The lock of the recorder guards it.
type Claim struct {
	asked  time.Duration // when
	span   trace.SpanContext
	wait   Span
	pended *Pended       // while it waits
	since  time.Duration // while a slot is constructed for it: when that began
	spent  time.Duration // on what was constructed before
	active bool
}

// Ask begins a request, which is part of a span.
func (r *Recorder) Ask(span trace.SpanContext) Claim {
	c := Claim{asked: Clock(), span: span, wait: r.Wait(), active: true}
	c.pended = r.Pending.Add(c.wait)
	return c
}

// IsActive reports whether the request has not ended.
func (c *Claim) IsActive() bool { return c.active }

// IsConstructing reports whether a slot is constructed for it.
func (c *Claim) IsConstructing() bool { return c.active && c.pended == nil }

// Asked returns when the request began.
func (c *Claim) Asked() time.Duration { return c.asked }

// Construct ends or interrupts the wait: a slot is constructed for the request, since a time.
func (c *Claim) Construct(r *Recorder, since time.Duration) {
	if c.pended != nil {
		r.Pending.Remove(c.pended)
		c.pended, c.since = nil, since
	}
}

// Resume continues the wait: what was constructed cannot be used.
func (c *Claim) Resume(r *Recorder) {
	if c.IsConstructing() {
		c.spent += Clock() - c.since
		c.pended = r.Pending.Add(c.wait)
	}
}

// Get ends the request in a use.
func (c *Claim) Get(r *Recorder) Use {
	now := r.Meter.Event(r.Uses.InUse())
	c.end(r, instrument.Acquired, now)
	return r.begin(now)
}

// GetAfter is Get for a pool that knows how long the request waited.
func (c *Claim) GetAfter(r *Recorder, waited time.Duration) Use {
	now := r.Meter.Event(r.Uses.InUse())
	if c.pended != nil {
		r.Pending.Remove(c.pended)
	}
	r.Requests.TracedBy(c.span, r.Requests.End(&r.Meter, instrument.Acquired, c.wait, c.asked+waited))
	*c = Claim{}
	return r.begin(now)
}

// GiveUp ends the request without one.
func (c *Claim) GiveUp(r *Recorder, how instrument.Outcome) {
	c.end(r, how, r.Meter.Event(r.Uses.InUse()))
}

// end ends the wait, which is as long as the request without what was constructed for it. Now is
// the time of an event, or 0.
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
