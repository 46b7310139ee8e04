package pools

import (
	"context"
	"errors"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// resReason is the reason why a resource left the pool.
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

// resResult is the result of a call to the constructor.
type resResult uint8

const (
	resMade resResult = iota
	resFailed
	resPanicked
	resExited
	resTimedOut
	resCanceled
	resResults
)

func (r resResult) String() string {
	return [...]string{"", "error", "panic", "exit", "timeout", "canceled"}[r]
}

func resResultOf(err error) resResult {
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

// ending returns the Ending under which to count the use for which the constructor failed.
func (r resResult) ending() instrument.Ending {
	switch r {
	case resPanicked:
		return instrument.Panicked
	case resExited:
		return instrument.Exited
	}
	return instrument.Failed
}

// resDurations holds the durations of constructor calls, by result.
type resDurations [resResults]*instrument.Histogram

func (d *resDurations) record(result resResult, took time.Duration) {
	if d[result] == nil {
		d[result] = new(instrument.Histogram)
	}
	d[result].Record(took)
}

// resLedger counts the lifecycle events of resources. The pool's lock guards it.
type resLedger struct {
	constructions resDurations // their counts are the numbers of successful and failed constructions
	ended         [resReasons]int64
}

// Stats returns a consistent snapshot of the pool. A resource that is being checked counts as
// constructing; one that is being destroyed is in none of the states of Usage.
func (p *Resources[T]) Stats() instrument.Stats {
	s, holders := p.stats()
	s.Holders = holders.Name() // without the lock held
	return s
}

func (p *Resources[T]) stats() (instrument.Stats, measure.Holders) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := measure.Clock()
	s := instrument.Stats{
		Limit: instrument.Some(int64(p.limit)), LimitChanges: instrument.Some(p.limitChanges),
		Pending: instrument.Some(int64(p.waiting.length)),
	}
	if p.cfg.MaxPending > 0 {
		s.PendingLimit = instrument.Some(int64(p.cfg.MaxPending))
	}
	if w := p.waiting.first; w != nil {
		s.PendingAge = w.wait.Age(now)
	}
	s.Usage[instrument.Idle] = instrument.Some(int64(p.idle.length))
	s.Usage[instrument.Constructing] = instrument.Some(int64(p.preparing))
	p.requests.Report(&s, &p.meter, measure.AllOutcomes...)
	p.uses.Report(&s, &p.meter, now, measure.AllEndings...)
	p.report(&s)
	held := p.holders(&s, now)
	return s, held
}

// holders sets s.UseAge to the age of the oldest use, and returns the holders if s.WantsHolders
// returns true. Caller must hold p.mu.
func (p *Resources[T]) holders(s *instrument.Stats, now time.Duration) measure.Holders {
	if p.uses.InUse() == 0 {
		return nil
	}
	var oldest measure.Oldest[*resSlot[T]]
	for _, slot := range p.slots {
		if slot.state == resUsed {
			oldest.Add(slot.use.Span, slot)
		}
	}
	return oldest.Report(s, now, (*resSlot[T]).hold)
}

// report adds the lifecycle events of resources to s.
func (l *resLedger) report(s *instrument.Stats) {
	s.Resources = make([]instrument.Resources, 0, int(resResults)+len(l.ended))
	s.Create = make([]instrument.Creation, 0, resResults)
	for result, histogram := range l.constructions {
		event, count := instrument.CreateFailed, int64(0)
		if resResult(result) == resMade {
			event = instrument.Created
		}
		if histogram != nil {
			count = int64(histogram.Count())
			s.Create = append(s.Create,
				instrument.Creation{ErrorType: resResult(result).String(), Duration: histogram.Clone()})
		}
		s.Resources = append(s.Resources,
			instrument.Resources{Event: event, Reason: resResult(result).String(), Count: count})
	}
	for reason, n := range l.ended {
		s.Resources = append(s.Resources,
			instrument.Resources{Event: instrument.Ended, Reason: resReason(reason).String(), Count: n})
	}
}

// Limit returns the maximum number of resources.
func (p *Resources[T]) Limit() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limit
}

// Size returns the number of resources, whether used, idle, or being constructed, checked or
// destroyed.
func (p *Resources[T]) Size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.slots)
}

// Used returns the number of resources that are lent to callers.
func (p *Resources[T]) Used() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int(p.uses.InUse())
}

// Idle returns the number of idle resources.
func (p *Resources[T]) Idle() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.idle.length
}

// Pending returns the number of waiting callers.
func (p *Resources[T]) Pending() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting.length
}
