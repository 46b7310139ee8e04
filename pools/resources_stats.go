package pools

import (
	"context"
	"errors"

	"github.com/poolgauge/poolgauge/instrument"
)

// resReason is why a resource was ended.
type resReason uint8

const (
	resIdleTime resReason = iota
	resLifetime
	resHealth
	resReset
	resShrink
	resDestroyed
	resByHijack
	resPoolClosed
	resReasons
)

func (r resReason) String() string {
	return [...]string{"idle", "lifetime", "health", "reset", "shrink", "destroyed", "hijacked", "pool_closed"}[r]
}

// resMaking is how the construction of a resource ended.
type resMaking uint8

const (
	resMade resMaking = iota
	resFailed
	resPanicked
	resExited
	resTimedOut
	resCanceled
	resMakings
)

func (m resMaking) String() string {
	return [...]string{"", "error", "panic", "exit", "timeout", "canceled"}[m]
}

func resMakingOf(err error) resMaking {
	var panicked *resPanic
	switch {
	case errors.As(err, &panicked):
		return resPanicked
	case errors.Is(err, errResExit):
		return resExited
	case errors.Is(err, context.DeadlineExceeded):
		return resTimedOut
	case errors.Is(err, context.Canceled):
		return resCanceled
	}
	return resFailed
}

// ending returns how the use ends for which a resource could not be made.
func (m resMaking) ending() instrument.Ending {
	switch m {
	case resPanicked:
		return instrument.Panicked
	case resExited:
		return instrument.Exited
	}
	return instrument.Failed
}

// resLedger holds what a pool counts off its hot path. The lock of the pool guards it.
type resLedger struct {
	refused [5]int64                         // requests that got nothing, by outcome
	makes   [resMakings]instrument.Histogram // constructions; their counts are the numbers of resources made and not made
	ended   [resReasons]int64
	useTime float64 // as it was last reported
}

// Stats returns what the pool is doing and what it has done, all at one moment. A resource that is being destroyed is in none of the
// states. It takes some 3 µs, and 3 ns for each resource.
func (p *Resources[T]) Stats() instrument.Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := instrument.Stats{Limit: instrument.Some(int64(p.limit)), Pending: instrument.Some(int64(p.queue.length))}
	requests := p.refused
	requests[instrument.Acquired] = p.acquired
	for outcome, n := range requests {
		s.Requests[outcome] = instrument.Some(n)
	}
	for ending, n := range p.completed {
		s.Completed[ending] = instrument.Some(n)
	}
	var inState [resClosing + 1]int64
	for _, slot := range p.slots {
		inState[slot.state]++
	}
	s.Usage[instrument.Used] = instrument.Some(inState[resUsed])
	s.Usage[instrument.Idle] = instrument.Some(inState[resIdle])
	s.Usage[instrument.Constructing] = instrument.Some(inState[resConstructing])
	p.lifeStats(&s)
	if !p.sampler.Off() {
		p.timeStats(&s, requests)
	}
	return s
}

// timeStats adds how long things took. The use time has what the uses that are timed have taken so far.
func (p *Resources[T]) timeStats(s *instrument.Stats, requests [5]int64) {
	now := instrument.Now()
	for outcome, n := range requests {
		s.Wait[outcome] = p.waits.Read(instrument.Outcome(outcome), n)
	}
	if w := p.queue.first; w != nil {
		s.PendingAge = w.wait.Age(now)
	}
	s.Use = p.uses.Read(p.completed[instrument.OK])
	useTime := s.Use.Sum()
	for _, slot := range p.slots {
		if slot.weight > 0 {
			useTime += (now - slot.started).Seconds()
		}
	}
	p.useTime = max(p.useTime, useTime) // rounding must not make it go back: that would read as a counter that was reset
	s.UseTime = instrument.Some(p.useTime)
}

// lifeStats adds what has become of resources.
func (p *Resources[T]) lifeStats(s *instrument.Stats) {
	for how := range resMakings {
		event := instrument.CreateFailed
		if how == resMade {
			event = instrument.Created
		}
		made := p.makes[how].Clone()
		s.Resources = append(s.Resources, instrument.Resources{Event: event, Reason: how.String(), Count: int64(made.Count())})
		s.Create = append(s.Create, instrument.Creation{ErrorType: how.String(), Duration: made})
	}
	for reason, n := range p.ended {
		s.Resources = append(s.Resources, instrument.Resources{Event: instrument.Ended, Reason: resReason(reason).String(), Count: n})
	}
}
