package cgroup

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// Group is a control group, in every hierarchy where it is visible. Its methods read files; values whose file or line does not
// exist are undefined, and one that cannot be read or understood is undefined too and reported to fail. The methods share no
// state, so a Group may be used concurrently if each user has its own reader.
type Group struct {
	Path string // below the root of the mount, "/" for that root itself
	dirs [controllers]string
	host bool // the root of the unified hierarchy, whose figures are the host's
	file struct {
		cpuStat, cpuMax, cpuQuota, cpuPeriod, cpuacctStat string
		memUsage, memStat, memLimit, memEvents, memFailed string
		pressure                                          [3]string
	}
}

// init builds the paths, so that reading does not.
func (g *Group) init() {
	f := &g.file
	if v2 := g.dirs[unified]; v2 != "" {
		f.cpuStat, f.cpuMax = v2+"/cpu.stat", v2+"/cpu.max"
		f.memUsage, f.memStat, f.memLimit, f.memEvents = v2+"/memory.current", v2+"/memory.stat", v2+"/memory.max", v2+"/memory.events"
		_, err := os.Lstat(v2 + "/cgroup.type") // every group but the root has one
		g.host = g.Path == "/" && kernfile.Absent(err)
		for r, name := range resourceNames {
			f.pressure[r] = v2 + "/" + name + ".pressure"
		}
	}
	if v1 := g.dirs[cpu]; v1 != "" {
		f.cpuStat, f.cpuMax, f.cpuQuota, f.cpuPeriod = v1+"/cpu.stat", "", v1+"/cpu.cfs_quota_us", v1+"/cpu.cfs_period_us"
	}
	if v1 := g.dirs[cpuacct]; v1 != "" {
		f.cpuacctStat = v1 + "/cpuacct.stat"
	}
	if v1 := g.dirs[memory]; v1 != "" {
		f.memUsage, f.memStat, f.memLimit = v1+"/memory.usage_in_bytes", v1+"/memory.stat", v1+"/memory.limit_in_bytes"
		f.memEvents, f.memFailed = v1+"/memory.oom_control", v1+"/memory.failcnt"
	}
}

// CPU is what a group says of its CPU time.
type CPU struct {
	User, System kernfile.Optional[time.Duration]
	Limit        kernfile.Optional[float64] // quota over period, in CPUs; undefined without a quota
	// These three are undefined as long as the group has no quota and has never been held to one. Throttled time is added up
	// over CPUs.
	Periods, ThrottledPeriods kernfile.Optional[int64]
	ThrottledTime             kernfile.Optional[time.Duration]
}

// CPU reads the CPU figures.
func (g *Group) CPU(r *kernfile.Reader, fail func(error)) CPU {
	var c CPU
	c.Limit = g.cpuLimit(r, fail)
	var user, system, periods, throttled, us, ns kernfile.Optional[int64]
	table(r, fail, g.file.cpuStat,
		kernfile.Key{Name: "user_usec", To: &user}, kernfile.Key{Name: "system_usec", To: &system},
		kernfile.Key{Name: "nr_periods", To: &periods}, kernfile.Key{Name: "nr_throttled", To: &throttled},
		kernfile.Key{Name: "throttled_usec", To: &us}, kernfile.Key{Name: "throttled_time", To: &ns})
	c.User, c.System = duration(user, time.Microsecond), duration(system, time.Microsecond)
	if g.file.cpuacctStat != "" {
		table(r, fail, g.file.cpuacctStat, kernfile.Key{Name: "user", To: &user}, kernfile.Key{Name: "system", To: &system})
		c.User, c.System = duration(user, userHZ), duration(system, userHZ)
	}
	if c.Limit.Defined || periods.Value > 0 {
		c.Periods, c.ThrottledPeriods = periods, throttled
		c.ThrottledTime = duration(us, time.Microsecond)
		if ns.Defined {
			c.ThrottledTime = duration(ns, time.Nanosecond)
		}
	}
	return c
}

// userHZ is the unit of cpuacct.stat, 100 Hz on every architecture that Go supports.
const userHZ = time.Second / 100

// cpuLimit reads the quota: "max 100000" or "200000 100000" in v2's cpu.max, a number or -1 in v1's cpu.cfs_quota_us.
func (g *Group) cpuLimit(r *kernfile.Reader, fail func(error)) kernfile.Optional[float64] {
	path := g.file.cpuMax
	if path == "" {
		path = g.file.cpuQuota
	}
	quota, ok := text(r, fail, path)
	if path == g.file.cpuMax {
		var period string
		quota, period, _ = strings.Cut(quota, " ")
		return cpus(path, quota, period, ok, fail)
	}
	period, okPeriod := text(r, fail, g.file.cpuPeriod)
	return cpus(path, quota, period, ok && okPeriod, fail)
}

// cpus divides a quota by its period. Unless ok, one of them could not be read.
func cpus(path, quota, period string, ok bool, fail func(error)) kernfile.Optional[float64] {
	if !ok || quota == "max" || quota == "-1" {
		return kernfile.Optional[float64]{}
	}
	q, errQ := kernfile.ParseInt([]byte(quota))
	p, errP := kernfile.ParseInt([]byte(period))
	if errQ != nil || errP != nil || q == 0 || p == 0 {
		fail(fmt.Errorf("%s: quota %q of period %q is not a limit", path, quota, period))
		return kernfile.Optional[float64]{}
	}
	return kernfile.Some(float64(q) / float64(p))
}

