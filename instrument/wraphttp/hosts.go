package wraphttp

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// otherHosts is the address under which all hosts beyond maxHosts are reported.
const otherHosts = "_OTHER"

var defaultPorts = map[string]string{"http": "80", "https": "443"}

// addressOf returns u's host and port.
func addressOf(u *url.URL) string {
	if port := defaultPorts[u.Scheme]; port != "" && u.Port() == "" {
		return net.JoinHostPort(u.Hostname(), port)
	}
	return u.Host
}

func addressAttributes(scheme, address string) []attribute.KeyValue {
	host, given, err := net.SplitHostPort(address)
	if err != nil {
		return []attribute.KeyValue{semconv.ServerAddress(address)}
	}
	attributes := []attribute.KeyValue{semconv.ServerAddress(host), semconv.URLScheme(scheme)}
	if port, err := strconv.Atoi(given); err == nil {
		attributes = append(attributes, semconv.ServerPort(port))
	}
	return attributes
}

// hosts holds a pool's semantic-convention metrics, by host.
type hosts struct {
	follows bool

	mu    sync.Mutex // guards everything below
	known map[hostKey]*host
}

type hostKey struct{ scheme, host string }

// host holds the semantic-convention metrics of one host. The lock of hosts guards it.
type host struct {
	attributes []attribute.KeyValue
	active     int64
	answers    map[answer]*instrument.Histogram // durations of requests, by answer
}

// answer is how a request ended: with a status or with an error.
type answer struct {
	method    string
	status    int
	errorType string
}

// begin records the start of a request to u and returns its host. It returns nil if the pool does
// not report semantic-convention metrics.
func (h *hosts) begin(u *url.URL) *host {
	if !h.follows {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	to := h.of(u)
	to.active++
	return to
}

// end records the end of a request to the given host.
func (h *hosts) end(to *host, a answer, took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	to.active--
	durations := to.answers[a]
	if durations == nil {
		durations = new(instrument.Histogram)
		to.answers[a] = durations
	}
	durations.Record(took)
}

// of returns the entry for u's host, or the shared entry for all hosts beyond maxHosts. Caller must
// hold the lock.
func (h *hosts) of(u *url.URL) *host {
	key := hostKey{host: otherHosts}
	if u != nil {
		key = hostKey{u.Scheme, u.Host}
	}
	if to, known := h.known[key]; known {
		return to
	}
	if len(h.known) >= maxHosts {
		key, u = hostKey{host: otherHosts}, nil
		if to, known := h.known[key]; known {
			return to
		}
	}
	to := &host{answers: map[answer]*instrument.Histogram{}}
	if u == nil {
		to.attributes = addressAttributes("", otherHosts)
	} else {
		to.attributes = addressAttributes(u.Scheme, addressOf(u))
	}
	h.known[key] = to
	return to
}

func methodOf(method string) string {
	switch method {
	case "":
		return http.MethodGet
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace, "QUERY":
		return method
	}
	return "_OTHER"
}

// convention returns an option that also reports h's metrics under the names of OpenTelemetry's HTTP
// semantic conventions.
func (h *hosts) convention() instrument.Option {
	return instrument.Follow(instrument.Convention{
		Rows: catalog.HTTPClient,
		Points: func(_ *instrument.Stats, add func(*catalog.Metric, attribute.Set, instrument.Point)) {
			h.mu.Lock()
			defer h.mu.Unlock()
			for _, to := range h.known {
				add(catalog.HTTPActiveRequests, attribute.NewSet(to.attributes...), instrument.Point{Int: to.active})
				for a, durations := range to.answers {
					add(catalog.HTTPRequestDuration, to.with(a), instrument.Point{Histogram: durations.Clone()})
				}
			}
		},
	})
}

func (h *host) with(a answer) attribute.Set {
	all := slices.Concat(h.attributes, []attribute.KeyValue{semconv.HTTPRequestMethodKey.String(a.method)})
	if a.status > 0 {
		all = append(all, semconv.HTTPResponseStatusCode(a.status))
	}
	switch {
	case a.errorType != "":
		all = append(all, semconv.ErrorTypeKey.String(a.errorType))
	case a.status >= http.StatusBadRequest:
		all = append(all, semconv.ErrorTypeKey.String(strconv.Itoa(a.status)))
	}
	return attribute.NewSet(all...)
}
