package cgroup

import (
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// Group is a cgroup in all hierarchies in which it is visible. Its methods read the cgroup's files
// and keep them open. A value whose file or line does not exist is undefined. If a value cannot be
// read or parsed, it is undefined too, and the error is passed to fail. A Group is not safe for
// concurrent use.
type Group struct {
	Path string // relative to the root of the mount; "/" for the root itself
	dirs [controllers]string
	host bool // this is the root of the unified hierarchy, so its values are those of the host
	file struct {
		cpuStat, cpuMax, cpuQuota, cpuPeriod, cpuacctStat       kernfile.File
		memUsage, memStat, memLimit, memEvents, memFailed, swap kernfile.File
		pids, pidsMax, io                                       kernfile.File
		pressure                                                [3]kernfile.File
	}
}

// init sets the paths of the files.
func (g *Group) init() {
	f := &g.file
	if v2 := g.dirs[unified]; v2 != "" {
		at := func(name string) kernfile.File { return kernfile.NewFile(v2 + "/" + name) }
		f.cpuStat, f.cpuMax = at("cpu.stat"), at("cpu.max")
		f.memUsage, f.memStat, f.memLimit = at("memory.current"), at("memory.stat"), at("memory.max")
		f.memEvents, f.swap = at("memory.events"), at("memory.swap.current")
		f.pids, f.pidsMax, f.io = at("pids.current"), at("pids.max"), at("io.stat")
		_, err := os.Lstat(v2 + "/cgroup.type") // every cgroup except the root has this file
		g.host = g.Path == "/" && kernfile.Absent(err)
		for r, name := range resourceNames {
			f.pressure[r] = at(name + ".pressure")
		}
	}
	g.initLegacy()
	for _, f := range g.rare() {
		f.Rare = true
	}
}

// rare returns the files of controllers that many cgroups lack. The root has none of these files.
func (g *Group) rare() []*kernfile.File {
	f := &g.file
	return []*kernfile.File{&f.swap, &f.pids, &f.pidsMax, &f.io}
}

// initLegacy sets the paths of the v1 files. They replace the v2 paths: on a hybrid host, the
// controllers are in v1 hierarchies.
func (g *Group) initLegacy() {
	f := &g.file
	at := func(c controller, name string) kernfile.File { return kernfile.NewFile(g.dirs[c] + "/" + name) }
	if g.dirs[cpu] != "" {
		f.cpuStat, f.cpuMax = at(cpu, "cpu.stat"), kernfile.File{}
		f.cpuQuota, f.cpuPeriod = at(cpu, "cpu.cfs_quota_us"), at(cpu, "cpu.cfs_period_us")
	}
	if g.dirs[cpuacct] != "" {
		f.cpuacctStat = at(cpuacct, "cpuacct.stat")
	}
	if g.dirs[memory] != "" {
		f.memUsage, f.memStat, f.memLimit = at(
			memory,
			"memory.usage_in_bytes",
		), at(
			memory,
			"memory.stat",
		), at(
			memory,
			"memory.limit_in_bytes",
		)
		f.memEvents, f.memFailed, f.swap = at(
			memory,
			"memory.oom_control",
		), at(
			memory,
			"memory.failcnt",
		), kernfile.File{}
	}
	if g.dirs[pids] != "" {
		f.pids, f.pidsMax = at(pids, "pids.current"), at(pids, "pids.max")
	}
	if g.dirs[blkio] != "" {
		f.io = at(blkio, "blkio.throttle.io_service_bytes_recursive")
	}
}

// Incarnation returns how many times the methods of g have noticed that the cgroup was removed and
// created again under the same path.
func (g *Group) Incarnation() int {
	return max(g.file.cpuStat.Reopened(), g.file.memUsage.Reopened(), g.file.cpuacctStat.Reopened())
}

// CPU is a cgroup's CPU time and limit.
type CPU struct {
	User, System kernfile.Optional[time.Duration]
	Limit        kernfile.Optional[float64] // quota divided by period, in CPUs; undefined without a quota
	// The next three fields are undefined while the cgroup has no quota and has never been
	// throttled. Throttled time is summed over all CPUs.
	Periods, ThrottledPeriods kernfile.Optional[int64]
	ThrottledTime             kernfile.Optional[time.Duration]
}

// CPU reads the cgroup's CPU time and limit.
func (g *Group) CPU(r *kernfile.Reader, fail func(error)) CPU {
	var c CPU
	c.Limit = g.cpuLimit(r, fail)
	var user, system, periods, throttled, us, ns kernfile.Optional[int64]
	table(r, fail, &g.file.cpuStat,
		kernfile.Key{Name: "user_usec", To: &user}, kernfile.Key{Name: "system_usec", To: &system},
		kernfile.Key{Name: "nr_periods", To: &periods}, kernfile.Key{Name: "nr_throttled", To: &throttled},
		kernfile.Key{Name: "throttled_usec", To: &us}, kernfile.Key{Name: "throttled_time", To: &ns})
	c.User, c.System = duration(user, time.Microsecond), duration(system, time.Microsecond)
	if g.file.cpuacctStat.Path != "" {
		table(
			r,
			fail,
			&g.file.cpuacctStat,
			kernfile.Key{Name: "user", To: &user},
			kernfile.Key{Name: "system", To: &system},
		)
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

// userHZ is the unit of the times in cpuacct.stat. USER_HZ is 100 on every architecture that Go
// supports.
const userHZ = time.Second / 100

// cpuLimit reads the quota. In v2, cpu.max contains "max 100000" or "200000 100000"; in v1,
// cpu.cfs_quota_us contains a number, or -1 for no quota.
func (g *Group) cpuLimit(r *kernfile.Reader, fail func(error)) kernfile.Optional[float64] {
	if f := &g.file.cpuMax; f.Path != "" {
		quotaAndPeriod, ok := text(r, fail, f)
		quota, period, _ := strings.Cut(quotaAndPeriod, " ")
		return quotaInCPUs(f.Path, quota, period, ok, fail)
	}
	quota, ok := text(r, fail, &g.file.cpuQuota)
	if quota == "-1" {
		return kernfile.Optional[float64]{}
	}
	period, okPeriod := text(r, fail, &g.file.cpuPeriod)
	return quotaInCPUs(g.file.cpuQuota.Path, quota, period, ok && okPeriod, fail)
}

// quotaInCPUs returns quota divided by period. The result is undefined if there is no quota, or if
// ok is false, which means that the quota or the period could not be read. path is used in errors.
func quotaInCPUs(path, quota, period string, ok bool, fail func(error)) kernfile.Optional[float64] {
	if !ok || quota == "max" || quota == "-1" {
		return kernfile.Optional[float64]{}
	}
	q, errQ := kernfile.ParseInt([]byte(quota))
	p, errP := kernfile.ParseInt([]byte(period))
	if errQ != nil || errP != nil || q == 0 || p == 0 {
		fail(fmt.Errorf("%s: invalid quota %q or period %q", path, quota, period))
		return kernfile.Optional[float64]{}
	}
	return kernfile.Some(float64(q) / float64(p))
}

// Resource is a resource that tasks may have to wait for.
type Resource int

// The resources for which the kernel reports pressure stall information.
const (
	PressureCPU Resource = iota
	PressureMemory
	PressureIO
)

var resourceNames = [...]string{"cpu", "memory", "io"}

// String returns the name used in the kernel's files.
func (r Resource) String() string { return resourceNames[r] }

// Pressure reads the cgroup's pressure stall information about one resource. Only v2 has this
// information. It is undefined for the root cgroup: the root's pressure is the host's, which is in
// /proc/pressure.
func (g *Group) Pressure(r *kernfile.Reader, resource Resource, fail func(error)) kernfile.Pressure {
	if g.host || g.file.pressure[resource].Path == "" {
		return kernfile.Pressure{}
	}
	p, err := r.Pressure(&g.file.pressure[resource])
	report(fail, err)
	return p
}

// duration converts v, in the given unit. It clamps values that would overflow.
func duration(v kernfile.Optional[int64], unit time.Duration) kernfile.Optional[time.Duration] {
	if !v.Defined {
		return kernfile.Optional[time.Duration]{}
	}
	return kernfile.Some(time.Duration(min(v.Value, math.MaxInt64/int64(unit))) * unit)
}
