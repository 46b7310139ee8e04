package cgroup

import (
	"cmp"
	"errors"
	"fmt"
	"path"

	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// effectiveCPUs returns how many CPUs the calling process can currently keep busy. This is the
// number of CPUs that its affinity mask and cpuset allow, or the smallest CPU quota of its cgroup
// and that cgroup's visible ancestors, whichever is less. Quotas of ancestors that are not visible
// are ignored.
//
// If a quota cannot be read, the error says which one, and the result is valid but ignores it.
func effectiveCPUs(cfg Config) (float64, error) {
	// The affinity mask reflects cpusets and may change while the process runs, for example when
	// its container is resized.
	cpus := float64(allowedCPUs())
	t, err := Open(cfg)
	if t == nil {
		return cpus, ignoreAbsent(err)
	}
	m, errM := readMembership(cfg)
	groups, errG := t.Lineage(m)
	limit, errL := cpuQuota(groups)
	if limit.Defined {
		cpus = min(cpus, limit.Value)
	}
	return cpus, errors.Join(err, errM, errG, errL)
}

// cpuQuota returns the smallest CPU quota of the given cgroups, in CPUs. It is undefined if no
// cgroup has a quota.
func cpuQuota(groups []*Group) (kernfile.Optional[float64], error) {
	var r kernfile.Reader
	var errs []error
	var smallest kernfile.Optional[float64]
	for _, g := range groups {
		limit := g.cpuLimit(&r, func(err error) { errs = append(errs, err) })
		if limit.Defined && (!smallest.Defined || limit.Value < smallest.Value) {
			smallest = limit
		}
	}
	return smallest, errors.Join(errs...)
}

// MemoryLimit returns the smallest memory limit, in bytes, of the calling process's cgroup and its
// visible ancestors. It is undefined if none has a limit.
func MemoryLimit(cfg Config) (kernfile.Optional[int64], error) {
	t, err := Open(cfg)
	if t == nil {
		return kernfile.Optional[int64]{}, ignoreAbsent(err)
	}
	m, errM := readMembership(cfg)
	groups, errG := t.Lineage(m)
	var r kernfile.Reader
	errs := []error{err, errM, errG}
	var smallest kernfile.Optional[int64]
	for _, g := range groups {
		limit := g.Memory(&r, func(err error) { errs = append(errs, err) }).Limit
		if limit.Defined && (!smallest.Defined || limit.Value < smallest.Value) {
			smallest = limit
		}
	}
	return smallest, errors.Join(errs...)
}

// readMembership reads /proc/<process>/cgroup.
func readMembership(cfg Config) (Membership, error) {
	file := path.Join(cmp.Or(cfg.ProcRoot, "/proc"), cmp.Or(cfg.Process, "self"), "cgroup")
	var r kernfile.Reader
	data, err := r.Read(file)
	if err != nil {
		return Membership{}, err
	}
	m, err := ParseMembership(data)
	if err != nil {
		err = fmt.Errorf("%s: %w", file, err)
	}
	return m, err
}

// ignoreAbsent returns err, or nil if err means that there is nothing to read.
func ignoreAbsent(err error) error {
	if kernfile.Absent(err) {
		return nil
	}
	return err
}
