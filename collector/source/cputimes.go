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

// The columns of a CPU in /proc/stat; see proc_stat(5). Older kernels have fewer. The columns after
// these, guest times, are already included in user and nice.
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

// cpuTimes sums the times of all CPUs in /proc/stat. The kernel's own sum, in the line "cpu", is
// used only if there are no lines for individual CPUs: it jumps when a CPU goes offline or online,
// because the kernel then counts idle time differently.
//
// A CPU that is offline keeps its time, and one that comes back online continues from there, even
// if the kernel restarted its counters. A counter that falls slightly, as iowait does on every
// kernel, keeps its value until it has caught up.
type cpuTimes struct {
	cpus    map[string]*cpuClock
	online  int // CPUs in the last reading
	columns int // columns in the last reading
}

// cpuClock holds the times of one CPU.
type cpuClock [cpuColumns]struct {
	known     bool
	last, sum int64 // ticks
}

// tick is the unit of /proc/stat. USER_HZ is 100 on every architecture that Go supports.
const tick = time.Second / 100

// maxTicks is more than a CPU can have counted. A larger value is a counter that fell below 0, as
// steal does after a migration.
const maxTicks = int64(100 * 365 * 24 * time.Hour / tick)

// errNoCPUTime is returned in sandboxes such as gVisor, which list CPUs without their times.
var errNoCPUTime = errors.New("all CPU times are 0: this kernel or sandbox does not count CPU time")

// read parses the CPU lines of /proc/stat. up is how long the machine has been up, or 0 if unknown.
func (c *cpuTimes) read(data []byte, up time.Duration, fail func(error)) error {
	c.online = 0
	lines, err := cpuLines(data)
	if err != nil {
		return err
	}
	most, sum := maxTicks, int64(0)
	if up > 0 {
		most = int64((up + 24*time.Hour) / tick)
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
			if v > most {
				fail(
					fmt.Errorf(
						"CPU times: %s, column %d: %d ticks is impossible",
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

// clock returns the clock of a CPU, creating it if the CPU is new.
func (c *cpuTimes) clock(name string) *cpuClock {
	clock := c.cpus[name]
	if clock == nil {
		clock = &cpuClock{}
		c.cpus[name] = clock
	}
	return clock
}

func (c *cpuClock) advance(column int, v int64) {
	one := &c[column]
	switch {
	case !one.known:
		one.known, one.sum, one.last = true, v, v
	case v >= one.last:
		one.sum, one.last = one.sum+v-one.last, v
	case v < one.last-v: // the counter restarted at 0
		one.sum, one.last = one.sum+v, v
	}
}

// sum returns the sum of the given columns over all CPUs. It is undefined if the kernel lacks a
// column or if a CPU never had a valid value.
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

// cpuLines returns the lines of the individual CPUs, or the line with their sum if there are none.
func cpuLines(data []byte) (lines []cpuLine, err error) {
	for line := range bytes.Lines(data) {
		name, values, _ := bytes.Cut(line, []byte(" "))
		if !strings.HasPrefix(string(name), "cpu") {
			break // CPUs come first
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

// parseCPU parses the ticks in a line and returns how many columns it has.
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
