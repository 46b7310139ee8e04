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

// maxHosts bounds the hosts that are told apart.
const maxHosts = 100

// pool is the connections of a transport. Where there is a limit, net/http has it for each host:
// then each host is a part with slots of its own. Otherwise there is one part.
type pool struct {
	perHost int  // connections, 0 if there is no limit or it is not known
	native  bool // an http.Transport does the work, which traces every request
	prior   bool // all that is not TLS is HTTP/2
	off     bool
	timing  instrument.Timing
	hosts   hosts

	mu     sync.Mutex // guards what follows
	parts  map[partKey]*part
	closed bool
}

// partKey is what net/http keeps connections by, as far as a trace tells.
type partKey struct{ scheme, address string }

var otherParts = partKey{address: otherHosts}

func newPool(base http.RoundTripper, opts []instrument.Option) *pool {
	p := &pool{
		timing: instrument.TimingOf(opts...),
		parts:  map[partKey]*part{},
		hosts:  hosts{follows: instrument.FollowsConventions(opts...), known: map[hostKey]*host{}},
	}
	p.off = p.timing.Off
	if t, ok := base.(*http.Transport); ok {
		p.native, p.perHost = true, t.MaxConnsPerHost
		p.prior = t.Protocols != nil && t.Protocols.UnencryptedHTTP2() && !t.Protocols.HTTP1()
	}
	if p.perHost == 0 && p.native {
		p.partOf(partKey{}) // whose figures are 0 and not absent before the first request
	}
	return p
}

// partOf returns the part of a host, or the one that stands for all beyond the first.
func (p *pool) partOf(key partKey) *part {
	if p.perHost == 0 {
		key = partKey{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s, known := p.parts[key]
	if known {
		return s
	}
	limit := int64(p.perHost)
	if len(p.parts) >= maxHosts {
		if s, known = p.parts[otherParts]; known {
			return s
		}
		key, limit = otherParts, 0 // that of one of many hosts says nothing
	}
	s = &part{key: key, limit: limit, prompt: p.native && p.perHost == 0}
	s.Init(p.timing)
	if p.closed {
		s.Close()
	}
	p.parts[key] = s
	return s
}

// all returns the parts, in the order of their hosts.
func (p *pool) all() []*part {
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

// close ends what is measured in overload.
func (p *pool) close() {
	parts := p.all()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	for _, s := range parts {
		s.Close()
	}
}

// stats is what a collection calls.
func (p *pool) stats() (s instrument.Stats) {
	for _, part := range p.all() {
		if p.perHost == 0 {
			return part.stats()
		}
		s.Parts = append(s.Parts, instrument.Part{Attributes: part.attributes(), Stats: part.stats()})
	}
	return s
}

func (p *part) attributes() []attribute.KeyValue {
	return addressAttributes(p.key.scheme, p.key.address)
}
