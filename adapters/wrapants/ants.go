// Package wrapants reports the worker pools of github.com/panjf2000/ants.
package wrapants

import (
	"github.com/panjf2000/ants/v2"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/wrap"
)

// Kind is the kind of the reported pools.
const Kind = "ants"

// Both kinds of pools that take functions can be wrapped.
var _, _ wrap.Submitter = (*ants.Pool)(nil), (*ants.MultiPool)(nil)

// Pool reports p, an [ants.Pool] or an [ants.MultiPool], under name. Submit tasks through the
// returned TaskPool, because ants reports how many workers exist but not how many of them are busy.
// See [wrap.NewTaskPool] for what is reported and at what cost.
func Pool(name string, p wrap.Submitter, opts ...instrument.Option) (*wrap.TaskPool, error) {
	return wrap.NewTaskPool(name, Kind, p, opts...)
}
