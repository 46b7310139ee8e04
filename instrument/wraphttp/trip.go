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
	inactive phase = iota // neither waiting for a connection nor using one
	waiting               // waiting for a connection or a dial
	late                  // has a connection but no slot yet
	using                 // has a connection and a slot
)

// trip is one round trip. The transport may try several connections in turn, and each attempt
// counts as a request.
type trip struct {
	pool *pool
	req  *http.Request
	part *part             // nil until the first request for a connection
	span trace.SpanContext // span of req; set together with part

	// The part's lock guards everything below, since a dial may continue when the trip is over.
	phase        phase
	claim        measure.Claim // active while waiting or late
	hadRoom      bool          // part.hasRoom when the trip requested a connection, so it is waiting for a dial
	proxied      bool          // the connection is to a proxy
	ownDialEnded bool          // one of the trip's own dials has ended since it requested a connection
	owned        bool          // the caller owns the connection, even after the context is done
	lease        measure.Use
	dials        []dial

	previous, next *trip // links in part.users

	host    *host // nil if the pool does not report semantic-convention metrics
	started time.Duration

	// The following are fields of trip only to save allocations.
	trace   httptrace.ClientTrace
	body    body
	dialBuf [1]dial // initial storage of dials
}

// hooks returns a trace that records the events of the trip.
func (tr *trip) hooks() *httptrace.ClientTrace {
	tr.dials = tr.dialBuf[:0]
	h := &tr.trace
	h.GetConn = tr.getConn
	h.GotConn = tr.gotConn
	h.PutIdleConn = tr.putIdleConn
	h.DNSStart = func(httptrace.DNSStartInfo) { tr.dnsStart() }
	h.DNSDone = func(i httptrace.DNSDoneInfo) { tr.dnsDone(len(i.Addrs), i.Err) }
	h.ConnectStart = func(string, string) { tr.connectStart() }
	h.ConnectDone = func(_, _ string, err error) { tr.connectDone(err) }
	h.TLSHandshakeStart = tr.tlsHandshakeStart
	h.TLSHandshakeDone = func(_ tls.ConnectionState, err error) { tr.tlsHandshakeDone(err) }
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

// getConn records that net/http requests a connection for the trip. That starts a wait or continues
// it: on HTTP/2, net/http may request several times before it gets a connection. If the trip
// already has a connection, net/http has found that connection to be broken.
func (tr *trip) getConn(address string) {
	p := tr.partFor(address)
	p.Lock()
	defer p.Unlock()
	tr.endUseLocked(instrument.Failed)
	switch {
	case tr.phase == inactive:
		tr.claim, tr.ownDialEnded = p.Ask(tr.span), false
		tr.phase, tr.hadRoom = waiting, p.hasRoom()
		if tr.hadRoom && p.hasUntracedDials() {
			tr.beginDial(assumed)
			tr.updateConstructing()
		}
	case tr.claim.IsConstructing() && len(tr.dials) == 0: // the dialed connection could not be used
		tr.hadRoom = false
		tr.claim.Resume(&p.Recorder)
	}
}

// partFor returns the trip's part. The first call selects the part by address; later attempts use
// the same part.
func (tr *trip) partFor(address string) *part {
	if tr.part == nil {
		var key partKey
		key, tr.proxied = tr.keyOf(address)
		tr.part = tr.pool.partOf(key)
		tr.span = trace.SpanContextFromContext(tr.req.Context())
	}
	return tr.part
}

// gotConn records that the trip got a connection. On HTTP/2, gotConn may be called without a
// preceding getConn: the first request on a new connection may not be the one that the connection
// was dialed for.
func (tr *trip) gotConn(info httptrace.GotConnInfo) {
	p := tr.partFor(addressOf(tr.req.URL))
	p.Lock()
	defer p.Unlock()
	switch tr.phase {
	case inactive:
		tr.claim, tr.phase, tr.hadRoom, tr.ownDialEnded = p.Ask(tr.span), waiting, false, false
	case late, using:
		return
	}
	if !p.http2 && (!info.Reused || p.limit > 0) && tr.isHTTP2(info.Conn) {
		p.setHTTP2()
	}
	if !info.Reused {
		tr.gotNewConn(p.http2)
	}
	tr.removeDialAt(assumed)
	if p.isFull() {
		p.reap()
	}
	if p.isFull() {
		tr.phase = late
		p.late = append(p.late, tr)
	} else {
		tr.startUse()
	}
	tr.updateConstructing()
}

// isHTTP2 reports whether c uses HTTP/2, so that several requests share it.
func (tr *trip) isHTTP2(c net.Conn) bool {
	if t, ok := c.(*tls.Conn); ok {
		return t.ConnectionState().NegotiatedProtocol == "h2"
	}
	return tr.pool.plainHTTP2 && tr.req.URL.Scheme == "http"
}

// startUse records the end of the wait and the start of a use. Caller must hold the part's lock.
func (tr *trip) startUse() {
	p := tr.part
	tr.phase, tr.lease = using, tr.claim.Get(&p.Recorder)
	p.users.add(tr)
}

// endUseLocked records the end of the use, if there is one. Caller must hold the part's lock.
func (tr *trip) endUseLocked(ending instrument.Ending) {
	p := tr.part
	if tr.phase == late {
		i := slices.Index(p.late, tr)
		p.late = slices.Delete(p.late, i, i+1)
		tr.startUse()
	}
	if tr.phase != using {
		return
	}
	tr.phase = inactive
	p.users.remove(tr)
	p.End(tr.lease, ending)
	p.promote()
}

// endUse is like endUseLocked, but takes the part's lock.
func (tr *trip) endUse(ending instrument.Ending) {
	if p := tr.part; p != nil {
		p.Lock()
		tr.endUseLocked(ending)
		p.Unlock()
	}
}

// putIdleConn records the end of the use when the connection is returned. If err is not nil, the
// connection was closed instead of becoming idle.
func (tr *trip) putIdleConn(err error) {
	p := tr.part
	p.Lock()
	defer p.Unlock()
	if err != nil {
		p.closed[reasonOf(err)]++
	}
	tr.endUseLocked(instrument.OK)
}

// gaveUp reports whether the caller has abandoned the request, and with which outcome.
func (tr *trip) gaveUp() (outcome instrument.Outcome, ok bool) {
	ctx := tr.req.Context()
	if err := ctx.Err(); err != nil {
		return instrument.GaveUp(err), true
	}
	select {
	case <-tr.req.Cancel: //nolint:staticcheck // http.Client.Timeout closes it, perhaps before the context is done
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
	if tr.phase == waiting {
		if outcome, ok := tr.gaveUp(); ok {
			tr.claim.GiveUp(&p.Recorder, outcome)
			tr.phase = inactive
		} else {
			tr.dialFailed(err)
			tr.startUse()
		}
	}
	tr.endUseLocked(instrument.Failed)
	tr.updateConstructing()
}
