package wraphttp

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// phase is the state of a trip.
type phase uint8

const (
	away   phase = iota // neither waits for a connection nor has one
	asking              // waits for a connection or a dial
	late                // has a connection but no slot yet
	using
)

// trip is one round trip. The transport may try several connections one after the other, and each
// attempt counts as a request.
type trip struct {
	pool *pool
	req  *http.Request
	part *part             // nil until the first request for a connection
	span trace.SpanContext // span of req; set together with part

	// The part's lock guards everything below, since a dial may continue when the trip is over.
	phase   phase
	claim   measure.Claim // active while asking or late
	room    bool          // there was room when the trip requested a connection, so it is waiting for a dial
	proxied bool
	done    bool // one of the trip's own dials has ended since it requested a connection
	owned   bool // the caller owns the connection, even after the context ends
	lease   measure.Use
	dials   []dial

	previous, next *trip // links in part.users

	host    *host // nil if the pool does not report semantic-convention metrics
	started time.Duration

	trace httptrace.ClientTrace // this and the next two are fields to save allocations
	body  body
	room1 [1]dial
}

func (tr *trip) hooks() *httptrace.ClientTrace {
	tr.dials = tr.room1[:0]
	h := &tr.trace
	h.GetConn = tr.ask
	h.GotConn = tr.got
	h.PutIdleConn = tr.giveBack
	h.DNSStart = func(httptrace.DNSStartInfo) { tr.resolve() }
	h.DNSDone = func(i httptrace.DNSDoneInfo) { tr.resolved(len(i.Addrs), i.Err) }
	h.ConnectStart = func(string, string) { tr.connect() }
	h.ConnectDone = func(_, _ string, err error) { tr.connected(err) }
	h.TLSHandshakeStart = tr.handshake
	h.TLSHandshakeDone = func(_ tls.ConnectionState, err error) { tr.shaken(err) }
	return h
}

// keyOf returns the key under which net/http keeps the trip's connection. Through a proxy, all
// plain-HTTP hosts share one key.
func (tr *trip) keyOf(address string) (key partKey, proxied bool) {
	u := tr.req.URL
	target := addressOf(u)
	if u.Scheme == "http" {
		return partKey{u.Scheme, address}, address != target
	}
	return partKey{u.Scheme, target}, address != target
}

// ask records that net/http requests a connection for the trip, which starts a wait or continues
// it: on HTTP/2 net/http may request several times before it gets a connection. If the trip already
// has a connection, that connection has proved to be broken.
func (tr *trip) ask(address string) {
	p := tr.to(address)
	p.Lock()
	defer p.Unlock()
	tr.leave(instrument.Failed)
	switch {
	case tr.phase == away:
		tr.claim, tr.done = p.Ask(tr.span), false
		tr.phase, tr.room = asking, p.hasRoom()
		if tr.room && p.isSilent() {
			tr.begin(assumed)
			tr.settle()
		}
	case tr.claim.IsConstructing() && len(tr.dials) == 0: // that connection could not be used
		tr.room = false
		tr.claim.Resume(&p.Recorder)
	}
}

// to returns the trip's part. address selects it at the first call; later attempts use the same
// part.
func (tr *trip) to(address string) *part {
	if tr.part == nil {
		var key partKey
		key, tr.proxied = tr.keyOf(address)
		tr.part = tr.pool.partOf(key)
		tr.span = trace.SpanContextFromContext(tr.req.Context())
	}
	return tr.part
}

// got records that the trip got a connection. On HTTP/2 got may be called without a preceding ask:
// the first request on a new connection may not be the one that the connection was dialed for.
func (tr *trip) got(info httptrace.GotConnInfo) {
	p := tr.to(addressOf(tr.req.URL))
	p.Lock()
	defer p.Unlock()
	switch tr.phase {
	case away:
		tr.claim, tr.phase, tr.room, tr.done = p.Ask(tr.span), asking, false, false
	case late, using:
		return
	}
	if !p.http2 && (!info.Reused || p.limit > 0) && tr.isHTTP2(info.Conn) {
		p.spokeHTTP2()
	}
	if !info.Reused {
		tr.arrived(p.http2)
	}
	tr.drop(assumed)
	if p.isFull() {
		p.reap()
	}
	if p.isFull() {
		tr.phase = late
		p.late = append(p.late, tr)
	} else {
		tr.use()
	}
	tr.settle()
}

// isHTTP2 reports whether c uses HTTP/2, so that several requests share it.
func (tr *trip) isHTTP2(c net.Conn) bool {
	if t, ok := c.(*tls.Conn); ok {
		return t.ConnectionState().NegotiatedProtocol == "h2"
	}
	return tr.pool.prior && tr.req.URL.Scheme == "http"
}

// use records the end of the wait and the start of a use. Caller must hold the part's lock.
func (tr *trip) use() {
	p := tr.part
	tr.phase, tr.lease = using, tr.claim.Get(&p.Recorder)
	p.users.add(tr)
}

// leave records the end of the use, if there is one. Caller must hold the part's lock.
func (tr *trip) leave(how instrument.Ending) {
	p := tr.part
	if tr.phase == late {
		i := slices.Index(p.late, tr)
		p.late = slices.Delete(p.late, i, i+1)
		tr.use()
	}
	if tr.phase != using {
		return
	}
	tr.phase = away
	p.users.remove(tr)
	p.End(tr.lease, how)
	p.promote()
}

// end is like leave, but takes the part's lock.
func (tr *trip) end(how instrument.Ending) {
	if p := tr.part; p != nil {
		p.Lock()
		tr.leave(how)
		p.Unlock()
	}
}

// giveBack records the end of the use when the connection becomes idle, or when it is closed
// instead.
func (tr *trip) giveBack(err error) {
	p := tr.part
	p.Lock()
	defer p.Unlock()
	if err != nil {
		p.closed[reasonOf(err)]++
	}
	tr.leave(instrument.OK)
}

// gaveUp reports whether the caller has abandoned the request, and how.
func (tr *trip) gaveUp() (instrument.Outcome, bool) {
	ctx := tr.req.Context()
	if err := ctx.Err(); err != nil {
		return instrument.GaveUp(err), true
	}
	select {
	case <-tr.req.Cancel: //nolint:staticcheck // http.Client.Timeout closes it, as early as it ends the context
		if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
			return instrument.TimedOut, true
		}
		return instrument.Canceled, true
	default:
		return 0, false
	}
}

// fail records the end of a trip that got no response.
func (tr *trip) fail(err error) {
	p := tr.part
	if p == nil {
		return
	}
	p.Lock()
	defer p.Unlock()
	if tr.phase == asking {
		if how, over := tr.gaveUp(); over {
			tr.claim.GiveUp(&p.Recorder, how)
			tr.phase = away
		} else {
			tr.unmade(err)
			tr.use()
		}
	}
	tr.leave(instrument.Failed)
	tr.settle()
}
