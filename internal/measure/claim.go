package measure

import (
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/poolgauge/poolgauge/instrument"
)

// Claim is a request for a slot in a pool that constructs slots on demand. The request does not
// count as waiting while a slot is being constructed for it. The claim ends when the request gets a
// slot or gives up. The zero Claim is not active. The recorder's lock guards a Claim.
type Claim struct {
	asked  time.Duration // when the request started
	span   trace.SpanContext
	wait   Span
	pended *Pended       // nil unless the request is waiting
	since  time.Duration // when the construction in progress started, if a slot is being constructed
	spent  time.Duration // total time of earlier constructions
	active bool
}

// Ask records the start of a request that is part of span.
func (r *Recorder) Ask(span trace.SpanContext) Claim {
	c := Claim{asked: Clock(), span: span, wait: r.Wait(), active: true}
	c.pended = r.Pending.Add(c.wait)
	return c
}

// IsActive reports whether the claim has started and has not ended.
func (c *Claim) IsActive() bool { return c.active }

// IsConstructing reports whether a slot is being constructed for the request.
func (c *Claim) IsConstructing() bool { return c.active && c.pended == nil }

// Asked returns when the request started.
func (c *Claim) Asked() time.Duration { return c.asked }

// Construct records that a slot has been under construction for the request since the given time.
// Until [Claim.Resume] is called, the request does not count as waiting.
func (c *Claim) Construct(r *Recorder, since time.Duration) {
	if c.pended != nil {
		r.Pending.Remove(c.pended)
		c.pended, c.since = nil, since
	}
}

// Resume records that the wait continues because the constructed slot cannot be used.
func (c *Claim) Resume(r *Recorder) {
	if c.IsConstructing() {
		c.spent += Clock() - c.since
		c.pended = r.Pending.Add(c.wait)
	}
}

// Get records that the request got a slot, which ends the claim and starts a use.
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

// GiveUp records the end of the claim without a use.
func (c *Claim) GiveUp(r *Recorder, how instrument.Outcome) {
	c.end(r, how, r.Meter.Event(r.Uses.InUse()))
}

// end records the end of the claim. The wait is the duration of the request minus the time
// spent constructing slots for it. now is the time that [Meter.Event] returned.
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
