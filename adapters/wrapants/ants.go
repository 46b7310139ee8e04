// Package wrapants reports the worker pools of github.com/panjf2000/ants.
package wrapants

import (
	"github.com/panjf2000/ants/v2"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/wrap"
)

// Kind is the kind of pool that it reports.
const Kind = "ants"

// Both kinds of pool that take functions fit.
var _, _ wrap.Submitter = (*ants.Pool)(nil), (*ants.MultiPool)(nil)

// Pool reports p, an [ants.Pool] or an [ants.MultiPool], under a name. Give tasks to Submit of what
// it returns: ants says how many workers there are, but not how many of them work. See
// [wrap.NewTaskPool] for what is reported and for what it costs.
func Pool(name string, p wrap.Submitter, opts ...instrument.Option) (*wrap.TaskPool, error) {
	return wrap.NewTaskPool(name, Kind, p, opts...)
}
