package cgroup

import (
	"math"

	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// Memory holds the memory use and limit of a cgroup, in bytes.
type Memory struct {
	Usage       kernfile.Optional[int64] // charged to the cgroup, including page cache
	WorkingSet  kernfile.Optional[int64] // usage minus inactive file cache, at least 0
	RSS         kernfile.Optional[int64] // anonymous memory
	Limit       kernfile.Optional[int64] // undefined if there is none
	Faults      kernfile.Optional[int64] // page faults, including major ones
	MajorFaults kernfile.Optional[int64]
	Swap        kernfile.Optional[int64] // swap used by the cgroup
	Events      Events
}

// Available returns the limit minus the working set. Cache that the kernel can reclaim immediately
// counts as available.
func (m *Memory) Available() kernfile.Optional[int64] {
	if !m.Limit.Defined || !m.WorkingSet.Defined {
		return kernfile.Optional[int64]{}
	}
	return kernfile.Some(max(0, m.Limit.Value-m.WorkingSet.Value))
}

// Events holds the counters of a cgroup's memory events, such as reaching a limit. In v1, only Max
// and OOMKill are defined.
type Events struct {
	Low, High, Max, OOM, OOMKill, OOMGroupKill kernfile.Optional[int64]
}

// noLimit is a lower bound on the values that mean "no limit" in v1. The kernel writes the largest
// multiple of the page size that fits in an int64, and pages are at most 64 KiB.
const noLimit = math.MaxInt64 - 1<<16

// Memory reads the cgroup's memory use and limit.
func (g *Group) Memory(r *kernfile.Reader, fail func(error)) Memory {
	var m Memory
	f := &g.file
	m.Usage = number(r, fail, &f.memUsage)
	if m.Limit = number(r, fail, &f.memLimit); m.Limit.Value >= noLimit {
		m.Limit = kernfile.Optional[int64]{}
	}
	inactive, e := kernfile.Optional[int64]{}, &m.Events
	if g.dirs[memory] != "" {
		table(
			r,
			fail,
			&f.memStat,
			kernfile.Key{Name: "total_inactive_file", To: &inactive},
			kernfile.Key{Name: "total_rss", To: &m.RSS},
			kernfile.Key{
				Name: "total_pgfault",
				To:   &m.Faults,
			},
			kernfile.Key{Name: "total_pgmajfault", To: &m.MajorFaults},
			kernfile.Key{Name: "total_swap", To: &m.Swap},
		)
		e.Max = number(r, fail, &f.memFailed)
		table(r, fail, &f.memEvents, kernfile.Key{Name: "oom_kill", To: &e.OOMKill})
	} else {
		table(r, fail, &f.memStat,
			kernfile.Key{Name: "inactive_file", To: &inactive}, kernfile.Key{Name: "anon", To: &m.RSS},
			kernfile.Key{Name: "pgfault", To: &m.Faults}, kernfile.Key{Name: "pgmajfault", To: &m.MajorFaults})
		m.Swap = number(r, fail, &f.swap)
		table(
			r,
			fail,
			&f.memEvents,
			kernfile.Key{
				Name: "low",
				To:   &e.Low,
			},
			kernfile.Key{Name: "high", To: &e.High},
			kernfile.Key{Name: "max", To: &e.Max},
			kernfile.Key{Name: "oom", To: &e.OOM},
			kernfile.Key{Name: "oom_kill", To: &e.OOMKill},
			kernfile.Key{Name: "oom_group_kill", To: &e.OOMGroupKill},
		)
	}
	if m.Usage.Defined && inactive.Defined {
		m.WorkingSet = kernfile.Some(max(0, m.Usage.Value-inactive.Value))
	}
	return m
}

// EventsPath returns the path of the file with the cgroup's memory events, for use with inotify. It
// returns "" for v1, where inotify does not report changes to that file.
func (g *Group) EventsPath() string {
	if g.dirs[memory] != "" || g.host {
		return ""
	}
	return g.file.memEvents.Path
}
