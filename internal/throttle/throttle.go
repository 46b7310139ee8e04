// Package throttle reports how often the process was throttled by the CPU quotas of its cgroups and
// their ancestors.
package throttle

import (
	"bytes"
	"path/filepath"
	"time"

	"github.com/poolgauge/poolgauge/internal/kernfile"
	"github.com/poolgauge/poolgauge/internal/lineage"
)

// Reading holds the counters of each cgroup with a quota. It is empty if there is no quota or no
// quota can be read.
type Reading map[string]group

type group struct {
	quota              float64 // CPUs
	periods, throttled int64
	time               time.Duration
}

// Stops describes how a quota throttled a cgroup between two readings.
type Stops struct {
	Quota     float64 // number of CPUs
	Periods   int64   // quota periods in which the cgroup had something to run
	Throttled int64   // quota periods in which the cgroup was throttled
	// throttled time, summed over the CPUs: at least the wall time during which the cgroup was
	// throttled
	Time time.Duration
}

// Read reads the counters of the process's cgroups. It takes about 50 µs.
func Read() Reading { return ReadAt(lineage.Membership, lineage.Mount) }

// ReadAt is like [Read], but takes the process's cgroups from the file membership instead of
// /proc/self/cgroup, and reads them below mount instead of /sys/fs/cgroup.
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

// Quota returns the smallest quota as a number of CPUs. ok is false if there is no quota.
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

// quotaOf returns the number of CPUs that a cgroup may use. ok is false if the number is unlimited
// or cannot be read.
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

// readMax reads a file that contains a quota and a period, such as "50000 100000". The quota may be
// "max". readMax returns 0 for a number that is missing or malformed.
func readMax(files *kernfile.Reader, path string) (quota, period int64) {
	data, err := files.Read(path)
	if err != nil {
		return 0, 0
	}
	first, second, _ := bytes.Cut(bytes.TrimSpace(data), []byte(" "))
	return number(first), number(second)
}

// readNumber returns the number in the file at path. It returns 0 if there is none, or if it is
// negative: -1 means no limit.
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

// Since returns the Stops between an earlier reading, before, and r, for the cgroup that was
// throttled longest. ok is false if no cgroup had a quota at both readings.
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
