package cgroup

import (
	"math"
	"sync"

	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// Quota is the CPU quota of the calling process. It is safe for concurrent use. Each method reads
// the files again, so it notices changes to the quota.
type Quota struct {
	config Config

	mu     sync.Mutex // guards everything below
	reader kernfile.Reader
	groups []*Group // the process's cgroups and their ancestors, any of which may throttle it
}

// NewQuota returns the quota of the calling process. If cgroupRoot is not empty, NewQuota considers
// only cgroups mounted at or below that directory. Without cgroups, the process has no quota.
func NewQuota(cgroupRoot string) *Quota {
	q := &Quota{config: Config{Below: cgroupRoot}}
	tree, err := Open(q.config)
	if err != nil {
		return q
	}
	if membership, err := readMembership(q.config); err == nil {
		q.groups, _ = tree.Lineage(membership) // cgroups that are not visible are ignored
	}
	return q
}

// Throttled returns the number of periods in which the process was throttled by its own cgroup or
// an ancestor. ok is false if none of these cgroups has a quota.
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

// EffectiveCPUs returns how many threads the process can run at the same time. This is the number
// of CPUs that it may use or, if that is less, its quota, rounded up.
func (q *Quota) EffectiveCPUs() int {
	cpus, _ := effectiveCPUs(q.config) // a quota that cannot be read is ignored
	return int(math.Ceil(cpus))
}
