package autosize

import (
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/diagnose"
	"github.com/poolgauge/poolgauge/internal/ownfigures"
)

// process observes the machine for all Resizers. One reading of the quota's files for each Resizer
// would cost more than everything else that the Resizers do.
var process observer

// observer determines how many CPUs the program may use, how much CPU time it uses, and how often a
// quota has recently throttled it.
type observer struct {
	mu      sync.Mutex
	last    diagnose.HostFigures
	machine diagnose.Machine
}

const (
	fresh = 900 * time.Millisecond // how long a reading is reused
	stale = 10 * time.Second       // age beyond which the previous reading is too old to compare with
)

// look returns the figures of the machine for about the last second.
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
