package autosize

import (
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/diagnose"
	"github.com/poolgauge/poolgauge/internal/ownfigures"
)

// process measures the machine once for all Resizers. If each Resizer read the quota's files
// itself, that would cost more than all of its other work.
var process observer

// observer measures how many CPUs the program may use, how much CPU time it uses, and how often a
// quota has throttled it recently.
type observer struct {
	mu      sync.Mutex
	last    diagnose.HostFigures
	machine diagnose.Machine
}

const (
	fresh = 900 * time.Millisecond // how long a measurement is reused
	stale = 10 * time.Second       // age above which the previous measurement is too old for comparison
)

// recent describes the machine over about the last second.
func (o *observer) recent() diagnose.Machine {
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
