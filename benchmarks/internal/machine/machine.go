// Package machine tells where a measurement runs, and what another process on it uses.
package machine

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Describe names the CPUs, the kernel and the Go release.
func Describe() string {
	return fmt.Sprintf("%d CPUs (%s), %s, %s", runtime.NumCPU(), cpuModel(), kernel(), runtime.Version())
}

// Load is the load average of the last minute, as the kernel prints it.
func Load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	one, _, _ := strings.Cut(string(text), " ")
	return one
}

func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	_, rest, _ := strings.Cut(string(text), "model name\t: ")
	name, _, _ := strings.Cut(rest, "\n")
	return name
}

func kernel() string {
	text, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return "Linux " + strings.TrimSpace(string(text))
}

// CPUTime is the CPU time that a process has used, by its CPU clock: to the nanosecond, where /proc
// has 10 ms.
func CPUTime(pid int) (time.Duration, error) {
	// CPUCLOCK_SCHED of the kernel's posix-timers.h, as clock_getcpuclockid(3) composes it
	const schedClock = 2
	var ts unix.Timespec
	err := unix.ClockGettime(int32(^pid<<3|schedClock), &ts)
	return time.Duration(ts.Nano()), err
}

// Memory is the resident and the anonymous memory of a process in MiB. It is read from
// smaps_rollup, which walks the pages; the counters in status may be some hundred KiB behind.
func Memory(pid int) (rss, anon float64, err error) {
	values, err := kibibytes(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	return values["Rss"] / 1024, values["Anonymous"] / 1024, err
}

// PeakMemory is the most resident memory that a process has had, in MiB.
func PeakMemory(pid int) (float64, error) {
	values, err := kibibytes(fmt.Sprintf("/proc/%d/status", pid))
	return values["VmHWM"] / 1024, err
}

// kibibytes reads the lines "name: n kB" of a file.
func kibibytes(path string) (map[string]float64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	values := make(map[string]float64)
	for line := range bytes.Lines(text) {
		name, rest, _ := strings.Cut(string(line), ":")
		var n float64
		if _, err := fmt.Sscanf(rest, "%f kB", &n); err == nil {
			values[name] = n
		}
	}
	return values, nil
}
