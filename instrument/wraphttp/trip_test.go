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

// one returns a trip to the one host of these tests.
func one(ctx context.Context, p *pool) *trip {
	tr := &trip{pool: p, req: httptest.NewRequestWithContext(ctx, http.MethodGet, "http://shop/", http.NoBody)}
	tr.hooks()
	return tr
}

// took returns a trip that has a connection.
func took(ctx context.Context, p *pool) *trip {
	tr := one(ctx, p)
	tr.ask("shop:80")
	tr.got(httptrace.GotConnInfo{Reused: true})
	return tr
}

func limited() *pool { return newPool(&http.Transport{MaxConnsPerHost: 1}, nil) }

// A request may get a connection before the previous request is known to be over. It acquires a
// slot as soon as that request is over, and not only when it ends itself.
func TestLateTripsAcquire(t *testing.T) {
	for name, release := range map[string]func(first, second *trip){
		"the use ends":           func(first, _ *trip) { first.end(instrument.OK) },
		"the connection is idle": func(first, _ *trip) { first.giveBack(nil) },
		"uses turn out as streams": func(first, _ *trip) {
			first.respond(&http.Response{ProtoMajor: 2, Body: io.NopCloser(strings.NewReader(""))})
		},
	} {
		p := limited()
		first, second := took(t.Context(), p), took(t.Context(), p)
		if first.phase != using || second.phase != late {
			t.Errorf("%s: phases %v and %v, want that the second is late", name, first.phase, second.phase)
		}
		if release(first, second); second.phase != using {
			t.Errorf("%s: the second is still late", name)
		}
		p.close()
	}
}

// The slot of a request whose context has ended is available to the next request, whether or not
// Stats is called in between.
func TestAnEndedContextMakesRoom(t *testing.T) {
	p := limited()
	defer p.close()
	ctx, cancel := context.WithCancel(t.Context())
	took(ctx, p)
	cancel()
	if next := took(t.Context(), p); next.phase != using {
		t.Error("the next one is late")
	}
}

// On HTTP/2 there are no slots. This is known as soon as there is a connection, even before the
// first response.
func TestTheConnectionTellsHTTP2(t *testing.T) {
	var only http.Protocols
	only.SetUnencryptedHTTP2(true)
	p := newPool(&http.Transport{MaxConnsPerHost: 1, Protocols: &only}, nil)
	defer p.close()
	took(t.Context(), p)
	if second := took(t.Context(), p); second.phase != using {
		t.Error("the second stream is late")
	}
}

// A connection that was returned is no longer in use, whether or not the body is read or closed.
func TestGivingBackEndsTheUse(t *testing.T) {
	p := newPool(&http.Transport{}, nil)
	defer p.close()
	took(t.Context(), p).giveBack(nil)
	if s := p.stats(); s.Usage[instrument.Used].Or(-1) != 0 || s.Completed[instrument.OK].Or(-1) != 1 {
		t.Errorf("got %v", s)
	}
}

// With a dialer that does not call the trace, one dial is assumed for each requested connection
// until the trace reports something.
func TestAssumedDialsAreCountedOnce(t *testing.T) {
	for name, then := range map[string]func(*trip){
		"asked again": func(tr *trip) { tr.got(httptrace.GotConnInfo{}); tr.ask("shop:80") },
		"heard of":    func(tr *trip) { tr.connect() },
	} {
		p := newPool(&http.Transport{}, nil)
		p.partOf(partKey{}).fresh = 1 // a connection whose dial was not traced
		tr := one(t.Context(), p)
		tr.ask("shop:80")
		then(tr)
		if n := tr.part.constructing; n != 1 {
			t.Errorf("%s: %d constructing, want 1", name, n)
		}
		p.close()
	}
}

// If a request gives up, its dial does not count as constructing while the dial makes no progress.
func TestGivingUpLeavesWhatNobodyWorksAt(t *testing.T) {
	p := newPool(&http.Transport{}, nil)
	defer p.close()
	ctx, cancel := context.WithCancel(t.Context())
	tr := one(ctx, p)
	tr.ask("shop:80")
	tr.resolve()
	tr.resolved(1, nil)
	if n := tr.part.constructing; n != 1 {
		t.Errorf("%d constructing, want 1", n)
	}
	cancel()
	tr.fail(ctx.Err())
	if n := tr.part.constructing; n != 0 {
		t.Errorf("%d constructing, want 0", n)
	}
}

