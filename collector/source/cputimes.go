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

// The columns of a CPU in /proc/stat, of which older kernels have fewer; see proc_stat(5). What
// follows, the time of guests, is part of user and nice.
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

// cpuTimes adds up the time of all CPUs from /proc/stat. The line "cpu" of the kernel's own sum is
// of no use where there is one for each CPU: it leaps when a CPU goes offline or comes back, since
// the kernel counts idle time differently then.
//
// A CPU that is offline keeps what it had, and one that comes back goes on from there, whether or
// not the kernel began its count again. A count that falls a little, as iowait does on every
// kernel, is held until it has caught up.
type cpuTimes struct {
	cpus    map[string]*cpuClock
	online  int // CPUs of the last reading
	columns int // that the last reading had
}

// cpuClock is one CPU.
type cpuClock [cpuColumns]struct {
	known     bool
	last, sum int64 // ticks: as last read, and added up
}

// tick is the unit of /proc/stat: USER_HZ is 100 on every architecture that Go supports.
const tick = time.Second / 100

// tooLong is more than a CPU can have counted: what is above is a count that went below 0, as steal
// does after a migration.
const tooLong = int64(100 * 365 * 24 * time.Hour / tick)

// errNotCounted says that a sandbox such as gVisor shows CPUs and no time.
var errNotCounted = errors.New("all CPU times are 0: this kernel or sandbox does not count them")

// read takes the CPU lines of /proc/stat, of a machine that was booted so long ago; 0 if that is
// not known.
func (c *cpuTimes) read(data []byte, up time.Duration, fail func(error)) error {
	c.online = 0
	lines, err := cpuLines(data)
	if err != nil {
		return err
	}
	most, sum := tooLong, int64(0)
	if up > 0 {
		most = int64((up + 24*time.Hour) / tick)
	}
	if c.cpus == nil {
		c.cpus = map[string]*cpuClock{}
	}
	if len(lines) > 1 {
		delete(c.cpus, "cpu")
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
						"CPU times: %s, column %d: %d ticks are more than there can have been",
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
		return errNotCounted
	}
	return nil
}

// clock returns the clock of a CPU, a new one if it was not seen before.
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
	case v < one.last-v: // counted from 0 again
		one.sum, one.last = one.sum+v, v
	}
}

// seconds returns the time in some columns of all CPUs. It is absent where the kernel lacks one or
// a CPU never had a figure that can be.
func (c *cpuTimes) seconds(columns ...int) kernfile.Optional[time.Duration] {
	sum := int64(0)
	for _, column := range columns {
		if column >= c.columns {
			return kernfile.Optional[time.Duration]{}
		}
		for _, clock := range c.cpus {
			if !clock[column].known {
				return kernfile.Optional[time.Duration]{}
			}
			sum += clock[column].sum
		}
	}
	return kernfile.Some(time.Duration(min(sum, math.MaxInt64/int64(tick))) * tick)
}

type cpuLine struct {
	name   string
	values []byte
}

// cpuLines returns the lines of the CPUs, or that of their sum where there are none.
func cpuLines(data []byte) (lines []cpuLine, err error) {
	for line := range bytes.Lines(data) {
		name, values, _ := bytes.Cut(line, []byte(" "))
		if !strings.HasPrefix(string(name), "cpu") {
			break // they come first, and the rest is long
		}
		lines = append(lines, cpuLine{string(name), values})
	}
	switch {
	case len(lines) == 0:
		return nil, errors.New("CPU times: no line of a CPU")
	case len(lines) == 1:
		return lines, nil
	case lines[0].name == "cpu":
		lines = lines[1:]
	}
	return lines, nil
}

// parseCPU parses the ticks of a line and returns how many columns it has.
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
		return values, n, fmt.Errorf("%d columns, want at least %d", n, cpuIdle+1)
	}
	return values, n, nil
}
