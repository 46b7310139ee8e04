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

// otherHosts is the address under which all hosts beyond the first maxHosts are reported.
const otherHosts = "_OTHER"

var defaultPorts = map[string]string{"http": "80", "https": "443"}

// addressOf returns u's host and port, with the default port of the scheme if u has none.
func addressOf(u *url.URL) string {
	if port := defaultPorts[u.Scheme]; port != "" && u.Port() == "" {
		return net.JoinHostPort(u.Hostname(), port)
	}
	return u.Host
}

// addressAttributes returns the attributes that identify the server at address.
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
	enabled bool // the pool reports semantic-convention metrics

	mu    sync.Mutex // guards everything below
	known map[hostKey]*host
}

type hostKey struct{ scheme, host string }

// host holds the semantic-convention metrics of one host. The lock of hosts guards it.
type host struct {
	attributes []attribute.KeyValue
	active     int64                            // number of requests in progress
	durations  map[result]*instrument.Histogram // durations of requests, by result
}

// result describes how a request ended: with a status or with an error.
type result struct {
	method    string
	status    int
	errorType string
}

// begin records the start of a request to u and returns the host to pass to end. It returns nil if
// the pool does not report semantic-convention metrics.
func (h *hosts) begin(u *url.URL) *host {
	if !h.enabled {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	target := h.hostOf(u)
	target.active++
	return target
}

// end records the end of a request to the given host.
func (h *hosts) end(target *host, r result, took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	target.active--
	durations := target.durations[r]
	if durations == nil {
		durations = new(instrument.Histogram)
		target.durations[r] = durations
	}
	durations.Record(took)
}

// hostOf returns the entry for u's host, or the shared entry for all hosts beyond the first
// maxHosts. Caller must hold the lock.
func (h *hosts) hostOf(u *url.URL) *host {
	key := hostKey{host: otherHosts}
	if u != nil {
		key = hostKey{u.Scheme, u.Host}
	}
	if target, known := h.known[key]; known {
		return target
	}
	if len(h.known) >= maxHosts {
		key, u = hostKey{host: otherHosts}, nil
		if target, known := h.known[key]; known {
			return target
		}
	}
	target := &host{durations: map[result]*instrument.Histogram{}}
	if u == nil {
		target.attributes = addressAttributes("", otherHosts)
	} else {
		target.attributes = addressAttributes(u.Scheme, addressOf(u))
	}
	h.known[key] = target
	return target
}

// methodOf returns the value of http.request.method for a request's method.
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

// convention returns an option that also reports h's metrics under the names of OpenTelemetry's
// HTTP semantic conventions.
func (h *hosts) convention() instrument.Option {
	return instrument.Follow(instrument.Convention{
		Rows: catalog.HTTPClient,
		Points: func(_ *instrument.Stats, add func(*catalog.Metric, attribute.Set, instrument.Point)) {
			h.mu.Lock()
			defer h.mu.Unlock()
			for _, k := range h.known {
				add(catalog.HTTPActiveRequests, attribute.NewSet(k.attributes...), instrument.Point{Int: k.active})
				for r, durations := range k.durations {
					add(catalog.HTTPRequestDuration, k.with(r), instrument.Point{Histogram: durations.Clone()})
				}
			}
		},
	})
}

// with returns the attributes of h and r.
func (h *host) with(r result) attribute.Set {
	all := slices.Concat(h.attributes, []attribute.KeyValue{semconv.HTTPRequestMethodKey.String(r.method)})
	if r.status > 0 {
		all = append(all, semconv.HTTPResponseStatusCode(r.status))
	}
	switch {
	case r.errorType != "":
		all = append(all, semconv.ErrorTypeKey.String(r.errorType))
	case r.status >= http.StatusBadRequest:
		all = append(all, semconv.ErrorTypeKey.String(strconv.Itoa(r.status)))
	}
	return attribute.NewSet(all...)
}
