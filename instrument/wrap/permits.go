package wrap

import (
	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/measure"
)

// permits measures a semaphore of another package. A release does not say which permits it returns,
// so only the total time for which permits are held is measured, not the time of each.
type permits struct {
	reg *instrument.Registration

	measure.Recorder // without uses; its lock guards everything below

	used     func() int64 // number of permits used
	released int64        // reported as completed: calls to Release, or slots returned to a channel
}

// observe starts reporting the pool. It must be called before any other method.
func (p *permits) observe(
	name string,
	used func() int64,
	stats func() instrument.Stats,
	opts []instrument.Option,
) (err error) {
	p.used = used
	p.Meter.Init(instrument.TimingOf(opts...), &p.Recorder, used)
	p.reg, err = instrument.Observe(name, "semaphore", stats, opts...)
	return err
}

func (p *permits) close() {
	p.Close()
	p.reg.Close()
}

// took records a request that took permits without waiting. before is the number of permits used
// before the request. Caller must hold the lock.
func (p *permits) took(before int64) {
	p.Meter.Event(before)
	p.Requests.Add(instrument.Acquired, 1)
}

// gave records a call that returned permits. before is the number of permits used before the call.
// Caller must hold the lock.
func (p *permits) gave(before int64) {
	p.Meter.Event(before)
	p.released++
}

// wait records the start of a wait. Caller must hold the lock.
func (p *permits) wait() *measure.Pended {
	return p.Pending.Add(p.Requests.Begin(&p.Meter, p.Meter.Event(p.used())))
}

// waited records the end of wait w, with permits or with err. before is the number of permits used
// before the wait ended. Caller must hold the lock.
func (p *permits) waited(w *measure.Pended, before int64, err error) measure.Waited {
	outcome := instrument.Acquired
	if err != nil {
		outcome = instrument.GaveUp(err)
	}
	return p.Requests.End(&p.Meter, outcome, p.Pending.Remove(w), p.Meter.Event(before))
}

// stats returns a consistent snapshot. Caller must hold the lock.
func (p *permits) stats(limit int64) (s instrument.Stats) {
	now, used := measure.Clock(), p.used()
	s.Limit = instrument.Some(limit)
	s.Usage[instrument.Used] = instrument.Some(used)
	p.Pending.Report(&s, now)
	p.Requests.Report(&s, &p.Meter, instrument.Acquired, instrument.Rejected, instrument.Canceled, instrument.TimedOut)
	s.Completed[instrument.OK] = instrument.Some(p.released)
	if !p.Meter.Off() {
		s.UseTime = instrument.Some(p.Meter.Total(now, used))
	}
	return s
}

// isDone reports whether done is closed. It returns false if done is nil.
func isDone(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}
