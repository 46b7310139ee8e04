package wraphttp

import (
	"time"

	"github.com/poolgauge/poolgauge/internal/measure"
)

// stage is the progress of a dial.
type stage uint8

const (
	assumed     stage = iota // a dial must be in progress, although no event has been reported
	resolving                // looking up the host name
	resolved                 // between the lookup and the first attempt to connect
	connecting               // connecting to one or more addresses
	connected                // connected, before a TLS handshake
	handshaking              // in the TLS handshake
)

// dial is a connection that is being established for a trip. net/http does not abandon the dial
// when the trip ends, because another request may get the connection.
type dial struct {
	stage   stage
	began   time.Duration
	untried int  // number of addresses that have not been tried yet
	open    int  // number of connection attempts in progress
	counted bool // included in part.constructing
}

// endIsReported reports whether httptrace is certain to report the end of the current stage.
func (d *dial) endIsReported() bool {
	return d.stage == resolving || d.stage == handshaking || (d.stage == connecting && d.open > 0)
}

// beginDial records the start of a dial at stage s. From then on, the trip no longer waits for a
// slot. Caller must hold the part's lock.
func (tr *trip) beginDial(s stage) *dial {
	now := measure.Clock()
	if tr.hadRoom && tr.phase == waiting && (s == assumed || s == handshaking) {
		now = tr.claim.Asked() // the dial began when the connection was requested, but was not reported until now
	}
	tr.dials = append(tr.dials, dial{stage: s, began: now, untried: 1})
	if tr.phase == waiting {
		tr.claim.Construct(&tr.part.Recorder, now)
	}
	return &tr.dials[len(tr.dials)-1]
}

// dialAt returns the first dial at stage s, or nil if there is none.
func (tr *trip) dialAt(s stage) *dial {
	for i := range tr.dials {
		if d := &tr.dials[i]; d.stage == s {
			return d
		}
	}
	return nil
}

// handleDialEvent locks the part, removes the assumed dial, since an actual one has been reported,
// and calls f, which handles the event. It then updates the number of dials that count as
// constructing.
func (tr *trip) handleDialEvent(f func()) {
	p := tr.part
	if p == nil {
		return
	}
	p.Lock()
	defer p.Unlock()
	tr.removeDialAt(assumed)
	f()
	tr.updateConstructing()
}

// updateConstructing updates the number of dials that count as constructing. While the trip waits
// for a dial, all of its dials count; otherwise, only those for which endIsReported returns true.
// Caller must hold the part's lock.
func (tr *trip) updateConstructing() {
	awaited := tr.phase == waiting && tr.claim.IsConstructing()
	for i := range tr.dials {
		d := &tr.dials[i]
		tr.setCounted(d, awaited || d.endIsReported())
	}
}

// setCounted sets whether d counts as constructing.
func (tr *trip) setCounted(d *dial, counted bool) {
	switch {
	case counted && !d.counted:
		tr.part.constructing++
	case !counted && d.counted:
		tr.part.constructing--
	}
	d.counted = counted
}

// removeDial removes dial d. Caller must hold the part's lock.
func (tr *trip) removeDial(d *dial) {
	tr.setCounted(d, false)
	for i := range tr.dials {
		if &tr.dials[i] == d {
			tr.dials = append(tr.dials[:i], tr.dials[i+1:]...)
			return
		}
	}
}

// removeDialAt removes the dial at stage s, if there is one. Caller must hold the part's lock.
func (tr *trip) removeDialAt(s stage) {
	if d := tr.dialAt(s); d != nil {
		tr.removeDial(d)
	}
}

// finishDial records that dial d succeeded, or failed with err. Caller must hold the part's lock.
func (tr *trip) finishDial(d *dial, err error) {
	p, took := tr.part, measure.Clock()-d.began
	tr.ownDialEnded = true
	if err != nil {
		p.failed++
		p.failedDialDurations.Record(took)
	} else {
		p.dialed++
		p.dialDurations.Record(took)
	}
	tr.removeDial(d)
}

func (tr *trip) dnsStart() {
	tr.handleDialEvent(func() { tr.beginDial(resolving) })
}

func (tr *trip) dnsDone(addresses int, err error) {
	tr.handleDialEvent(func() {
		d := tr.dialAt(resolving)
		switch {
		case d == nil:
		case err != nil:
			tr.finishDial(d, err)
		default:
			d.stage, d.untried = resolved, addresses
		}
	})
}

func (tr *trip) connectStart() {
	tr.handleDialEvent(func() {
		d := tr.dialAt(resolved)
		if d == nil {
			d = tr.dialAt(connecting)
		}
		if d == nil || d.untried <= 0 {
			d = tr.beginDial(connecting)
		}
		d.stage = connecting
		d.untried--
		d.open++
	})
}

// connectDone records the end of an attempt to connect to one address. The dial fails only when the
// attempts for all addresses have failed.
func (tr *trip) connectDone(err error) {
	tr.handleDialEvent(func() {
		d := tr.dialAt(connecting)
		if d == nil || d.open == 0 { // belongs to a dial that has already ended
			return
		}
		d.open--
		switch {
		case err == nil && (tr.proxied || tr.req.URL.Scheme == "https"):
			d.stage = connected
		case err == nil:
			tr.finishDial(d, nil)
		case d.open == 0 && d.untried <= 0:
			tr.finishDial(d, err)
		}
	})
}

func (tr *trip) tlsHandshakeStart() {
	tr.handleDialEvent(func() {
		d := tr.dialAt(connected)
		if d == nil {
			d = tr.beginDial(handshaking)
		}
		d.stage = handshaking
	})
}

func (tr *trip) tlsHandshakeDone(err error) {
	tr.handleDialEvent(func() {
		d := tr.dialAt(handshaking)
		switch {
		case d == nil:
		case err == nil && tr.proxied: // another handshake may follow, with the host behind the proxy
			d.stage = connected
		default:
			tr.finishDial(d, err)
		}
	})
}

// furthestDial returns the dial that has progressed furthest, or nil if there is none.
func (tr *trip) furthestDial() (d *dial) {
	for i := range tr.dials {
		if other := &tr.dials[i]; d == nil || other.stage > d.stage {
			d = other
		}
	}
	return d
}

// gotNewConn records that the trip got a connection that no request has used before. On HTTP/2,
// another trip may have dialed it. Caller must hold the part's lock.
func (tr *trip) gotNewConn(http2 bool) {
	tr.part.fresh++
	if tr.ownDialEnded {
		return
	}
	d := tr.furthestDial()
	switch {
	case d != nil && d.stage != assumed && (d.stage == connected || !http2):
		tr.finishDial(d, nil)
	case tr.hadRoom:
		tr.part.dialDurations.Record(tr.untracedDialTime())
	}
}

// dialFailed records that the dial that the trip was waiting for failed. Caller must hold the
// part's lock.
func (tr *trip) dialFailed(err error) {
	if tr.ownDialEnded {
		return
	}
	if d := tr.furthestDial(); d != nil {
		tr.finishDial(d, err)
		return
	}
	tr.part.failed++
	if tr.hadRoom {
		tr.part.failedDialDurations.Record(tr.untracedDialTime())
	}
}

// untracedDialTime returns the duration of a dial that was not traced, for a trip with hadRoom set.
// Such a trip does not wait for a slot, so the dial began when the trip requested a connection.
// Caller must hold the part's lock.
func (tr *trip) untracedDialTime() time.Duration {
	asked := tr.claim.Asked()
	tr.claim.Construct(&tr.part.Recorder, asked)
	return measure.Clock() - asked
}
