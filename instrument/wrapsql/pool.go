package wrapsql

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// failure describes how an attempt to connect failed.
type failure uint8

const (
	none failure = iota // the attempt succeeded
	timedOut
	canceled
	failed
	failures // number of values
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

// pool records how database/sql uses the driver's connections.
//
// database/sql closes driver connections while it holds the DB's lock. Therefore the pool's lock
// must not be held while a method of the DB is called.
type pool struct {
	measure.Recorder // its lock guards everything below

	db     func() sql.DBStats // nil if unknown
	events int64              // number of starts and ends of uses and connections
	// connections that were established but never used; they count as used unless database/sql
	// keeps them idle
	fresh        map[*conn]bool
	constructing int64                          // number of attempts to connect in progress
	attempts     [failures]instrument.Histogram // durations of attempts to connect, by result
	ended        int64                          // number of closed connections
	broken       int64                          // of these, how many were broken
	other        int64                          // of these, how many database/sql does not count, as last reported
}

func newPool(opts []instrument.Option) *pool {
	p := &pool{fresh: map[*conn]bool{}}
	p.Init(instrument.TimingOf(opts...))
	return p
}

// connecting records that a connection is being established.
func (p *pool) connecting() (start time.Duration) {
	p.Lock()
	defer p.Unlock()
	p.constructing++
	return measure.Clock()
}

// connected records that c has been established, or that connecting failed with err. The first use
// of c starts immediately, since database/sql establishes connections for a caller.
func (p *pool) connected(start time.Duration, c *conn, err error) {
	p.Lock()
	defer p.Unlock()
	p.events++
	p.constructing--
	p.attempts[failureOf(err)].Record(measure.Clock() - start)
	if err == nil {
		c.used, c.use = true, p.Start()
		p.fresh[c] = true
	}
}

// touch records the start of a use of c, unless one is in progress.
func (p *pool) touch(c *conn) {
	p.Lock()
	defer p.Unlock()
	delete(p.fresh, c)
	if !c.used {
		p.events++
		c.used, c.use = true, p.Start()
	}
}

// end records that the current use of c, if any, has ended.
func (p *pool) end(c *conn, ending instrument.Ending) {
	p.Lock()
	defer p.Unlock()
	delete(p.fresh, c)
	if c.used {
		p.events++
		c.used = false
		p.End(c.use, ending)
	}
}

// closed records that a connection was closed.
func (p *pool) closed(broken bool) {
	p.Lock()
	defer p.Unlock()
	p.events++
	p.ended++
	if broken {
		p.broken++
	}
}

// stats returns the Stats for a collection. It reads all of the pool's own counters at the same
// time, and those of database/sql slightly later. In that order, connections in use never exceed
// the limit, and a connection closed for a known reason is never counted under the reason other.
func (p *pool) stats() instrument.Stats {
	p.Lock()
	dbStats := p.db
	p.Unlock()
	if dbStats == nil {
		own, _ := p.own()
		return own
	}
	p.reconcile(dbStats)
	own, ended := p.own()
	s := statsOf(dbStats())
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

// reconcile ends the uses of new connections that no caller ever received. database/sql opened them
// for callers that then gave up or got another connection, and now keeps them idle. They can be
// distinguished from connections that a caller holds only if no event happens during the check.
func (p *pool) reconcile(dbStats func() sql.DBStats) {
	p.Lock()
	before, fresh := p.events, len(p.fresh)
	p.Unlock()
	if fresh == 0 {
		return
	}
	idle := int64(dbStats().Idle)
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

// idle returns the number of idle connections, as far as it can be determined from the calls to the
// driver. Caller must hold the lock.
func (p *pool) idle() int64 {
	return int64(p.attempts[none].Count()) - p.ended - p.Uses.InUse()
}

// own returns the Stats without the values from database/sql, and how many connections were closed
// for reasons other than being broken.
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
		durations := p.attempts[f].Clone()
		s.Resources = append(
			s.Resources,
			instrument.Resources{Event: event, Reason: f.String(), Count: int64(durations.Count())},
		)
		s.Create = append(s.Create, instrument.Creation{ErrorType: f.String(), Duration: durations})
	}
	s.Resources = append(s.Resources, instrument.Resources{Event: instrument.Ended, Reason: "broken", Count: p.broken})
	return s, p.ended - p.broken
}
