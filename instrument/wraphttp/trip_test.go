package wraphttp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// newTrip returns a trip for a request to the host that these tests use.
func newTrip(ctx context.Context, p *pool) *trip {
	tr := &trip{pool: p, req: httptest.NewRequestWithContext(ctx, http.MethodGet, "http://shop/", http.NoBody)}
	tr.hooks()
	return tr
}

// withConn returns a trip that has a connection.
func withConn(ctx context.Context, p *pool) *trip {
	tr := newTrip(ctx, p)
	tr.getConn("shop:80")
	tr.gotConn(httptrace.GotConnInfo{Reused: true})
	return tr
}

// limitedPool returns a pool with a limit of one connection per host.
func limitedPool() *pool { return newPool(&http.Transport{MaxConnsPerHost: 1}, nil) }

// A request may get a connection before the previous request is known to have ended. It acquires a
// slot when the previous request ends, rather than when it ends itself.
func TestLateTripAcquiresSlot(t *testing.T) {
	for name, release := range map[string]func(first, second *trip){
		"use ends":                func(first, _ *trip) { first.endUse(instrument.OK) },
		"connection becomes idle": func(first, _ *trip) { first.putIdleConn(nil) },
		"response arrives by HTTP/2": func(first, _ *trip) {
			first.wrapBody(&http.Response{ProtoMajor: 2, Body: io.NopCloser(strings.NewReader(""))})
		},
	} {
		p := limitedPool()
		first, second := withConn(t.Context(), p), withConn(t.Context(), p)
		if first.phase != using || second.phase != late {
			t.Errorf("%s: got phases %v and %v, want using and late", name, first.phase, second.phase)
		}
		if release(first, second); second.phase != using {
			t.Errorf("%s: the second trip is still late", name)
		}
		p.close()
	}
}

// The slot of a request whose context is done is available to the next request, even if Stats is
// not called in between.
func TestDoneContextFreesSlotForNextRequest(t *testing.T) {
	p := limitedPool()
	defer p.close()
	ctx, cancel := context.WithCancel(t.Context())
	withConn(ctx, p)
	cancel()
	if next := withConn(t.Context(), p); next.phase != using {
		t.Errorf("next trip: got phase %v, want using", next.phase)
	}
}

// On HTTP/2, the number of streams is not limited. HTTP/2 is detected as soon as there is a
// connection, even before the first response.
func TestHTTP2IsDetectedByConnection(t *testing.T) {
	var http2 http.Protocols
	http2.SetUnencryptedHTTP2(true)
	p := newPool(&http.Transport{MaxConnsPerHost: 1, Protocols: &http2}, nil)
	defer p.close()
	withConn(t.Context(), p)
	if second := withConn(t.Context(), p); second.phase != using {
		t.Errorf("second stream: got phase %v, want using", second.phase)
	}
}

// A connection that was returned is no longer in use, whether or not the body is read or closed.
func TestReturningConnectionEndsUse(t *testing.T) {
	p := newPool(&http.Transport{}, nil)
	defer p.close()
	withConn(t.Context(), p).putIdleConn(nil)
	if s := p.stats(); s.Usage[instrument.Used].Or(-1) != 0 || s.Completed[instrument.OK].Or(-1) != 1 {
		t.Errorf("got %v, want 0 used and 1 completed", s)
	}
}

// With a dialer that does not call the trace, a dial is assumed for each requested connection until
// the trace reports something.
func TestAssumedDialIsCountedOnce(t *testing.T) {
	for name, then := range map[string]func(*trip){
		"connection requested again": func(tr *trip) { tr.gotConn(httptrace.GotConnInfo{}); tr.getConn("shop:80") },
		"dial reported":              func(tr *trip) { tr.connectStart() },
	} {
		p := newPool(&http.Transport{}, nil)
		p.partOf(partKey{}).fresh = 1 // a connection whose dial was not traced
		tr := newTrip(t.Context(), p)
		tr.getConn("shop:80")
		then(tr)
		if n := tr.part.constructing; n != 1 {
			t.Errorf("%s: got %d constructing, want 1", name, n)
		}
		p.close()
	}
}

// If a request gives up while its dial is between two stages, the dial does not count as
// constructing.
func TestGivingUpBetweenDialStages(t *testing.T) {
	p := newPool(&http.Transport{}, nil)
	defer p.close()
	ctx, cancel := context.WithCancel(t.Context())
	tr := newTrip(ctx, p)
	tr.getConn("shop:80")
	tr.dnsStart()
	tr.dnsDone(1, nil)
	if n := tr.part.constructing; n != 1 {
		t.Errorf("before giving up: got %d constructing, want 1", n)
	}
	cancel()
	tr.fail(ctx.Err())
	if n := tr.part.constructing; n != 0 {
		t.Errorf("after giving up: got %d constructing, want 0", n)
	}
}

