package export

import (
	"sync"
	"time"
)

const (
	leastPace  = 8 << 10          // bytes a second, at which a backlog is sent at least
	leastShare = 16 << 10         // bytes, that a request of the backlog may have at least
	paceTime   = 2 * time.Second  // worth of the pace, that it may have at most
	paceWindow = 30 * time.Second // over which the live rate is measured
)

// Pace bounds how fast the backlog of a lane is sent after an outage, so that a fleet that comes
// back does not flood its gateways, and what is fresh has its share of them. The pace is a multiple
// of the rate at which the lane receives: that of the last half a minute, or that at which the
// backlog grew, whichever is higher. It is safe for concurrent use.
type Pace struct {
	factor float64 // of the live rate; 0: no bound

	mu      sync.Mutex // guards what follows
	at      time.Time  // when the lane was last measured
	bytes   int64      // received until then
	live    float64    // bytes a second, of the last window
	growth  float64    // bytes a second, of the backlog
	paidFor time.Time  // when the backlog that was sent is paid for
}

// NewPace returns a pace of so many times the live rate; 0 is no bound.
func NewPace(factor float64) *Pace { return &Pace{factor: factor} }

// Look notes how many bytes the lane received in total, how many of them are waiting, and since when
// the oldest is.
func (p *Pace) Look(received, waiting int64, oldest, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at.IsZero() {
		p.at, p.bytes = now, received
	} else if d := now.Sub(p.at); d >= paceWindow {
		p.live = float64(received-p.bytes) / d.Seconds()
		p.at, p.bytes = now, received
	}
	p.growth = 0
	if age := now.Sub(oldest).Seconds(); !oldest.IsZero() && age > 0 {
		p.growth = float64(waiting) / max(age, 1)
	}
}

// speed returns the pace, in bytes a second. Caller must hold mu.
func (p *Pace) speed() float64 { return max(p.factor*max(p.live, p.growth), leastPace) }

// Share returns how many bytes a request of the backlog may have: the backlog is
// sent as a steady stream and not in bursts.
func (p *Pace) Share() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.factor == 0 {
		return RequestSize
	}
	return int64(min(max(p.speed()*paceTime.Seconds(), leastShare), RequestSize))
}

// Backlog returns how long to wait before size bytes of the backlog are sent.
func (p *Pace) Backlog(size int64, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.factor == 0 {
		return 0
	}
	if p.paidFor.Before(now) {
		p.paidFor = now
	}
	wait := p.paidFor.Sub(now)
	p.paidFor = p.paidFor.Add(time.Duration(float64(size) / p.speed() * float64(time.Second)))
	return wait
}
