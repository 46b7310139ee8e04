package proc

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// Stat contains the fields of a process's stat file that the sidecar reports.
type Stat struct {
	Comm         string        // name of the main thread, at most 15 bytes; may contain spaces and parentheses
	MinorFaults  int64         // page faults that did not read from the disk
	MajorFaults  int64         // page faults that waited for the disk
	User, System time.Duration // CPU time of all threads, including those that have exited
	Threads      int64
	StartTime    int64 // clock ticks since boot; with the pid, it identifies a process
	Virtual      int64 // bytes
	Resident     int64 // bytes
}

// tick is the unit of the times in a stat file. USER_HZ is 100 on every architecture that Go
// supports.
const tick = time.Second / 100

var pageSize = int64(os.Getpagesize())

// parseStat parses /proc/<pid>/stat. The comm may contain parentheses and spaces, so fields are
// counted from the last parenthesis.
func parseStat(data []byte) (Stat, error) {
	start, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if start < 0 || end < start {
		return Stat{}, errors.New("no process name in parentheses")
	}
	s := Stat{Comm: string(data[start+1 : end])}
	var utime, stime, pages int64
	wanted := [...]struct {
		field int // numbered as in proc(5)
		to    *int64
	}{
		{10, &s.MinorFaults},
		{12, &s.MajorFaults},
		{14, &utime},
		{15, &stime},
		{20, &s.Threads},
		{22, &s.StartTime},
		{23, &s.Virtual},
		{24, &pages},
	}
	next, field := 0, 3
	for value := range bytes.FieldsSeq(data[end+1:]) {
		if field == wanted[next].field {
			v, err := kernfile.ParseInt(value)
			if err != nil {
				return Stat{}, fmt.Errorf("field %d: %w", field, err)
			}
			*wanted[next].to = v
			if next++; next == len(wanted) {
				break
			}
		}
		field++
	}
	if next < len(wanted) {
		return Stat{}, fmt.Errorf("ends before field %d", wanted[next].field)
	}
	s.User, s.System = ticksToDuration(utime), ticksToDuration(stime)
	s.Resident = min(pages, math.MaxInt64/pageSize) * pageSize
	return s, nil
}

// ticksToDuration converts clock ticks to a duration. It clamps values of more than 292 years,
// which would overflow.
func ticksToDuration(ticks int64) time.Duration {
	return time.Duration(min(ticks, math.MaxInt64/int64(tick))) * tick
}
