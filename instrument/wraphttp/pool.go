package wraphttp

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// maxHosts bounds the hosts that are told apart.
const maxHosts = 100

// pool counts the connections of a transport.
type pool struct {
	perHost int // connections, 0 if there is no limit
	follows bool
	off     bool

	measure.Recorder // its lock guards what follows

	constructing int64
	made, unmade instrument.Histogram
	http2        bool
	hosts        map[hostKey]*host
}

type hostKey struct{ scheme, host string }

// host is what the conventions want to know of one.
type host struct {
	attributes []attribute.KeyValue
	active     int64
	answers    map[answer]*instrument.Histogram // durations of requests
}

// answer is how a request ended: with a status or without one.
type answer struct {
	method    string
	status    int
	errorType string
}

func newPool(base http.RoundTripper, opts []instrument.Option) *pool {
	p := &pool{
		follows: instrument.FollowsConventions(opts...),
		off:     instrument.TimingOf(opts...).Off,
		hosts:   map[hostKey]*host{},
	}
	p.Init(instrument.TimingOf(opts...))
	if t, ok := base.(*http.Transport); ok {
		p.perHost = t.MaxConnsPerHost
	}
	return p
}

var otherHosts = hostKey{host: "_OTHER"}

// hostOf returns the host of a URL, or the one that stands for all beyond the first. Caller must hold the lock.
func (p *pool) hostOf(u *url.URL) *host {
	key := hostKey{}
	if u != nil {
		key = hostKey{u.Scheme, u.Host}
	}
	h, known := p.hosts[key]
	if known {
		return h
	}
	if len(p.hosts) >= maxHosts {
		key, u = otherHosts, nil
		if h, known = p.hosts[key]; known {
			return h
		}
	}
	h = &host{attributes: hostAttributes(u), answers: map[answer]*instrument.Histogram{}}
	p.hosts[key] = h
	return h
}

func hostAttributes(u *url.URL) []attribute.KeyValue {
	if u == nil {
		return []attribute.KeyValue{semconv.ServerAddress(otherHosts.host)}
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		port = map[string]int{"http": 80, "https": 443}[u.Scheme]
	}
	return []attribute.KeyValue{semconv.ServerAddress(u.Hostname()), semconv.ServerPort(port), semconv.URLScheme(u.Scheme)}
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

// stats is what a collection calls.
func (p *pool) stats() (s instrument.Stats) {
	p.Lock()
	defer p.Unlock()
	if p.perHost > 0 && len(p.hosts) > 0 && len(p.hosts) <= maxHosts && !p.http2 {
		s.Limit = instrument.Some(int64(p.perHost) * int64(len(p.hosts)))
	}
	now := measure.Clock()
	p.Requests.Report(&s, &p.Meter, instrument.Acquired, instrument.Canceled, instrument.TimedOut)
	p.Uses.Report(&s, &p.Meter, now, instrument.OK, instrument.Failed)
	p.Pending.Report(&s, now)
	s.Usage[instrument.Constructing] = instrument.Some(p.constructing)
	s.Resources = []instrument.Resources{
		{Event: instrument.Created, Count: int64(p.made.Count())},
		{Event: instrument.CreateFailed, Reason: "error", Count: int64(p.unmade.Count())},
	}
	s.Create = []instrument.Creation{{Duration: p.made.Clone()}, {ErrorType: "error", Duration: p.unmade.Clone()}}
	return s
}

// convention reports the hosts.
func (p *pool) convention() instrument.Option {
	return instrument.Follow(instrument.Convention{
		Rows: catalog.HTTPClient,
		Points: func(_ *instrument.Stats, add func(*catalog.Metric, attribute.Set, instrument.Point)) {
			p.Lock()
			defer p.Unlock()
			for _, h := range p.hosts {
				add(catalog.HTTPActiveRequests, attribute.NewSet(h.attributes...), instrument.Point{Int: h.active})
				for a, durations := range h.answers {
					add(catalog.HTTPRequestDuration, h.with(a), instrument.Point{Histogram: durations.Clone()})
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
