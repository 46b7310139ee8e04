package proc

import (
	"time"

	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// Boot returns the time at which the machine booted, according to the current wall clock. It reads
// btime from /proc/stat or, failing that, subtracts the uptime from now. It returns the zero time
// if neither is known. The resolution is one second, and the result is never later than the true
// boot time.
func (f *FS) Boot(now time.Time) time.Time {
	if data, err := f.reader.Read(f.Path("stat")); err == nil {
		if boot, ok := ParseBoot(data); ok && boot.Before(now) {
			return boot
		}
	}
	if up, ok := uptime(); ok {
		return now.Add(-up).Truncate(time.Second)
	}
	return time.Time{}
}

// ParseBoot returns the time in the btime line of /proc/stat.
func ParseBoot(stat []byte) (boot time.Time, ok bool) {
	var seconds kernfile.Optional[int64]
	kernfile.Table(stat, func(error) {}, kernfile.Key{Name: "btime", To: &seconds})
	if seconds.Value <= 0 {
		return time.Time{}, false
	}
	return time.Unix(seconds.Value, 0), true
}

// Started returns the time at which the process was started, given the boot time. The result is
// never later than the true start time, and at most about one second earlier.
func (s *Stat) Started(boot time.Time) time.Time { return boot.Add(ticksToDuration(s.StartTime)) }
