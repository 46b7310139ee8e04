package wraphttp

import (
	"time"

	"github.com/poolgauge/poolgauge/internal/measure"
)

// stage is the progress of a dial.
type stage uint8

const (
	assumed    stage = iota // a dial must be in progress, although no event was reported
	resolving               // looking up the host name
	resolved                // between the lookup and the first attempt to connect
	connecting              // connecting to one or several addresses
	connected               // connected, before a TLS handshake
	shaking                 // in the TLS handshake
)

// dial is a connection that is being established for a trip. net/http does not abandon the dial
// when the trip ends, because another request may get the connection.
type dial struct {
	stage   stage
	began   time.Duration
	left    int // number of addresses that have not been tried yet
	open    int // number of connection attempts in progress
	counted bool
}

// isAtWork reports whether httptrace is certain to report the end of the stage.
func (d *dial) isAtWork() bool {
	return d.stage == resolving || d.stage == shaking || (d.stage == connecting && d.open > 0)
}

// begin records the start of a dial at stage s. From then on the trip no longer waits for a slot.
// Caller must hold the part's lock.
func (tr *trip) begin(s stage) *dial {
	now := measure.Clock()
	if tr.room && tr.phase == asking && (s == assumed || s == shaking) {
		now = tr.claim.Asked() // the dial began with the request, but was not reported until now
	}
	tr.dials = append(tr.dials, dial{stage: s, began: now, left: 1})
	if tr.phase == asking {
		tr.claim.Construct(&tr.part.Recorder, now)
	}
	return &tr.dials[len(tr.dials)-1]
}

// find returns the first dial at stage s, or nil.
func (tr *trip) find(s stage) *dial {
	for i := range tr.dials {
		if d := &tr.dials[i]; d.stage == s {
			return d
		}
	}
	return nil
}

// on calls f, which handles an event of a dial, and then updates the number of dials that count as
// constructing.
func (tr *trip) on(f func()) {
	p := tr.part
	if p == nil {
		return
	}
	p.Lock()
	defer p.Unlock()
	tr.drop(assumed)
	f()
	tr.settle()
}

// settle updates the number of dials that count as constructing. While the trip waits for a dial,
// all of its dials count; otherwise, only those for which isAtWork returns true. Caller must hold
// the part's lock.
func (tr *trip) settle() {
	awaited := tr.phase == asking && tr.claim.IsConstructing()
	for i := range tr.dials {
		d := &tr.dials[i]
		tr.count(d, awaited || d.isAtWork())
	}
}

func (tr *trip) count(d *dial, counts bool) {
	switch {
	case counts && !d.counted:
		tr.part.constructing++
	case !counts && d.counted:
		tr.part.constructing--
	}
	d.counted = counts
}

// remove removes dial d. Caller must hold the part's lock.
func (tr *trip) remove(d *dial) {
	tr.count(d, false)
	for i := range tr.dials {
		if &tr.dials[i] == d {
			tr.dials = append(tr.dials[:i], tr.dials[i+1:]...)
			return
		}
	}
}

// drop removes the dial at stage s, if there is one. Caller must hold the part's lock.
func (tr *trip) drop(s stage) {
	if d := tr.find(s); d != nil {
		tr.remove(d)
	}
}

// finish records the end of dial d, successful or with err. Caller must hold the part's lock.
func (tr *trip) finish(d *dial, err error) {
	p, took := tr.part, measure.Clock()-d.began
	tr.done = true
	if err != nil {
		p.failed++
		p.unmade.Record(took)
	} else {
		p.dialed++
		p.made.Record(took)
	}
	tr.remove(d)
}

func (tr *trip) resolve() {
	tr.on(func() { tr.begin(resolving) })
}

func (tr *trip) resolved(addresses int, err error) {
	tr.on(func() {
		d := tr.find(resolving)
		switch {
		case d == nil:
		case err != nil:
			tr.finish(d, err)
		default:
			d.stage, d.left = resolved, addresses
		}
	})
}

func (tr *trip) connect() {
	tr.on(func() {
		d := tr.find(resolved)
		if d == nil {
			d = tr.find(connecting)
		}
		if d == nil || d.left <= 0 {
			d = tr.begin(connecting)
		}
		d.stage = connecting
		d.left--
		d.open++
	})
}

// connected records the end of one attempt to connect. If several addresses are tried, the dial
// fails only when all attempts have failed.
func (tr *trip) connected(err error) {
	tr.on(func() {
		d := tr.find(connecting)
		if d == nil || d.open == 0 { // belongs to a dial that has already ended
			return
		}
		d.open--
		switch {
		case err == nil && (tr.proxied || tr.req.URL.Scheme == "https"):
			d.stage = connected
		case err == nil:
			tr.finish(d, nil)
		case d.open == 0 && d.left <= 0:
			tr.finish(d, err)
		}
	})
}

func (tr *trip) handshake() {
	tr.on(func() {
		d := tr.find(connected)
		if d == nil {
			d = tr.begin(shaking)
		}
		d.stage = shaking
	})
}

func (tr *trip) shaken(err error) {
	tr.on(func() {
		d := tr.find(shaking)
		switch {
		case d == nil:
		case err == nil && tr.proxied: // another handshake may follow, with the host behind the proxy
			d.stage = connected
		default:
			tr.finish(d, err)
		}
	})
}

// furthest returns the dial that has progressed furthest, or nil.
func (tr *trip) furthest() (d *dial) {
	for i := range tr.dials {
		if other := &tr.dials[i]; d == nil || other.stage > d.stage {
			d = other
		}
	}
	return d
}

// arrived records that the trip got a connection that no request has used before. On HTTP/2 another
// trip may have dialed it. Caller must hold the part's lock.
func (tr *trip) arrived(http2 bool) {
	tr.part.fresh++
	if tr.done {
		return
	}
	d := tr.furthest()
	switch {
	case d != nil && d.stage != assumed && (d.stage == connected || !http2):
		tr.finish(d, nil)
	case tr.room:
		tr.part.made.Record(tr.dialedUntraced())
	}
}

// unmade records that the dial that the trip was waiting for failed. Caller must hold the part's
// lock.
func (tr *trip) unmade(err error) {
	if tr.done {
		return
	}
	if d := tr.furthest(); d != nil {
		tr.finish(d, err)
		return
	}
	tr.part.failed++
	if tr.room {
		tr.part.unmade.Record(tr.dialedUntraced())
	}
}

// dialedUntraced returns the duration of a dial that was not traced. Since there was room, the trip
// did not wait for a slot, and the dial began when the trip requested a connection. Caller must
// hold the part's lock.
func (tr *trip) dialedUntraced() time.Duration {
	asked := tr.claim.Asked()
	tr.claim.Construct(&tr.part.Recorder, asked)
	return measure.Clock() - asked
}
