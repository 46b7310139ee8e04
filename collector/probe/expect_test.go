package probe

import (
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"testing"
)

// newHeaderServer returns a server that responds to requests with the expected key, user agent and
// host with status 202 and the body "all is well", and to all others with 403.
func newHeaderServer(t *testing.T, tls bool) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "example.com" || r.Header.Get("X-Key") != "k" || r.UserAgent() != "mine" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write([]byte("all is well\n"))
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if tls {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func TestHTTPProbeChecksTheExpectation(t *testing.T) {
	s := newHeaderServer(t, false)
	sent := http.Header{"Host": {"example.com"}, "X-Key": {"k"}, "User-Agent": {"mine"}}
	for name, c := range map[string]struct {
		expect Expectation
		want   string
	}{
		"headers":        {Expectation{Header: sent}, "response"},
		"no headers":     {Expectation{}, "response:403"},
		"status":         {Expectation{Header: sent, Status: []int{200, 202}}, "response"},
		"another status": {Expectation{Header: sent, Status: []int{200}}, "response:202"},
		"forbidden":      {Expectation{Status: []int{403}}, "response"},
		"body":           {Expectation{Header: sent, Body: regexp.MustCompile(`^all .* well`)}, "response"},
		"another body":   {Expectation{Header: sent, Body: regexp.MustCompile(`ill`)}, "response:body"},
	} {
		t.Run(name, func(t *testing.T) {
			_, p, err := Config{Expect: c.expect}.newHTTPProbe(Target{Address: s.URL, Timeout: longTimeout})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // a run must not change the request
				wantPhases(t, p.run(t.Context()), "connect", c.want)
			}
		})
	}
	if sent.Get("Host") == "" {
		t.Error("the caller's headers were changed")
	}
}

func TestHTTPProbeVerifiesCertificates(t *testing.T) {
	s := newHeaderServer(t, true)
	own := x509.NewCertPool()
	own.AddCert(s.Certificate())
	// the certificate is for example.com
	sent := http.Header{"Host": {"example.com"}, "X-Key": {"k"}, "User-Agent": {"mine"}}
	other := http.Header{"Host": {"other.example"}}
	for name, c := range map[string]struct {
		header http.Header
		trust  TLSConfig
		want   []string
	}{
		"the system's CAs": {sent, TLSConfig{}, []string{"connect", "tls:tls"}},
		"own CA":           {sent, TLSConfig{Roots: own}, []string{"connect", "tls", "response"}},
		"another name":     {other, TLSConfig{Roots: own}, []string{"connect", "tls:tls"}},
		"any certificate":  {other, TLSConfig{SkipVerify: true}, []string{"connect", "tls", "response:403"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, p, err := Config{
				Expect: Expectation{Header: c.header},
				TLS:    c.trust,
			}.newHTTPProbe(
				Target{Address: s.URL, Timeout: longTimeout},
			)
			if err != nil {
				t.Fatal(err)
			}
			if got := phases(p.run(t.Context())); !slices.Equal(got, c.want) {
				t.Errorf("phases %v, want %v", got, c.want)
			}
		})
	}
}
