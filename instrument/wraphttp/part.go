package wraphttp

import (
	"slices"
	"strings"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// part counts the connections to one host, or to all hosts if there is no limit per host. The slots
// are connections. Each connection is being dialed for a request that waits or has waited for it
// (constructing), used by a request, or idle. A trace does not show idle connections. On HTTP/2, a
// slot is a stream, and there is no limit.
//
// Invariant: if there is a limit, the number of used slots never exceeds it. net/http may hand a
// connection to the next request before part is notified that the previous request has ended. Then
// the next request is late: it gets the slot only when the end of the previous request is recorded.
type part struct {
	key              partKey
	limit            int64 // 0 means none
	dialsImmediately bool  // net/http has no limit, and dials for every request that finds no idle connection

	measure.Recorder // its lock guards everything below

	constructing        int64                // number of dials that count as constructing
	dialed              int64                // number of connections whose dial was traced
	fresh               int64                // number of connections that were unused when a request got them
	failed              int64                // number of failed dials
	dialDurations       instrument.Histogram // of successful dials
	failedDialDurations instrument.Histogram
	closed              [reasons]int64 // number of connections that were closed when they were returned
	http2               bool           // a host of this part has used HTTP/2
	users               trips
	late                []*trip // trips that have a connection but no slot yet
}

// reason is why a connection was closed when it was returned.
type reason uint8

const (
	tooManyIdle reason = iota
	broken
	other
	reasons // number of reasons
)

func (r reason) String() string { return [...]string{"max_idle", "broken", "other"}[r] }

// reasonOf returns the reason for err, the error that net/http passes to a trace. Only the error's
// text identifies the reason.
func reasonOf(err error) reason {
	switch text := err.Error(); {
	case strings.Contains(text, "too many idle"):
		return tooManyIdle
	case strings.Contains(text, "bad state"):
		return broken
	}
	return other
}

// hasRoom reports whether net/http immediately dials for a request that finds no idle connection.
// Caller must hold the lock.
func (p *part) hasRoom() bool {
	return p.dialsImmediately || (!p.http2 && p.Uses.InUse()+p.constructing < p.limit)
}

// hasUntracedDials reports whether there were connections from a dialer that does not call the
// trace's hooks. Caller must hold the lock.
func (p *part) hasUntracedDials() bool { return p.fresh > p.dialed }

// isFull reports whether all slots are used. Caller must hold the lock.
func (p *part) isFull() bool {
	return p.limit > 0 && !p.http2 && p.Uses.InUse() >= p.limit
}

// reap ends the uses of requests whose context is done. net/http takes back their connections even
// if the response's body is never closed. Caller must hold the lock.
func (p *part) reap() {
	for tr := p.users.first; tr != nil; {
		next := tr.next
		if _, ok := tr.gaveUp(); ok && !tr.owned {
			tr.endUseLocked(instrument.Failed)
		}
		tr = next
	}
}

// promote gives free slots to late trips. Caller must hold the lock.
func (p *part) promote() {
	for len(p.late) > 0 && !p.isFull() {
		tr := p.late[0]
		p.late = slices.Delete(p.late, 0, 1)
		tr.startUse()
	}
}

// setHTTP2 records that the host uses HTTP/2, so that slots are streams. Caller must hold the lock.
func (p *part) setHTTP2() {
	if !p.http2 {
		p.http2 = true
		p.promote()
	}
}

// stats returns a consistent snapshot.
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
		for i, n := range p.closed {
			s.Resources = append(
				s.Resources,
				instrument.Resources{Event: instrument.Ended, Reason: reason(i).String(), Count: n},
			)
		}
	}
	s.Create = []instrument.Creation{
		{Duration: p.dialDurations.Clone()},
		{ErrorType: "error", Duration: p.failedDialDurations.Clone()},
	}
	return s
}

// trips is a linked list of the trips that use a connection. The zero value is an empty list.
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
