// Package wrapants instruments worker pools of github.com/panjf2000/ants.
package wrapants

import (
	"github.com/panjf2000/ants/v2"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/instrument/wrap"
)

// Kind is the value of poolgauge.pool.kind for ants pools.
const Kind = "ants"

// Both types of ants pools that accept arbitrary functions as tasks can be wrapped.
var _, _ wrap.Submitter = (*ants.Pool)(nil), (*ants.MultiPool)(nil)

// Pool starts reporting metrics for p, an [ants.Pool] or an [ants.MultiPool], under name. Submit
// tasks through the returned TaskPool: ants exposes how many workers exist, but not how many are
// busy. See [wrap.NewTaskPool] for the metrics and their cost.
func Pool(name string, p wrap.Submitter, opts ...instrument.Option) (*wrap.TaskPool, error) {
	return wrap.NewTaskPool(name, Kind, p, opts...)
}
