package autosize

import (
	"runtime"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/diagnose"
	"github.com/poolgauge/poolgauge/internal/throttle"
)

// process is what all Resizers know of the machine: reading the files of a quota for each would
// cost more than all else that they do.
var process observer

// observer knows the CPUs that the program may use, and how often a quota stopped it lately.
type observer struct {
	mu   sync.Mutex
	at   time.Time // of read
	read throttle.Reading
	last diagnose.Machine
}

const (
	fresh = 900 * time.Millisecond // how long a reading is good for
	stale = 10 * time.Second       // after which the last reading says nothing of lately
)

// machine returns what is known of the machine in the last second or so.
func (o *observer) machine() diagnose.Machine {
	o.mu.Lock()
	defer o.mu.Unlock()
	age := time.Since(o.at)
	if age >= 0 && age < fresh {
		return o.last
	}
	now := throttle.Read()
	m := diagnose.UnknownMachine()
	m.CPUs = float64(runtime.GOMAXPROCS(0))
	if quota, ok := now.Quota(); ok {
		m.CPUs = min(m.CPUs, quota)
	}
	if s, ok := now.Since(o.read); ok && s.Periods > 0 && age < stale {
		m.Throttled = float64(s.Throttled) / float64(s.Periods)
	}
	o.at, o.read, o.last = time.Now(), now, m
	return m
}
