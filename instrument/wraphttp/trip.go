package wraphttp

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptrace"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/ledger"
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
	asked  time.Duration // for a connection
	dialed time.Duration // when a dial began, 0 if none did
	made   bool          // a connection was made
	use    ledger.Use

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
	p.mu.Lock()
	defer p.mu.Unlock()
	tr.host = p.hostOf(req.URL)
	if p.follows {
		tr.method = methodOf(req.Method)
		tr.started = instrument.Now()
		tr.active = true
		tr.host.active++
	}
}

// ask begins a wait. A connection that was used before proved to be broken.
func (tr *trip) ask() {
	p := tr.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	tr.leave(instrument.Failed)
	tr.phase, tr.asked, tr.dialed, tr.made = waiting, instrument.Now(), 0, false
	p.pending++
}

func (tr *trip) dial() {
	p := tr.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if tr.dialed != 0 {
		return
	}
	tr.dialed = instrument.Now()
	if tr.phase == waiting {
		tr.phase = dialing
		p.pending--
		p.constructing++
	}
}

// dialDone counts a connection. Of several addresses that are tried, those that fail do not count.
func (tr *trip) dialDone(err error) {
	p := tr.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil && !tr.made && tr.dialed != 0 {
		tr.made = true
		p.made.Record(instrument.Now() - tr.dialed)
	}
}

// got ends the wait and begins a use.
func (tr *trip) got() {
	p := tr.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	tr.acquire(instrument.Now())
}

// acquire ends the wait at now, or when a connection began to be made for the trip. Caller must hold the lock of the pool.
func (tr *trip) acquire(now time.Duration) {
	p := tr.pool
	if tr.phase == dialing {
		now = tr.dialed
	}
	if tr.phase == away {
		return
	}
	p.waits[instrument.Acquired].Record(now - tr.asked)
	tr.unwait()
	tr.phase, tr.use = using, p.uses.Begin()
}

// unwait takes the trip from those that wait. Caller must hold the lock of the pool.
func (tr *trip) unwait() {
	switch tr.phase {
	case waiting:
		tr.pool.pending--
	case dialing:
		tr.pool.constructing--
	}
	tr.phase = away
}

// leave ends the use, if there is one. Caller must hold the lock of the pool.
func (tr *trip) leave(how instrument.Ending) {
	if tr.phase == using {
		tr.phase = away
		tr.pool.uses.End(tr.use, how)
	}
}

func (tr *trip) end(how instrument.Ending) {
	tr.pool.mu.Lock()
	defer tr.pool.mu.Unlock()
	tr.leave(how)
}

// fail ends a trip without a response.
func (tr *trip) fail(ctx context.Context, err error) {
	p := tr.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	now := instrument.Now()
	switch {
	case tr.phase != waiting && tr.phase != dialing:
	case ctx.Err() != nil:
		outcome := instrument.GaveUp(ctx.Err())
		p.gaveUp[outcome]++
		p.waits[outcome].Record(now - tr.asked)
		tr.unwait()
	default: // a connection could not be made
		if tr.phase == dialing && !tr.made {
			p.unmade.Record(now - tr.dialed)
		}
		tr.acquire(now)
	}
	tr.leave(instrument.Failed)
	tr.answer(answer{method: tr.method, errorType: errorType(ctx, err)}, now)
}

// responded is called when the header of the response is there.
func (tr *trip) responded(status, major int) {
	p := tr.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	p.http2 = p.http2 || major > 1
	if p.follows {
		tr.answer(answer{method: tr.method, status: status}, instrument.Now())
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
