package monitor

import (
	"bytes"

	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// readMemory reads the process's memory use.
func readMemory() (reading, bool) {
	var r kernfile.Reader
	status, err := r.Read("/proc/self/status")
	if err != nil {
		return reading{}, false
	}
	return parseStatus(status)
}

// parseStatus parses the lines VmRSS and VmHWM (the peak) of /proc/self/status, such as "VmRSS:
// 1234 kB".
func parseStatus(status []byte) (m reading, ok bool) {
	found := 0
	for line := range bytes.Lines(status) {
		fields := bytes.Fields(line)
		if len(fields) != 3 || string(fields[2]) != "kB" {
			continue
		}
		kib, err := kernfile.ParseInt(fields[1])
		if err != nil || kib > 1<<50 {
			continue
		}
		switch string(fields[0]) {
		case "VmRSS:":
			m.resident = kib << 10
			found++
		case "VmHWM:":
			m.peak = kib << 10
			found++
		}
	}
	return m, found == 2
}