// A second dial begins when its first event is reported, and not when the first dial began.
func TestASecondDialBeginsWhenItIsHeardOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(&http.Transport{}, nil)
		defer p.close()
		tr := &trip{
			pool: p,
			req:  httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://shop/", http.NoBody),
		}
		tr.hooks()
		for range 2 {
			tr.ask("shop:443")
			tr.handshake()
			time.Sleep(time.Second)
			tr.shaken(nil)
			time.Sleep(4 * time.Second)
		}
		if made := p.stats().Create[0].Duration; made.Count() != 2 || made.Sum() != 2 {
			t.Errorf("%d made in %v s, want 2 in a second each", made.Count(), made.Sum())
		}
	})
}

// If an earlier attempt left a dial between two steps, the next attempt does not wait for that
// dial.
func TestWhatWasLeftBehindIsNotAwaited(t *testing.T) {
	p := newPool(&http.Transport{}, nil)
	defer p.close()
	tr := one(t.Context(), p)
	tr.ask("shop:80")
	tr.resolve()
	tr.resolved(1, nil)
	tr.got(httptrace.GotConnInfo{Reused: true})
	tr.ask("shop:80")
	tr.resolved(0, nil) // of an unknown dial, such as one to another host
	if n := tr.part.constructing; n != 0 {
		t.Errorf("%d constructing, want 0", n)
	}
}

// reader is a body that ends in an error.
type reader struct{ err error }

func (r reader) Read([]byte) (int, error)  { return 0, r.err }
func (reader) Write(p []byte) (int, error) { return len(p), nil }
func (reader) Close() error                { return nil }

// A use ends when the body has been read to its end, even if it is not closed.
func TestTheBodyEndsTheUse(t *testing.T) {
	for how, err := range map[instrument.Ending]error{instrument.OK: io.EOF, instrument.Failed: errors.New("reset")} {
		p := newPool(&http.Transport{}, nil)
		resp := &http.Response{ProtoMajor: 1, Body: struct{ io.ReadCloser }{reader{err}}}
		took(t.Context(), p).respond(resp)
		if s := p.stats(); s.Usage[instrument.Used].Or(-1) != 1 {
			t.Errorf("before it is read: %v", s)
		}
		_, _ = resp.Body.Read(nil)
		if s := p.stats(); s.Usage[instrument.Used].Or(-1) != 0 || s.Completed[how].Or(-1) != 1 {
			t.Errorf("%v: %v", err, s)
		}
		p.close()
	}
}

// A connection that switched to another protocol belongs to the caller until it is closed, even
// after the context ends.
func TestASwitchedConnectionOutlivesItsContext(t *testing.T) {
	p := newPool(&http.Transport{}, nil)
	defer p.close()
	ctx, cancel := context.WithCancel(t.Context())
	resp := &http.Response{ProtoMajor: 1, Body: reader{io.EOF}}
	took(ctx, p).respond(resp)
	cancel()
	_, _ = resp.Body.Read(nil)
	if s := p.stats(); s.Usage[instrument.Used].Or(-1) != 1 {
		t.Errorf("its context has ended: %v", s)
	}
	_ = resp.Body.Close()
	if s := p.stats(); s.Usage[instrument.Used].Or(-1) != 0 || s.Completed[instrument.OK].Or(-1) != 1 {
		t.Errorf("closed: %v", s)
	}
}

func TestADialIsAtWorkWhileTheEndOfItsStageWillBeReported(t *testing.T) {
	for d, want := range map[dial]bool{
		{stage: assumed}:             false,
		{stage: resolving}:           true,
		{stage: resolved}:            false,
		{stage: connecting, open: 1}: true,
		{stage: connecting, left: 1}: false, // between two attempts
		{stage: connected}:           false,
		{stage: shaking}:             true,
	} {
		if d.isAtWork() != want {
			t.Errorf("%+v: want %v", d, want)
		}
	}
}
