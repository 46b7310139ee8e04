package wrapsql

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// failure is the result of making a connection.
type failure uint8

const (
	none failure = iota
	timedOut
	canceled
	failed
	failures
)

func (f failure) String() string {
	return [...]string{"", "timeout", "canceled", "error"}[f]
}

func failureOf(err error) failure {
	switch {
	case err == nil:
		return none
	case errors.Is(err, context.DeadlineExceeded):
		return timedOut
	case errors.Is(err, context.Canceled):
		return canceled
	}
	return failed
}

// pool records what happens between database/sql and the driver.
//
// database/sql closes connections of the driver with the lock of the DB held. Therefore the lock of
// the pool must not be held while a method of the DB is called.
type pool struct {
	measure.Recorder // its lock guards everything below

	db     func() sql.DBStats // nil if unknown
	events int64              // of uses and connections
	// connections that were made but never used; they count as used unless database/sql has them
	// idle
	fresh        map[*conn]bool
	constructing int64
	makes        [failures]instrument.Histogram
	ended        int64 // connections closed
	broken       int64 // of these, connections that were broken
	other        int64 // of these, connections that database/sql does not count, as last reported
}

func newPool(opts []instrument.Option) *pool {
	p := &pool{fresh: map[*conn]bool{}}
	p.Init(instrument.TimingOf(opts...))
	return p
}

// connecting notes that a connection is being made.
func (p *pool) connecting() (start time.Duration) {
	p.Lock()
	defer p.Unlock()
	p.constructing++
	return measure.Clock()
}

// connected notes that c was made, or that it failed with err. c is used from now on, since
// database/sql makes connections for a caller.
func (p *pool) connected(start time.Duration, c *conn, err error) {
	p.Lock()
	defer p.Unlock()
	p.events++
	p.constructing--
	p.makes[failureOf(err)].Record(measure.Clock() - start)
	if err == nil {
		c.used, c.use = true, p.Start()
		p.fresh[c] = true
	}
}

// touch begins a use of a connection, unless one is in progress.
func (p *pool) touch(c *conn) {
	p.Lock()
	defer p.Unlock()
	delete(p.fresh, c)
	if !c.used {
		p.events++
		c.used, c.use = true, p.Start()
	}
}

// end ends the use of a connection, if there is one.
func (p *pool) end(c *conn, how instrument.Ending) {
	p.Lock()
	defer p.Unlock()
	delete(p.fresh, c)
	if c.used {
		p.events++
		c.used = false
		p.End(c.use, how)
	}
}

func (p *pool) closed(broken bool) {
	p.Lock()
	defer p.Unlock()
	p.events++
	p.ended++
	if broken {
		p.broken++
	}
}

// stats returns the Stats for a collection. The figures of the pool itself belong to one moment,
// those of database/sql to a slightly later one. So the connections in use never exceed the limit,
// and a connection that was closed for a known reason is never counted as other.
func (p *pool) stats() instrument.Stats {
	p.Lock()
	ask := p.db
	p.Unlock()
	if ask == nil {
		own, _ := p.own()
		return own
	}
	p.reconcile(ask)
	own, ended := p.own()
	s := statsOf(ask())
	for _, r := range s.Resources {
		ended -= r.Count
	}
	p.Lock()
	defer p.Unlock()
	p.other = max(p.other, ended)
	own.Resources = append(own.Resources, s.Resources...)
	own.Resources = append(
		own.Resources,
		instrument.Resources{Event: instrument.Ended, Reason: "other", Count: p.other},
	)
	own.Limit, own.Waits, own.WaitTime = s.Limit, s.Waits, s.WaitTime
	return own
}

// reconcile ends the uses of connections that were never used and that database/sql has idle: the
// callers that they were made for had given up or found another connection. They can be told from
// connections that a caller has only if nothing happened meanwhile.
func (p *pool) reconcile(ask func() sql.DBStats) {
	p.Lock()
	before, fresh := p.events, len(p.fresh)
	p.Unlock()
	if fresh == 0 {
		return
	}
	idle := int64(ask().Idle)
	p.Lock()
	defer p.Unlock()
	if p.events != before {
		return
	}
	idle -= p.idle()
	for c := range p.fresh {
		if idle--; idle < 0 {
			return
		}
		delete(p.fresh, c)
		c.used = false
		p.End(c.use, instrument.OK)
	}
}

// idle returns the number of idle connections, as far as the driver was told. Caller must hold the
// lock.
func (p *pool) idle() int64 {
	return int64(p.makes[none].Count()) - p.ended - p.Uses.InUse()
}

// own returns the figures of the pool itself, and how many connections were closed for reasons
// other than being broken.
func (p *pool) own() (s instrument.Stats, ended int64) {
	p.Lock()
	defer p.Unlock()
	s.Requests[instrument.Acquired] = instrument.Some(p.Requests.Ended(instrument.Acquired))
	p.ReportUses(&s, measure.Clock(), instrument.OK, instrument.Failed)
	s.Usage[instrument.Constructing] = instrument.Some(p.constructing)
	s.Usage[instrument.Idle] = instrument.Some(p.idle())
	for f := range failures {
		event := instrument.CreateFailed
		if f == none {
			event = instrument.Created
		}
		made := p.makes[f].Clone()
		s.Resources = append(
			s.Resources,
			instrument.Resources{Event: event, Reason: f.String(), Count: int64(made.Count())},
		)
		s.Create = append(s.Create, instrument.Creation{ErrorType: f.String(), Duration: made})
	}
	s.Resources = append(s.Resources, instrument.Resources{Event: instrument.Ended, Reason: "broken", Count: p.broken})
	return s, p.ended - p.broken
}
