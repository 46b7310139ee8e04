package wraphttp_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/pooltest"
)

// All invariants hold at all times, no matter what requests, servers and connections do, and
// nothing is in progress afterwards.
func TestTransportInvariantsUnderStress(t *testing.T) {
	for _, limit := range []int{0, 3} {
		for _, protocol := range []string{"HTTP/1", "HTTP/1 over TLS", "HTTP/2", "HTTP/2 without TLS"} {
			t.Run(fmt.Sprintf("%s, limit %d", protocol, limit), func(t *testing.T) { stress(t, protocol, limit) })
		}
	}
}

func stress(t *testing.T, protocol string, limit int) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(randomHandler))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	base := &http.Transport{MaxConnsPerHost: limit, MaxIdleConnsPerHost: 2}
	base.Protocols, s.Config.Protocols = new(http.Protocols), new(http.Protocols)
	for _, p := range []*http.Protocols{base.Protocols, s.Config.Protocols} {
		p.SetHTTP1(strings.HasPrefix(protocol, "HTTP/1"))
		p.SetHTTP2(protocol == "HTTP/2")
		p.SetUnencryptedHTTP2(protocol == "HTTP/2 without TLS")
	}
	if protocol == "HTTP/2" || protocol == "HTTP/1 over TLS" {
		s.EnableHTTP2 = protocol == "HTTP/2"
		s.StartTLS()
		base.TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig
	} else {
		s.Start()
	}
	defer s.Close()
	rt, c := mustWrap(t, base)
	var in pooltest.Invariants
	in.HoldUnder(t, func() instrument.Stats { return singleHostStats(t, rt) }, func() {
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				for i := range 25 {
					randomRequest(t.Context(), c, s, i)
				}
			})
		}
		wg.Wait()
	})
	rt.CloseIdleConnections()
	waitForDials(t, rt)
	checkIdle(t, singleHostStats(t, rt))
}

// randomHandler responds in a random way.
func randomHandler(w http.ResponseWriter, r *http.Request) {
	switch rand.IntN(8) {
	case 0:
		w.Header().Set("Content-Length", "1000") // most of it is never sent
		hello(w, r)
	case 1:
		panic(http.ErrAbortHandler)
	case 2:
		w.Header().Set("Connection", "close")
		hello(w, r)
	case 3:
		if conn, rw, err := http.NewResponseController(w).Hijack(); err == nil {
			_, _ = io.WriteString(
				conn,
				"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
			)
			_, _ = io.Copy(conn, rw)
			_ = conn.Close()
		}
	default:
		runtime.Gosched()
		hello(w, r)
	}
}

// randomRequest makes one request in a random way.
func randomRequest(ctx context.Context, c *http.Client, s *httptest.Server, i int) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var body io.Reader
	variant := rand.IntN(8)
	switch variant {
	case 0:
		go cancel()
	case 1:
		body = strings.NewReader("again") // can be read again for a retry
	case 2:
		body = io.MultiReader(strings.NewReader("once"), failingReader{})
	}
	if i == 10 {
		s.CloseClientConnections()
	}
	req, _ := http.NewRequestWithContext(ctx, http.MethodPut, s.URL, body)
	resp, err := c.Do(req)
	if err != nil {
		return
	}
	halfCloser, switched := resp.Body.(interface{ CloseWrite() error })
	if switched {
		_, _ = io.WriteString(resp.Body.(io.Writer), "hello")
		_ = halfCloser.CloseWrite()
	}
	switch variant {
	case 3:
		cancel()
	case 4: // closes the body unread
	default:
		_, _ = io.Copy(io.Discard, resp.Body)
	}
	if switched || variant != 5 { // otherwise, the deferred cancel ends the request
		_ = resp.Body.Close()
	}
}

// failingReader is a request body that cannot be read.
type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errRefused }
