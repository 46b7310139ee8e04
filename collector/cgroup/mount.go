package cgroup

import (
	"bytes"

	"github.com/poolgauge/poolgauge/collector/proc"
)

// A controller names what we read of a hierarchy. The unified hierarchy stands for all controllers
// that no v1 hierarchy has.
type controller int

const (
	memory controller = iota
	cpu
	cpuacct
	pids
	blkio
	unified
	controllers // how many
)

var controllerNames = [controllers]string{"memory", "cpu", "cpuacct", "pids", "blkio", ""}

// mounts are the mounts of control groups, by controller, in the order of mountinfo.
type mounts [controllers][]proc.Mount

// parseMounts takes the mounts of control groups from mountinfo. Malformed lines are left out, and
// the first is reported. Of mounts on one point the last is what is seen.
func parseMounts(mountinfo []byte) (mounts, error) {
	var ms mounts
	var first error
	for line := range bytes.Lines(mountinfo) {
		m, err := proc.ParseMount(line)
		if err != nil {
			first = orError(first, err)
			continue
		}
		for c := range controllers {
			ms[c] = without(ms[c], m.Point)
			if shows(m, c) {
				ms[c] = append(ms[c], m)
			}
		}
	}
	return ms, first
}

func without(ms []proc.Mount, point string) []proc.Mount {
	for i := range ms {
		if ms[i].Point == point {
			return append(ms[:i], ms[i+1:]...)
		}
	}
	return ms
}

// shows tells whether a mount shows the hierarchy of a controller.
func shows(m proc.Mount, c controller) bool {
	if c == unified {
		return m.FS == "cgroup2"
	}
	return m.FS == "cgroup" && proc.Listed(m.Super, controllerNames[c])
}
