package cgroup

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/poolgauge/poolgauge/collector/proc"
)

// controller identifies a cgroup hierarchy by one of its controllers. unified identifies the v2
// hierarchy, which has all controllers that are not in a v1 hierarchy.
type controller int

const (
	memory controller = iota
	cpu
	cpuacct
	pids
	blkio
	unified
	controllers // number of controllers
)

var controllerNames = [controllers]string{"memory", "cpu", "cpuacct", "pids", "blkio", ""}

// mounts holds the cgroup mounts for each controller, in the order of mountinfo.
type mounts [controllers][]proc.Mount

// parseMounts returns the cgroup mounts in mountinfo. It skips malformed lines, and returns an
// error about the first one. If several mounts share a mount point, only the last one counts,
// because it hides the others.
func parseMounts(mountinfo []byte) (mounts, error) {
	var ms mounts
	var first error
	for line := range bytes.Lines(mountinfo) {
		m, err := proc.ParseMount(line)
		if err != nil {
			first = cmp.Or(first, err)
			continue
		}
		for c := range controllers {
			ms[c] = slices.DeleteFunc(ms[c], func(other proc.Mount) bool { return other.Point == m.Point })
			if isMountOf(m, c) {
				ms[c] = append(ms[c], m)
			}
		}
	}
	return ms, first
}

// isMountOf reports whether m is a mount of c's hierarchy.
func isMountOf(m proc.Mount, c controller) bool {
	if c == unified {
		return m.FS == "cgroup2"
	}
	return m.FS == "cgroup" && slices.Contains(strings.Split(m.Super, ","), controllerNames[c])
}
