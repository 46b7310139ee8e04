package wraphttp

import (
	"net/http"

	"github.com/poolgauge/poolgauge/instrument"
)

// TransportStats is Transport, with what a collection calls.
func TransportStats(name string, base http.RoundTripper, opts ...instrument.Option) (*RoundTripper, func() instrument.Stats, error) {
	rt, err := Transport(name, base, opts...)
	if err != nil {
		return nil, nil, err
	}
	return rt, rt.pool.stats, nil
}

// Stats is what a collection calls.
func (l *LimitedListener) Stats() instrument.Stats { return l.stats() }
