package cgroup

import (
	"math"
	"sync"

	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// Quota is the CPU quota that the sidecar itself runs under, for the probes, which must not spend
// what is not there. Its methods are safe for concurrent use and read a few files each, so that a
// limit which changes is followed.
type Quota struct {
	config Config

	mu     sync.Mutex // guards what follows
	reader kernfile.Reader
	groups []*Group // own and ancestors, each of which may throttle
}

// NewQuota looks up the sidecar's control groups; where there are none, nothing is known of a
// quota.
func NewQuota(cgroupRoot string) *Quota {
	q := &Quota{config: Config{Below: cgroupRoot}}
	tree, err := Open(q.config)
	if err != nil {
		return q
	}
	if membership, err := ReadMembership(q.config); err == nil {
		q.groups, _ = tree.Lineage(membership) // what is missing of it is not known to throttle
	}
	return q
}

// Throttled returns in how many periods the sidecar was stopped so far, by its own group or an
// ancestor; false if no group has a quota.
func (q *Quota) Throttled() (periods uint64, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, g := range q.groups {
		if n, defined := g.CPU(&q.reader, func(error) {}).ThrottledPeriods.Get(); defined {
			periods += uint64(max(n, 0))
			ok = true
		}
	}
	return periods, ok
}

// EffectiveCPUs returns how many threads the sidecar can keep busy at once: its CPUs or its quota,
// rounded up, whichever is less.
func (q *Quota) EffectiveCPUs() int {
	cpus, _ := EffectiveCPUs(q.config) // what could not be read does not limit
	return int(math.Ceil(cpus))
}
