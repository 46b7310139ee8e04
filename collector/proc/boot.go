package proc

import (
	"time"

	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// Boot returns when the machine was booted according to the current clock. It uses btime in
// /proc/stat, or else the uptime of the system; it returns the zero time if neither is known. The
// resolution is one second, and the result is never later than the true time.
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

// Started returns when a process was started, given the time of the boot. The result may be up to
// one second before the true time, but never after it.
func (s *Stat) Started(boot time.Time) time.Time { return boot.Add(ticksToTime(s.StartTime)) }
