package export

import (
	"sync"
	"time"
)

const (
	minPace    = 8 << 10          // minimum rate for a backlog, in bytes per second
	minShare   = 16 << 10         // minimum size of a request of the backlog, in bytes
	paceTime   = 2 * time.Second  // maximum time that one request of the backlog takes up at the current pace
	paceWindow = 30 * time.Second // time over which the live rate is measured
)

// Pace limits how fast a lane's backlog is sent after an outage, so that a recovering fleet does
// not flood its gateways and leaves room for fresh data. The pace is a multiple of the rate at
// which the lane receives data: the rate of the last 30 seconds or the rate at which the backlog
// grew, whichever is higher. Pace is safe for concurrent use.
type Pace struct {
	factor float64 // multiple of the live rate; 0: no limit

	mu     sync.Mutex // guards everything below
	at     time.Time  // when the lane was last measured
	bytes  int64      // total received by then
	live   float64    // bytes per second in the last window
	growth float64    // bytes per second by which the backlog grew
	nextAt time.Time  // when the next request of the backlog may be sent
}

// NewPace returns a Pace of factor times the rate at which the lane receives data. If factor is 0,
// there is no limit.
func NewPace(factor float64) *Pace { return &Pace{factor: factor} }

// Look records how many bytes the lane has received in total, how many of them are still waiting,
// and when the oldest waiting batch was put.
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

// speed returns the pace in bytes per second. Caller must hold mu.
func (p *Pace) speed() float64 { return max(p.factor*max(p.live, p.growth), minPace) }

// Share returns the maximum size in bytes of a request of the backlog. It is chosen so that the
// backlog is sent as a steady stream and not in bursts.
func (p *Pace) Share() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.factor == 0 {
		return RequestSize
	}
	return int64(min(max(p.speed()*paceTime.Seconds(), minShare), RequestSize))
}

// Backlog reserves time to send a request with the given number of bytes from the backlog, and
// returns how long to wait before sending it.
func (p *Pace) Backlog(size int64, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.factor == 0 {
		return 0
	}
	if p.nextAt.Before(now) {
		p.nextAt = now
	}
	wait := p.nextAt.Sub(now)
	p.nextAt = p.nextAt.Add(time.Duration(float64(size) / p.speed() * float64(time.Second)))
	return wait
}
