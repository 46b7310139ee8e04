// Package throttle says how often a CPU quota stopped the process, by its control groups and those
// around them.
package throttle

import (
	"bytes"
	"path/filepath"
	"time"

	"github.com/poolgauge/poolgauge/internal/kernfile"
	"github.com/poolgauge/poolgauge/internal/lineage"
)

// Reading is what the groups that have a quota counted so far. It is empty without a quota, and
// where none can be read.
type Reading map[string]group

type group struct {
	quota              float64 // CPUs
	periods, throttled int64
	time               time.Duration
}

// Stops is how a quota stopped a group between two readings.
type Stops struct {
	Quota     float64 // in CPUs
	Periods   int64   // of the quota in which the group wanted to run
	Throttled int64   // of them in which it was stopped
	// that it was stopped, the sum over the CPUs: at least as long as the wall time
	Time time.Duration
}

// Read reads the groups. It takes some 50 µs.
func Read() Reading { return ReadAt(lineage.Membership, lineage.Mount) }

// ReadAt reads the groups of what a file like /proc/self/cgroup says, below a mount point like
// /sys/fs/cgroup.
func ReadAt(membership, mount string) Reading {
	all := Reading{}
	var files kernfile.Reader
	for _, l := range lineage.Of(membership, mount, "cpu") {
		if g, ok := readGroup(&files, l); ok {
			all[l.Dir] = g
		}
	}
	return all
}

// Quota returns the least of them, in CPUs; not ok without one.
func (r Reading) Quota() (least float64, ok bool) {
	for _, g := range r {
		if !ok || g.quota < least {
			least, ok = g.quota, true
		}
	}
	return least, ok
}

func readGroup(files *kernfile.Reader, l lineage.Group) (g group, ok bool) {
	if g.quota, ok = quotaOf(files, l); !ok {
		return group{}, false
	}
	data, err := files.Read(filepath.Join(l.Dir, "cpu.stat"))
	if err != nil {
		return group{}, false
	}
	var periods, throttled, us, ns kernfile.Optional[int64]
	kernfile.Table(data, func(error) {},
		kernfile.Key{Name: "nr_periods", To: &periods}, kernfile.Key{Name: "nr_throttled", To: &throttled},
		kernfile.Key{Name: "throttled_usec", To: &us}, kernfile.Key{Name: "throttled_time", To: &ns})
	g.periods, g.throttled = periods.Value, throttled.Value
	g.time = kernfile.Micro(us.Value)
	if !l.V2 {
		g.time = time.Duration(ns.Value)
	}
	return g, periods.Defined && throttled.Defined && (us.Defined || ns.Defined)
}

// quotaOf returns the CPUs that a group may use at a time; not ok if that is not limited.
func quotaOf(files *kernfile.Reader, l lineage.Group) (cpus float64, ok bool) {
	var quota, period int64
	if l.V2 {
		quota, period = readMax(files, filepath.Join(l.Dir, "cpu.max"))
	} else {
		quota, period = readNumber(
			files,
			filepath.Join(l.Dir, "cpu.cfs_quota_us"),
		), readNumber(
			files,
			filepath.Join(l.Dir, "cpu.cfs_period_us"),
		)
	}
	if quota <= 0 || period <= 0 {
		return 0, false
	}
	return float64(quota) / float64(period), true
}

// readMax reads "50000 100000", where the first may be "max"; 0 is what is not there.
func readMax(files *kernfile.Reader, path string) (quota, period int64) {
	data, err := files.Read(path)
	if err != nil {
		return 0, 0
	}
	first, second, _ := bytes.Cut(bytes.TrimSpace(data), []byte(" "))
	return number(first), number(second)
}

// readNumber returns the number in a file, 0 if there is none above that: -1 is no limit.
func readNumber(files *kernfile.Reader, path string) int64 {
	data, err := files.Read(path)
	if err != nil {
		return 0
	}
	return number(bytes.TrimSpace(data))
}

func number(b []byte) int64 {
	n, err := kernfile.ParseInt(b)
	if err != nil {
		return 0
	}
	return n
}

// Since returns how the group was stopped that was stopped for longest after the reading before;
// not ok if no group had a quota at both.
func (r Reading) Since(before Reading) (most Stops, ok bool) {
	for dir, now := range r {
		then, known := before[dir]
		if !known || now.periods < then.periods || now.throttled < then.throttled || now.time < then.time {
			continue
		}
		s := Stops{now.quota, now.periods - then.periods, now.throttled - then.throttled, now.time - then.time}
		if !ok || s.Time > most.Time || s.Time == most.Time && s.Quota < most.Quota {
			most, ok = s, true
		}
	}
	return most, ok
}
