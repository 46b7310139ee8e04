package wraphttp

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptrace"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// phase is where a trip is.
type phase uint8

const (
	away    phase = iota // not asking for a connection, or done
	waiting              // for a connection
	dialing              // for one that is being made for it
	using
)

// trip is one round trip. The transport may try several connections one after the other.
type trip struct {
	pool *pool
	tls  bool

	// The lock of the pool guards what follows: a dial may go on when the trip is over.
	phase  phase
	wait   measure.Span    // for a connection
	asked  *measure.Pended // the wait, while in phase waiting
	dialed time.Duration   // when a dial began, 0 if none did
	made   bool            // a connection was made
	use    measure.Use

	host    *host
	method  string
	started time.Duration
	active  bool // the request is among the host's active ones

	trace httptrace.ClientTrace // these two are here to spare their allocations
	body  body
}

func (tr *trip) hooks() *httptrace.ClientTrace {
	h := &tr.trace
	h.GetConn = func(string) { tr.ask() }
	h.GotConn = func(httptrace.GotConnInfo) { tr.got() }
	h.DNSStart = func(httptrace.DNSStartInfo) { tr.dial() }
	h.ConnectStart = func(string, string) { tr.dial() }
	if tr.tls {
		h.TLSHandshakeDone = func(_ tls.ConnectionState, err error) { tr.dialDone(err) }
	} else {
		h.ConnectDone = func(_, _ string, err error) { tr.dialDone(err) }
	}
	return h
}

func (tr *trip) start(req *http.Request) {
	p := tr.pool
	p.Lock()
	defer p.Unlock()
	tr.host = p.hostOf(req.URL)
	if p.follows {
		tr.method = methodOf(req.Method)
		tr.started = measure.Clock()
		tr.active = true
		tr.host.active++
	}
}

// ask begins a wait. A connection that was used before proved to be broken.
func (tr *trip) ask() {
	p := tr.pool
	p.Lock()
	defer p.Unlock()
	tr.leave(instrument.Failed)
	tr.wait = p.Wait()
	tr.phase, tr.asked, tr.dialed, tr.made = waiting, p.Pending.Add(tr.wait), 0, false
}

func (tr *trip) dial() {
	p := tr.pool
	p.Lock()
	defer p.Unlock()
	if tr.dialed != 0 {
		return
	}
	tr.dialed = measure.Clock()
	if tr.phase == waiting {
		tr.unwait()
		tr.phase = dialing
		p.constructing++
	}
}

// dialDone counts a connection. Of several addresses that are tried, those that fail do not count.
func (tr *trip) dialDone(err error) {
	p := tr.pool
	p.Lock()
	defer p.Unlock()
	if err == nil && !tr.made && tr.dialed != 0 {
		tr.made = true
		p.made.Record(measure.Clock() - tr.dialed)
	}
}

// got ends the wait and begins a use.
func (tr *trip) got() {
	p := tr.pool
	p.Lock()
	defer p.Unlock()
	tr.acquire()
}

// acquire ends the wait, now or when a connection began to be made for the trip, and begins a use. Caller
// must hold the lock of the pool.
func (tr *trip) acquire() {
	p := tr.pool
	if tr.phase == away {
		return
	}
	now := p.Meter.Event(p.Uses.InUse())
	ended := now
	if tr.phase == dialing {
		ended = tr.dialed
	}
	p.Requests.End(&p.Meter, instrument.Acquired, tr.wait, ended)
	tr.unwait()
	tr.phase, tr.use = using, p.Uses.Begin(&p.Meter, now)
}

// unwait takes the trip from those that wait. Caller must hold the lock of the pool.
func (tr *trip) unwait() {
	switch tr.phase {
	case waiting:
		tr.pool.Pending.Remove(tr.asked)
	case dialing:
		tr.pool.constructing--
	}
	tr.phase = away
}

// leave ends the use, if there is one. Caller must hold the lock of the pool.
func (tr *trip) leave(how instrument.Ending) {
	if tr.phase == using {
		tr.phase = away
		tr.pool.End(tr.use, how)
	}
}

func (tr *trip) end(how instrument.Ending) {
	tr.pool.Lock()
	defer tr.pool.Unlock()
	tr.leave(how)
}

// fail ends a trip without a response.
func (tr *trip) fail(ctx context.Context, err error) {
	p := tr.pool
	p.Lock()
	defer p.Unlock()
	now := measure.Clock()
	switch {
	case tr.phase != waiting && tr.phase != dialing:
	case ctx.Err() != nil:
		p.GiveUp(tr.wait, instrument.GaveUp(ctx.Err()))
		tr.unwait()
	default: // a connection could not be made
		if tr.phase == dialing && !tr.made {
			p.unmade.Record(now - tr.dialed)
		}
		tr.acquire()
	}
	tr.leave(instrument.Failed)
	tr.answer(answer{method: tr.method, errorType: errorType(ctx, err)}, now)
}

// responded is called when the header of the response is there.
func (tr *trip) responded(status, major int) {
	p := tr.pool
	p.Lock()
	defer p.Unlock()
	p.http2 = p.http2 || major > 1
	if p.follows {
		tr.answer(answer{method: tr.method, status: status}, measure.Clock())
	}
}

// answer records how the request ended, for the conventions. Caller must hold the lock of the pool.
func (tr *trip) answer(a answer, now time.Duration) {
	if !tr.active {
		return
	}
	tr.active = false
	tr.host.active--
	h := tr.host.answers[a]
	if h == nil {
		h = new(instrument.Histogram)
		tr.host.answers[a] = h
	}
	h.Record(now - tr.started)
}