// A second dial begins when its first event is reported, not when the first dial began.
func TestSecondDialBeginsWithItsFirstEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(&http.Transport{}, nil)
		defer p.close()
		tr := &trip{
			pool: p,
			req:  httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://shop/", http.NoBody),
		}
		tr.hooks()
		for range 2 {
			tr.getConn("shop:443")
			tr.tlsHandshakeStart()
			time.Sleep(time.Second)
			tr.tlsHandshakeDone(nil)
			time.Sleep(4 * time.Second)
		}
		if dials := p.stats().Create[0].Duration; dials.Count() != 2 || dials.Sum() != 2 {
			t.Errorf("got %d dials, %v s in total; want 2, 2 s", dials.Count(), dials.Sum())
		}
	})
}

// If an earlier attempt left a dial between two stages, the next attempt does not wait for that
// dial.
func TestNextAttemptDoesNotWaitForAbandonedDial(t *testing.T) {
	p := newPool(&http.Transport{}, nil)
	defer p.close()
	tr := newTrip(t.Context(), p)
	tr.getConn("shop:80")
	tr.dnsStart()
	tr.dnsDone(1, nil)
	tr.gotConn(httptrace.GotConnInfo{Reused: true})
	tr.getConn("shop:80")
	tr.dnsDone(0, nil) // of an unknown dial, such as one to another host
	if n := tr.part.constructing; n != 0 {
		t.Errorf("got %d constructing, want 0", n)
	}
}

// reader is a body whose Read returns err.
type reader struct{ err error }

func (r reader) Read([]byte) (int, error)  { return 0, r.err }
func (reader) Write(p []byte) (int, error) { return len(p), nil }
func (reader) Close() error                { return nil }

// A use ends when the body has been read to its end, even if it is not closed.
func TestReadingBodyToEndEndsUse(t *testing.T) {
	for want, err := range map[instrument.Ending]error{instrument.OK: io.EOF, instrument.Failed: errors.New("reset")} {
		p := newPool(&http.Transport{}, nil)
		resp := &http.Response{ProtoMajor: 1, Body: struct{ io.ReadCloser }{reader{err}}}
		withConn(t.Context(), p).wrapBody(resp)
		if s := p.stats(); s.Usage[instrument.Used].Or(-1) != 1 {
			t.Errorf("before the body is read: got %v, want 1 used", s)
		}
		_, _ = resp.Body.Read(nil)
		if s := p.stats(); s.Usage[instrument.Used].Or(-1) != 0 || s.Completed[want].Or(-1) != 1 {
			t.Errorf("after Read returned %v: got %v, want 0 used and 1 completed as %v", err, s, want)
		}
		p.close()
	}
}

// A connection that switched to another protocol is used by the caller until it is closed, even
// after the context is done.
func TestSwitchedConnectionOutlivesContext(t *testing.T) {
	p := newPool(&http.Transport{}, nil)
	defer p.close()
	ctx, cancel := context.WithCancel(t.Context())
	resp := &http.Response{ProtoMajor: 1, Body: reader{io.EOF}}
	withConn(ctx, p).wrapBody(resp)
	cancel()
	_, _ = resp.Body.Read(nil)
	if s := p.stats(); s.Usage[instrument.Used].Or(-1) != 1 {
		t.Errorf("after the context is done: got %v, want 1 used", s)
	}
	_ = resp.Body.Close()
	if s := p.stats(); s.Usage[instrument.Used].Or(-1) != 0 || s.Completed[instrument.OK].Or(-1) != 1 {
		t.Errorf("after Close: got %v, want 0 used and 1 completed", s)
	}
}

func TestEndIsReported(t *testing.T) {
	for d, want := range map[dial]bool{
		{stage: assumed}:                false,
		{stage: resolving}:              true,
		{stage: resolved}:               false,
		{stage: connecting, open: 1}:    true,
		{stage: connecting, untried: 1}: false, // between two attempts
		{stage: connected}:              false,
		{stage: handshaking}:            true,
	} {
		if d.endIsReported() != want {
			t.Errorf("%+v: endIsReported() = %v, want %v", d, !want, want)
		}
	}
}