// Memory is what a group says of its memory, in bytes.
type Memory struct {
	Usage       kernfile.Optional[int64] // charged to the group, page cache included
	WorkingSet  kernfile.Optional[int64] // usage less inactive file cache, never below 0
	RSS         kernfile.Optional[int64] // anonymous memory
	Limit       kernfile.Optional[int64] // undefined without one
	Faults      kernfile.Optional[int64] // page faults, major ones included
	MajorFaults kernfile.Optional[int64]
	Events      Events
}

// Events counts how often a group met its memory limits. cgroup v1 has Max and OOMKill only.
type Events struct {
	Low, High, Max, OOM, OOMKill, OOMGroupKill kernfile.Optional[int64]
}

// noLimit is where v1's "no limit" begins: the largest multiple of the page size, which is at most 64 KiB, in an int64.
const noLimit = math.MaxInt64 - 1<<16

// Memory reads the memory figures.
func (g *Group) Memory(r *kernfile.Reader, fail func(error)) Memory {
	var m Memory
	f := &g.file
	m.Usage = number(r, fail, f.memUsage)
	if m.Limit = number(r, fail, f.memLimit); m.Limit.Value >= noLimit {
		m.Limit = kernfile.Optional[int64]{}
	}
	inactive, e := kernfile.Optional[int64]{}, &m.Events
	if g.dirs[memory] != "" {
		table(r, fail, f.memStat,
			kernfile.Key{Name: "total_inactive_file", To: &inactive}, kernfile.Key{Name: "total_rss", To: &m.RSS},
			kernfile.Key{Name: "total_pgfault", To: &m.Faults}, kernfile.Key{Name: "total_pgmajfault", To: &m.MajorFaults})
		e.Max = number(r, fail, f.memFailed)
		table(r, fail, f.memEvents, kernfile.Key{Name: "oom_kill", To: &e.OOMKill})
	} else {
		table(r, fail, f.memStat,
			kernfile.Key{Name: "inactive_file", To: &inactive}, kernfile.Key{Name: "anon", To: &m.RSS},
			kernfile.Key{Name: "pgfault", To: &m.Faults}, kernfile.Key{Name: "pgmajfault", To: &m.MajorFaults})
		table(r, fail, f.memEvents,
			kernfile.Key{Name: "low", To: &e.Low}, kernfile.Key{Name: "high", To: &e.High}, kernfile.Key{Name: "max", To: &e.Max},
			kernfile.Key{Name: "oom", To: &e.OOM}, kernfile.Key{Name: "oom_kill", To: &e.OOMKill},
			kernfile.Key{Name: "oom_group_kill", To: &e.OOMGroupKill})
	}
	if m.Usage.Defined && inactive.Defined {
		m.WorkingSet = kernfile.Some(max(0, m.Usage.Value-inactive.Value))
	}
	return m
}

// Resource is what may be waited for.
type Resource int

// The resources of pressure stall information.
const (
	PressureCPU Resource = iota
	PressureMemory
	PressureIO
)

var resourceNames = [...]string{"cpu", "memory", "io"}

// String returns the name in the kernel's files.
func (r Resource) String() string { return resourceNames[r] }

// Pressure reads the pressure on a resource. Only the unified hierarchy has it. Its root has the host's, which is left to
// /proc/pressure.
func (g *Group) Pressure(r *kernfile.Reader, of Resource, fail func(error)) kernfile.Pressure {
	if g.host || g.file.pressure[of] == "" {
		return kernfile.Pressure{}
	}
	p, err := r.Pressure(g.file.pressure[of])
	report(fail, err)
	return p
}

func duration(v kernfile.Optional[int64], unit time.Duration) kernfile.Optional[time.Duration] {
	if !v.Defined {
		return kernfile.Optional[time.Duration]{}
	}
	return kernfile.Some(time.Duration(min(v.Value, math.MaxInt64/int64(unit))) * unit)
}

// table, number and text read a file unless the path is "", which a file of another hierarchy has.

func table(r *kernfile.Reader, fail func(error), path string, keys ...kernfile.Key) {
	if path == "" {
		return
	}
	data, err := r.Read(path)
	if err != nil {
		report(fail, err)
		return
	}
	kernfile.Table(data, func(err error) { fail(fmt.Errorf("%s: %w", path, err)) }, keys...)
}

func number(r *kernfile.Reader, fail func(error), path string) kernfile.Optional[int64] {
	if path == "" {
		return kernfile.Optional[int64]{}
	}
	v, err := r.Number(path)
	report(fail, err)
	return v
}

func text(r *kernfile.Reader, fail func(error), path string) (string, bool) {
	if path == "" {
		return "", false
	}
	data, err := r.Read(path)
	report(fail, err)
	return string(bytes.TrimSpace(data)), err == nil
}

// report passes errors on but those that say that there is nothing to read.
func report(fail func(error), err error) {
	if err != nil && !kernfile.Absent(err) {
		fail(err)
	}
}
