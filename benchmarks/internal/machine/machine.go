// Package machine describes the machine on which a benchmark runs, and measures the CPU time and
// memory of processes.
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

// Describe returns the number and model of the CPUs, the kernel release and the Go version.
func Describe() string {
	return fmt.Sprintf("%d CPUs (%s), %s, %s", runtime.NumCPU(), cpuModel(), kernel(), runtime.Version())
}

// Load returns the load average of the last minute, as the kernel prints it.
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

// CPUTime returns the CPU time that process pid has used. It reads the process's CPU clock, which
// has nanosecond resolution, while times in /proc are multiples of 10 ms.
func CPUTime(pid int) (time.Duration, error) {
	// CPUCLOCK_SCHED in the kernel's posix-timers.h; clock IDs are as in clock_getcpuclockid(3)
	const schedClock = 2
	var ts unix.Timespec
	err := unix.ClockGettime(int32(^pid<<3|schedClock), &ts)
	return time.Duration(ts.Nano()), err
}

// Memory returns the resident and the anonymous memory of process pid in MiB. It reads
// smaps_rollup, which the kernel computes by walking the page tables, because the counters in
// status may lag by a few hundred KiB.
func Memory(pid int) (rss, anon float64, err error) {
	values, err := kibibytes(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	return values["Rss"] / 1024, values["Anonymous"] / 1024, err
}

// PeakMemory returns the peak resident memory of process pid in MiB.
func PeakMemory(pid int) (float64, error) {
	values, err := kibibytes(fmt.Sprintf("/proc/%d/status", pid))
	return values["VmHWM"] / 1024, err
}

// kibibytes returns the value of each line of the form "name: n kB" in the file at path.
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
