package measure

import (
	"container/list"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
)

// Pending holds the waiting requests of a pool that does not queue them itself. The zero Pending is
// empty. The pool's lock guards it.
type Pending struct{ waits list.List }

// Pended is a waiting request. A nil *Pended stands for a request that does not wait.
type Pended = list.Element

// Add adds a request with the given wait.
func (p *Pending) Add(wait Span) *Pended { return p.waits.PushBack(wait) }

// Remove removes request w and returns its wait.
func (p *Pending) Remove(w *Pended) Span {
	wait, _ := p.waits.Remove(w).(Span)
	return wait
}

// Report sets the number of waiting requests and the age of the oldest in s. now is the current
// time.
func (p *Pending) Report(s *instrument.Stats, now time.Duration) {
	s.Pending = instrument.Some(int64(p.waits.Len()))
	if first := p.waits.Front(); first != nil {
		oldest, _ := first.Value.(Span)
		s.PendingAge = oldest.Age(now)
	}
}
