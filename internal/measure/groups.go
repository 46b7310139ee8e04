package measure

import "github.com/poolgauge/poolgauge/instrument"

// Groups measures groups of goroutines, such as those of errgroup, that are reported together. Its
// methods take its lock; the nil Groups measures nothing.
type Groups struct{ rec Recorder }

// Init makes what measures groups that were given these options.
func (g *Groups) Init(t instrument.Timing) {
	g.rec.InitTasks(t)
}

// Start begins the use of a function that has its slot and did not wait for it.
func (g *Groups) Start() Use {
	if g == nil {
		return Use{}
	}
	g.rec.Lock()
	use := g.rec.Start()
	g.rec.Unlock()
	return use
}

// Reject counts a function that got no slot.
func (g *Groups) Reject() {
	if g == nil {
		return
	}
	g.rec.Lock()
	defer g.rec.Unlock()
	g.rec.Requests.Add(instrument.Rejected, 1)
}

// Block notes that a caller waits for a slot.
func (g *Groups) Block() *Pended {
	if g == nil {
		return nil
	}
	g.rec.Lock()
	defer g.rec.Unlock()
	return g.rec.Pending.Add(g.rec.Wait())
}

// Unblock ends that in a use.
func (g *Groups) Unblock(p *Pended) Use {
	if g == nil {
		return Use{}
	}
	g.rec.Lock()
	defer g.rec.Unlock()
	return g.rec.StartAfter(g.rec.Pending.Remove(p))
}

// Call calls f, whose use has begun, and ends the use.
func (g *Groups) Call(use Use, f func() error) (err error) {
	how := instrument.Exited
	defer func() {
		use.Sample.End()
		g.end(use, how)
	}()
	use.Sample.Begin()
	if err = f(); err != nil {
		how = instrument.Failed
	} else {
		how = instrument.OK
	}
	return err
}

func (g *Groups) end(use Use, how instrument.Ending) {
	if g == nil {
		return
	}
	g.rec.Lock()
	g.rec.End(use, how)
	g.rec.Unlock()
}

// Running returns how many functions run now.
func (g *Groups) Running() int {
	g.rec.Lock()
	defer g.rec.Unlock()
	return int(g.rec.Uses.InUse())
}

// Stats returns what all groups together have done and are doing, all of one moment. Each group has its
// own limit, and there may be any number of groups, so Limit is absent. A function that did not return
// counts as exit: had it panicked, the program would have ended.
func (g *Groups) Stats() (s instrument.Stats) {
	g.rec.Lock()
	defer g.rec.Unlock()
	now := Clock()
	g.rec.Requests.Report(&s, &g.rec.Meter, instrument.Acquired, instrument.Rejected)
	g.rec.Uses.Report(&s, &g.rec.Meter, now, instrument.OK, instrument.Failed, instrument.Exited)
	g.rec.Pending.Report(&s, now)
	return s
}

// Close ends overload, for good. Groups may still be used.
func (g *Groups) Close() { g.rec.Close() }
