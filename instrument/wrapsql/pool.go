package wrapsql

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// failure is how the making of a connection ended.
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

// pool counts what is seen from between database/sql and the driver.
//
// Drivers' connections are closed with the lock of the DB held, so that of the pool must not be held while
// the DB is asked for anything.
type pool struct {
	db *sql.DB // set once, with the lock held, before anything is counted

	measure.Recorder // its lock guards what follows

	constructing int64
	makes        [failures]instrument.Histogram
	ended        int64 // connections closed
	broken       int64 // those of them that were broken
	other        int64 // those of them that database/sql does not count, as last reported
}

func newPool(opts []instrument.Option) *pool {
	p := new(pool)
	p.Init(instrument.TimingOf(opts...))
	return p
}

// connecting begins the making of a connection.
func (p *pool) connecting() (start time.Duration) {
	p.Lock()
	defer p.Unlock()
	p.constructing++
	return measure.Clock()
}

func (p *pool) connected(start time.Duration, err error) {
	p.Lock()
	defer p.Unlock()
	p.constructing--
	p.makes[failureOf(err)].Record(measure.Clock() - start)
}

func (p *pool) begin() measure.Use {
	p.Lock()
	defer p.Unlock()
	return p.Start()
}

func (p *pool) end(u measure.Use, how instrument.Ending) {
	p.Lock()
	defer p.Unlock()
	p.End(u, how)
}

func (p *pool) closed(broken bool) {
	p.Lock()
	defer p.Unlock()
	p.ended++
	if broken {
		p.broken++
	}
}

// stats is what a collection calls. What the pool counts itself is of one moment, and what database/sql counts of a moment later;
// so a connection in use is within the limit, and one closed for a reason is never among the others.
func (p *pool) stats() instrument.Stats {
	own, ended := p.own()
	s := statsOf(p.db.Stats())
	for _, r := range s.Resources {
		ended -= r.Count
	}
	p.Lock()
	defer p.Unlock()
	p.other = max(p.other, ended)
	own.Resources = append(own.Resources, s.Resources...)
	own.Resources = append(own.Resources, instrument.Resources{Event: instrument.Ended, Reason: "other", Count: p.other})
	own.Limit, own.Waits, own.WaitTime = s.Limit, s.Waits, s.WaitTime
	return own
}

// own returns what the pool counts itself, and how many connections were closed for other reasons than being broken.
func (p *pool) own() (s instrument.Stats, ended int64) {
	p.Lock()
	defer p.Unlock()
	s.Requests[instrument.Acquired] = instrument.Some(p.Requests.Ended(instrument.Acquired))
	p.Uses.Report(&s, &p.Meter, measure.Clock(), instrument.OK, instrument.Failed)
	created := int64(p.makes[none].Count())
	s.Usage[instrument.Constructing] = instrument.Some(p.constructing)
	s.Usage[instrument.Idle] = instrument.Some(created - p.ended - p.Uses.InUse())
	for f := range failures {
		event := instrument.CreateFailed
		if f == none {
			event = instrument.Created
		}
		made := p.makes[f].Clone()
		s.Resources = append(s.Resources, instrument.Resources{Event: event, Reason: f.String(), Count: int64(made.Count())})
		s.Create = append(s.Create, instrument.Creation{ErrorType: f.String(), Duration: made})
	}
	s.Resources = append(s.Resources, instrument.Resources{Event: instrument.Ended, Reason: "broken", Count: p.broken})
	return s, p.ended - p.broken
}
