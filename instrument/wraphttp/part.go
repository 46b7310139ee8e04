package wraphttp

import (
	"slices"
	"strings"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// part counts the connections to one host, or to all where no limit keeps hosts apart. The slots
// are connections: each is dialed for a request, be it that this still waits for it (constructing),
// used by one, or idle, which a trace does not show. On HTTP/2 a slot is a stream, and there is no
// limit.
//
// Invariant: where there is a limit, no more are used. net/http hands a connection on before the
// request that had it is known to be over; then the next one is late: it acquires when that is.
type part struct {
	key    partKey
	limit  int64 // 0 if there is none
	prompt bool  // a request that finds no idle connection has one dialed at once

	measure.Recorder // its lock guards what follows

	constructing int64
	dialed       int64 // connections that were seen made
	fresh        int64 // connections that no request had before
	failed       int64 // dials
	made, unmade instrument.Histogram
	closed       [reasons]int64
	http2        bool
	users        trips
	late         []*trip // that have a connection, and not a slot yet
}

// reason is why a connection was closed when it was given back.
type reason uint8

const (
	tooManyIdle reason = iota
	broken
	other
	reasons
)

func (r reason) String() string { return [...]string{"max_idle", "broken", "other"}[r] }

// reasonOf reads what net/http says to a trace, which is text alone.
func reasonOf(err error) reason {
	switch text := err.Error(); {
	case strings.Contains(text, "too many idle"):
		return tooManyIdle
	case strings.Contains(text, "bad state"):
		return broken
	}
	return other
}

// hasRoom reports whether a request that finds no idle connection has one dialed at once. Caller
// must hold the lock.
func (p *part) hasRoom() bool {
	return p.prompt || (!p.http2 && p.Uses.InUse()+p.constructing < p.limit)
}

// isSilent reports whether connections come from a dialer that tells the trace nothing. Caller must
// hold the lock.
func (p *part) isSilent() bool { return p.fresh > p.dialed }

// isFull reports whether all slots are used. Caller must hold the lock.
func (p *part) isFull() bool {
	return p.limit > 0 && !p.http2 && p.Uses.InUse() >= p.limit
}

// reap ends the uses of requests whose context has ended: net/http takes their connections away,
// whether or not the body of the response is ever closed. Caller must hold the lock.
func (p *part) reap() {
	for tr := p.users.first; tr != nil; {
		next := tr.next
		if _, over := tr.gaveUp(); over && !tr.owned {
			tr.leave(instrument.Failed)
		}
		tr = next
	}
}

// promote lets those that are late acquire, as long as there are slots. Caller must hold the lock.
func (p *part) promote() {
	for len(p.late) > 0 && !p.isFull() {
		tr := p.late[0]
		p.late = slices.Delete(p.late, 0, 1)
		tr.use()
	}
}

// spokeHTTP2 notes that uses are streams. Caller must hold the lock.
func (p *part) spokeHTTP2() {
	if !p.http2 {
		p.http2 = true
		p.promote()
	}
}

// stats reports all of one moment.
func (p *part) stats() (s instrument.Stats) {
	p.Lock()
	defer p.Unlock()
	p.reap()
	if p.limit > 0 && !p.http2 {
		s.Limit = instrument.Some(p.limit)
	}
	now := measure.Clock()
	p.Requests.Report(&s, &p.Meter, instrument.Acquired, instrument.Canceled, instrument.TimedOut)
	p.ReportUses(&s, now, instrument.OK, instrument.Failed)
	p.Pending.Report(&s, now)
	s.Usage[instrument.Constructing] = instrument.Some(p.constructing)
	s.Resources = []instrument.Resources{
		{Event: instrument.Created, Count: max(p.dialed, p.fresh)},
		{Event: instrument.CreateFailed, Reason: "error", Count: p.failed},
	}
	if !p.http2 {
		for why, n := range p.closed {
			s.Resources = append(
				s.Resources,
				instrument.Resources{Event: instrument.Ended, Reason: reason(why).String(), Count: n},
			)
		}
	}
	s.Create = []instrument.Creation{{Duration: p.made.Clone()}, {ErrorType: "error", Duration: p.unmade.Clone()}}
	return s
}

// trips is a list of those that use a connection. The zero trips is empty.
type trips struct{ first *trip }

func (l *trips) add(tr *trip) {
	if tr.next = l.first; l.first != nil {
		l.first.previous = tr
	}
	l.first = tr
}

func (l *trips) remove(tr *trip) {
	if tr.previous != nil {
		tr.previous.next = tr.next
	} else {
		l.first = tr.next
	}
	if tr.next != nil {
		tr.next.previous = tr.previous
	}
	tr.next, tr.previous = nil, nil
}
