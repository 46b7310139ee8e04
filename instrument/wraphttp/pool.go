package wraphttp

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"

	"github.com/poolgauge/poolgauge/instrument"
)

// maxHosts is the maximum number of hosts that are reported separately.
const maxHosts = 100

// pool counts a transport's connections. If the transport has a limit, net/http applies it per
// host, so each host is a part with its own slots. Otherwise there is one part.
type pool struct {
	maxPerHost int  // maximum number of connections per host; 0 if unlimited or unknown
	native     bool // the base is an http.Transport, which traces every request
	plainHTTP2 bool // all requests without TLS use HTTP/2
	off        bool // telemetry is disabled
	timing     instrument.Timing
	hosts      hosts

	mu     sync.Mutex // guards everything below
	parts  map[partKey]*part
	closed bool
}

// partKey identifies a part. It has those fields of net/http's key for idle connections that a
// trace shows.
type partKey struct{ scheme, address string }

var otherParts = partKey{address: otherHosts}

func newPool(base http.RoundTripper, opts []instrument.Option) *pool {
	p := &pool{
		timing: instrument.TimingOf(opts...),
		parts:  map[partKey]*part{},
		hosts:  hosts{enabled: instrument.FollowsConventions(opts...), known: map[hostKey]*host{}},
	}
	p.off = p.timing.Off
	if t, ok := base.(*http.Transport); ok {
		p.native, p.maxPerHost = true, t.MaxConnsPerHost
		p.plainHTTP2 = t.Protocols != nil && t.Protocols.UnencryptedHTTP2() && !t.Protocols.HTTP1()
	}
	if p.maxPerHost == 0 && p.native {
		p.partOf(partKey{}) // so that before the first request values are 0 rather than absent
	}
	return p
}

// partOf returns the part for key, or the shared part for all hosts beyond the first maxHosts.
func (p *pool) partOf(key partKey) *part {
	if p.maxPerHost == 0 {
		key = partKey{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s, known := p.parts[key]
	if known {
		return s
	}
	limit := int64(p.maxPerHost)
	if len(p.parts) >= maxHosts {
		if s, known = p.parts[otherParts]; known {
			return s
		}
		key, limit = otherParts, 0 // the limit applies to each host, not to all other hosts together
	}
	s = &part{key: key, limit: limit, dialsImmediately: p.native && p.maxPerHost == 0}
	s.Init(p.timing)
	if p.closed {
		s.Close()
	}
	p.parts[key] = s
	return s
}

// sortedParts returns the parts, sorted by address.
func (p *pool) sortedParts() []*part {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]*part, 0, len(p.parts))
	for _, s := range p.parts {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *part) int {
		return cmp.Or(strings.Compare(a.key.address, b.key.address), strings.Compare(a.key.scheme, b.key.scheme))
	})
	return list
}

// close stops the timers of the parts that are in overload.
func (p *pool) close() {
	parts := p.sortedParts()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	for _, s := range parts {
		s.Close()
	}
}

// stats returns the Stats for a collection.
func (p *pool) stats() (s instrument.Stats) {
	for _, part := range p.sortedParts() {
		if p.maxPerHost == 0 {
			return part.stats()
		}
		s.Parts = append(s.Parts, instrument.Part{Attributes: part.attributes(), Stats: part.stats()})
	}
	return s
}

func (p *part) attributes() []attribute.KeyValue {
	return addressAttributes(p.key.scheme, p.key.address)
}
