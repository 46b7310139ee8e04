package wrap

import (
	"container/list"
	"sync"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/slottime"
)

// permits counts what is taken and given back of a semaphore that does not tell, and times who waits. Which permits somebody gives
// back cannot be known, so there is the time that all are held together, but not of each.
type permits struct {
	reg *instrument.Registration

	mu       sync.Mutex // guards what follows
	used     int64
	acquired int64 // calls
	released int64 // calls
	ended    [5]int64
	waits    [5]instrument.Histogram // of those who waited
	waiting  list.List               // since when, the oldest first
	time     slottime.Meter
}

// observe reports the pool. Nothing else may have happened before.
func (p *permits) observe(name, kind string, stats func() instrument.Stats, opts []instrument.Option) (err error) {
	sampler := instrument.NewSampler(opts...)
	p.time.Start(&sampler, p.look)
	p.reg, err = instrument.Observe(name, kind, stats, opts...)
	return err
}

func (p *permits) close() {
	p.mu.Lock()
	p.time.Stop()
	p.mu.Unlock()
	p.reg.Close()
}

// take counts n permits that somebody got. Caller must hold mu.
func (p *permits) take(n int64) {
	p.acquired++
	p.time.Event(p.time.NowIfTimed(), p.used, p.acquired+p.released)
	p.used += n
}

// give counts n permits that somebody gives back. Caller must hold mu.
func (p *permits) give(n int64) {
	p.released++
	p.time.Event(p.time.NowIfTimed(), p.used, p.acquired+p.released)
	p.used -= n
}

// wait notes that somebody is about to wait. Caller must hold mu.
func (p *permits) wait() *list.Element {
	return p.waiting.PushBack(p.time.Now())
}

// waited ends a wait for n permits, in an error or in getting them.
func (p *permits) waited(e *list.Element, n int64, err error) {
	now := p.time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	since, _ := p.waiting.Remove(e).(time.Duration)
	outcome := instrument.Acquired
	if err != nil {
		outcome = instrument.GaveUp(err)
		p.ended[outcome]++
	} else {
		p.take(n)
	}
	if !p.time.Off() {
		p.waits[outcome].Record(now - since)
	}
}

// look is what the timer of a rush does.
func (p *permits) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.time.Look(p.used, p.acquired+p.released)
}

// report writes all into s but the limit and what is used. Caller must hold mu.
func (p *permits) report(s *instrument.Stats) {
	s.Pending = instrument.Some(int64(p.waiting.Len()))
	s.Completed[instrument.OK] = instrument.Some(p.released)
	requests := p.ended
	requests[instrument.Acquired] = p.acquired
	for _, o := range []instrument.Outcome{instrument.Acquired, instrument.Rejected, instrument.Canceled, instrument.TimedOut} {
		s.Requests[o] = instrument.Some(requests[o])
		if !p.time.Off() {
			s.Wait[o] = p.waits[o].Clone()
			s.Wait[o].RecordN(0, uint64(requests[o])-s.Wait[o].Count())
		}
	}
	if p.time.Off() {
		return
	}
	now := p.time.Now()
	if first := p.waiting.Front(); first != nil {
		since, _ := first.Value.(time.Duration)
		s.PendingAge = instrument.Some(now - since)
	}
	s.UseTime = instrument.Some(p.time.Total(now, p.used))
}

// isDone reports whether done is closed. A nil one never is.
func isDone(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}
