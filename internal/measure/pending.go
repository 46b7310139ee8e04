package measure

import (
	"container/list"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// Pending is the requests of a pool that wait, if the pool does not queue them itself. The zero
// Pending is empty. The lock of the pool guards it.
type Pending struct{ waits list.List }

// Pended is a request that waits, nil if it does not.
type Pended = list.Element

// Add adds a request whose wait has begun.
func (p *Pending) Add(wait Span) *Pended { return p.waits.PushBack(wait) }

// Remove removes a request, and returns its wait.
func (p *Pending) Remove(w *Pended) Span {
	wait, _ := p.waits.Remove(w).(Span)
	return wait
}

// Report writes how many wait, and for how long the oldest has, into s. Now is the time of the
// call.
func (p *Pending) Report(s *instrument.Stats, now time.Duration) {
	s.Pending = instrument.Some(int64(p.waits.Len()))
	if first := p.waits.Front(); first != nil {
		oldest, _ := first.Value.(Span)
		s.PendingAge = oldest.Age(now)
	}
}
