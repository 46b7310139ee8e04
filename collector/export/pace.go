package export

import (
	"sync"
	"time"
)

const (
	leastPace  = 64 << 10         // bytes a second, at which a backlog is sent at least
	paceWindow = 30 * time.Second // over which the live rate is measured
)

// pace bounds how fast the backlog of a lane is sent, so that a fleet that comes back does not flood the upstream. The zero value bounds nothing.
type pace struct {
	factor float64 // of the live rate

	mu     sync.Mutex // guards what follows
	at     time.Time  // of the last measurement
	bytes  int64      // received until then
	rate   float64    // bytes a second
	paidAt time.Time  // when the backlog that was sent is paid for
}

// backlog returns how long to wait before size bytes of the backlog are sent, when the lane has received so many in all.
func (p *pace) backlog(size int, received int64, now time.Time) time.Duration {
	if p.factor == 0 {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at.IsZero() {
		p.at, p.bytes = now, received
	} else if d := now.Sub(p.at); d >= paceWindow {
		p.rate = float64(received-p.bytes) / d.Seconds()
		p.at, p.bytes = now, received
	}
	if p.paidAt.Before(now) {
		p.paidAt = now
	}
	wait := p.paidAt.Sub(now)
	p.paidAt = p.paidAt.Add(time.Duration(float64(size) / max(p.factor*p.rate, leastPace) * float64(time.Second)))
	return wait
}
