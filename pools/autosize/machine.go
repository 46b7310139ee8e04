package autosize

import (
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/diagnose"
	"github.com/poolgauge/poolgauge/internal/ownfigures"
)

// process is what all Resizers know of the machine: reading the files of a quota for each would
// cost more than all else that they do.
var process observer

// observer knows the CPUs that the program may use and uses, and how often a quota stopped it
// lately.
type observer struct {
	mu      sync.Mutex
	last    diagnose.HostFigures
	machine diagnose.Machine
}

const (
	fresh = 900 * time.Millisecond // how long a reading is good for
	stale = 10 * time.Second       // after which the last reading says nothing of lately
)

// look returns what is known of the machine in the last second or so.
func (o *observer) look() diagnose.Machine {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	age := now.Sub(o.last.At)
	if age >= 0 && age < fresh {
		return o.machine
	}
	f := ownfigures.Read(now)
	if age < 0 || age > stale {
		o.last = diagnose.UnknownHost(now.Add(-fresh))
	}
	o.machine, o.last = diagnose.HostBetween(o.last, f), f
	return o.machine
}
