package source

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// The columns of a CPU's line in /proc/stat; see proc_stat(5). Older kernels have fewer columns.
// Guest times, in the columns after these, are already included in user and nice.
const (
	cpuUser = iota
	cpuNice
	cpuSystem
	cpuIdle
	cpuIOWait
	cpuIRQ
	cpuSoftIRQ
	cpuSteal
	cpuColumns
)

// cpuTimes adds up the times of all CPUs in /proc/stat. It uses the kernel's own sum, in the line
// "cpu", only if there are no lines for individual CPUs: that sum jumps when a CPU goes offline or
// online, because the kernel then counts idle time differently.
//
// The times of a CPU that goes offline are kept. When the CPU comes back online, its times continue
// from the kept values, even if the kernel restarted its counters at 0. If a counter decreases
// slightly, as iowait may on any kernel, its old value is kept until the counter has caught up.
type cpuTimes struct {
	cpus    map[string]*cpuClock
	online  int // number of CPUs in the last reading
	columns int // number of columns in the last reading
}

// cpuClock holds the times of one CPU.
type cpuClock [cpuColumns]struct {
	known     bool  // there has been a valid reading
	last, sum int64 // last reading and reported sum, in ticks
}

// tick is the unit of /proc/stat. USER_HZ is 100 on every architecture that Go supports.
const tick = time.Second / 100

// maxTicks is more ticks than a CPU can have counted. A larger value means that the counter fell
// below 0, as steal may after the live migration of a virtual machine.
const maxTicks = int64(100 * 365 * 24 * time.Hour / tick)

// errNoCPUTime is returned in sandboxes such as gVisor, which list CPUs but not their times.
var errNoCPUTime = errors.New("all CPU times are 0: this kernel or sandbox does not count CPU time")

// read parses the CPU lines of /proc/stat. uptime is that of the machine, or 0 if unknown. read
// ignores implausible values, and passes an error about each of them to fail.
func (c *cpuTimes) read(data []byte, uptime time.Duration, fail func(error)) error {
	c.online = 0
	lines, err := cpuLines(data)
	if err != nil {
		return err
	}
	limit, sum := maxTicks, int64(0)
	if uptime > 0 {
		limit = int64((uptime + 24*time.Hour) / tick)
	}
	if c.cpus == nil {
		c.cpus = map[string]*cpuClock{}
	}
	c.columns = cpuColumns
	for _, line := range lines {
		values, n, err := parseCPU(line.values)
		if err != nil {
			return fmt.Errorf("CPU times: %s: %w", line.name, err)
		}
		c.columns = min(c.columns, n)
		if line.name != "cpu" {
			c.online++
		}
		for i, v := range values[:n] {
			sum += v
			if v > limit {
				fail(
					fmt.Errorf(
						"CPU times: %s, column %d: implausible value of %d ticks",
						line.name,
						i+1,
						v,
					),
				)
				continue
			}
			c.clock(line.name).advance(i, v)
		}
	}
	if sum == 0 {
		return errNoCPUTime
	}
	return nil
}

// clock returns the cpuClock of the CPU called name, creating it if the CPU is new.
func (c *cpuTimes) clock(name string) *cpuClock {
	clock := c.cpus[name]
	if clock == nil {
		clock = &cpuClock{}
		c.cpus[name] = clock
	}
	return clock
}

// advance records that the counter in the given column has the value v.
func (c *cpuClock) advance(column int, v int64) {
	counter := &c[column]
	switch {
	case !counter.known:
		counter.known, counter.sum, counter.last = true, v, v
	case v >= counter.last:
		counter.sum, counter.last = counter.sum+v-counter.last, v
	case v < counter.last-v: // the counter restarted at 0
		counter.sum, counter.last = counter.sum+v, v
	}
}

// sum returns the sum of the given columns over all CPUs. The sum is undefined if the kernel lacks
// one of the columns or if some CPU has never had a valid value in one of them.
func (c *cpuTimes) sum(columns ...int) kernfile.Optional[time.Duration] {
	total := int64(0)
	for _, column := range columns {
		if column >= c.columns {
			return kernfile.Optional[time.Duration]{}
		}
		for _, clock := range c.cpus {
			if !clock[column].known {
				return kernfile.Optional[time.Duration]{}
			}
			total += clock[column].sum
		}
	}
	return kernfile.Some(time.Duration(min(total, math.MaxInt64/int64(tick))) * tick)
}

type cpuLine struct {
	name   string
	values []byte
}

// cpuLines returns the lines of the individual CPUs or, if there are none, the line with the
// kernel's sum.
func cpuLines(data []byte) (lines []cpuLine, err error) {
	for line := range bytes.Lines(data) {
		name, values, _ := bytes.Cut(line, []byte(" "))
		if !strings.HasPrefix(string(name), "cpu") {
			break // the lines of CPUs come first
		}
		lines = append(lines, cpuLine{string(name), values})
	}
	switch {
	case len(lines) == 0:
		return nil, errors.New("CPU times: no CPU line")
	case len(lines) == 1:
		return lines, nil
	case lines[0].name == "cpu":
		lines = lines[1:]
	}
	return lines, nil
}

// parseCPU parses the ticks in line. n is the number of columns in line, at most cpuColumns.
func parseCPU(line []byte) (values [cpuColumns]int64, n int, err error) {
	for field := range bytes.FieldsSeq(line) {
		if values[n], err = kernfile.ParseInt(field); err != nil {
			return values, n, err
		}
		if n++; n == cpuColumns {
			break
		}
	}
	if n <= cpuIdle {
		return values, n, fmt.Errorf("expected at least %d columns, got %d", cpuIdle+1, n)
	}
	return values, n, nil
}
