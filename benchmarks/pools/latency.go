package main

import (
	"context"
	"fmt"
	"time"

	"github.com/poolgauge/poolgauge/benchmarks/pools/harness"
	"github.com/poolgauge/poolgauge/benchmarks/pools/peers"
	"github.com/poolgauge/poolgauge/instrument"
)

// gated is a pool that the latency cases compare.
type gated struct {
	name, order string
	open        func() harness.Gate
}

// latencies lists pools whose callers wait: for each kind, first our pool and then its peers.
var latencies = []struct {
	what string
	peer string
	all  []gated
}{
	{"semaphore", xsync, []gated{
		{"poolgauge", peers.OurOrder, func() harness.Gate {
			s := peers.Semaphore(1)
			return peers.PermitGate(s, s.Close)
		}},
		{xsync, strictFIFO, func() harness.Gate { return peers.PermitGate(peers.XSync(1), nil) }},
		{"channel", strictFIFO, func() harness.Gate { return peers.PermitGate(peers.ChannelPermits(1), nil) }},
	}},
	{"resources", "puddle", []gated{
		{"poolgauge", peers.OurOrder, func() harness.Gate { return peers.LenderGate(peers.OurLender(1)) }},
		{"puddle", strictFIFO, func() harness.Gate { return peers.LenderGate(peers.Puddle(1)) }},
	}},
	{"workers, Submit", "channel", []gated{
		{"ours", peers.OurOrder, func() harness.Gate { return peers.SubmitGate(peers.OurSubmit()) }},
		{"channel", strictFIFO, func() harness.Gate { return peers.SubmitGate(peers.ChannelSubmit()) }},
	}},
}

// latencyCases returns cases that measure latency instead of CPU time: how soon a caller gets a
// released slot, and how soon it learns that its deadline has passed. The targets are relative to a
// peer, since other goroutines can occupy all CPUs.
func latencyCases() []harness.Case {
	var cases []harness.Case
	for _, l := range latencies {
		for _, busy := range []int{0, 16, 32} {
			handOver := harness.Case{
				Name:   fmt.Sprintf("%s, hand-over next to %d busy goroutines", l.what, busy),
				Trials: 10,
			}
			deadline := harness.Case{
				Name:   fmt.Sprintf("%s, deadline of 20 ms next to %d busy goroutines", l.what, busy),
				Trials: 4,
			}
			for _, p := range l.all {
				handOver.Subjects = append(handOver.Subjects, harness.HandOver(p.name, p.order, busy, p.open))
				deadline.Subjects = append(deadline.Subjects, harness.Deadline(p.name, p.order, busy, p.open))
			}
			handOver.Bars = within(l.peer, time.Millisecond)
			deadline.Bars = within(l.peer, 5*time.Millisecond)
			cases = append(cases, handOver, deadline)
		}
	}
	return append(cases, orderCases()...)
}

// within returns targets that allow a round's median and maximum to exceed the peer's by at most
// plus.
func within(peer string, plus time.Duration) []harness.Bar {
	return []harness.Bar{
		{Peer: peer, Of: harness.Wall, Ratio: 1, Plus: plus},
		{Peer: peer, Of: harness.Max, Ratio: 1, Plus: plus},
	}
}

// orderCases returns cases that count requests overtaken by later ones.
func orderCases() []harness.Case {
	ctx := context.Background()
	permits := func(name, order string, open func() (peers.Permits, func())) harness.Subject {
		return harness.Overtaken(name, order, func() (func(func()), func()) {
			s, stop := open()
			return func(hold func()) {
				_ = s.Acquire(ctx, 1)
				hold()
				s.Release(1)
			}, stop
		})
	}
	lenders := func(name, order string, open func() peers.Lender) harness.Subject {
		return harness.Overtaken(name, order, func() (func(func()), func()) {
			p := open()
			p.Fill()
			return func(hold func()) { p.Use(ctx, hold) }, p.Close
		})
	}
	submit := func(name, order string, open peers.NewWorkers) harness.Subject {
		return harness.Overtaken(name, order, func() (func(func()), func()) {
			p := open(1)
			return func(hold func()) { p.Submit(peers.NewTask(hold)) }, p.Stop
		})
	}
	later := func(p gated) harness.Subject { return harness.LaterFirst(p.name, p.order, p.open) }
	none := []harness.Bar{{Of: harness.Count, Most: 0}}
	nothing := func() {}
	return []harness.Case{
		{
			Name:     "semaphore, a release and a later request, overtaken of 10,000",
			Trials:   10_000,
			Procs:    []int{1, 2},
			Bars:     none,
			Subjects: []harness.Subject{later(latencies[0].all[0]), later(latencies[0].all[1])},
		},
		{
			Name:     "resources, a release and a later request, overtaken of 10,000",
			Trials:   10_000,
			Procs:    []int{1, 2},
			Bars:     none,
			Subjects: []harness.Subject{later(latencies[1].all[0]), later(latencies[1].all[1])},
		},
		{
			Name:     "workers, a release and a later Submit, overtaken of 10,000",
			Trials:   10_000,
			Procs:    []int{1, 2},
			Bars:     none,
			Subjects: []harness.Subject{later(latencies[2].all[0]), later(latencies[2].all[1])},
		},
		{
			Name:   "semaphore, overtaken of 10,000",
			Trials: 10_000,
			Procs:  []int{1, 2},
			Bars:   none,
			Subjects: []harness.Subject{
				permits("poolgauge", peers.OurOrder, func() (peers.Permits, func()) {
					s := peers.Semaphore(1)
					return s, s.Close
				}),
				permits(semaphoreOff, peers.OurOrder, func() (peers.Permits, func()) {
					s := peers.Semaphore(1, instrument.WithoutTelemetry())
					return s, s.Close
				}),
				permits(xsync, strictFIFO, func() (peers.Permits, func()) { return peers.XSync(1), nothing }),
			},
		},
		{
			Name:   "resources, overtaken of 10,000",
			Trials: 10_000,
			Procs:  []int{1, 2},
			Bars:   none,
			Subjects: []harness.Subject{
				lenders("poolgauge", peers.OurOrder, func() peers.Lender { return peers.OurLender(1) }),
				lenders("puddle", strictFIFO, func() peers.Lender { return peers.Puddle(1) }),
			},
		},
		{
			Name:   "workers, overtaken of 10,000",
			Trials: 10_000,
			Procs:  []int{1, 2},
			Bars:   none,
			Subjects: []harness.Subject{
				submit("ours", peers.OurOrder, peers.OursWithQueue(1)),
				submit(peers.Pond, peers.Orders[peers.Pond], peers.PondWithQueue(1)),
				submit(peers.Channel, strictFIFO, peers.ChannelWithQueue(1)),
			},
		},
	}
}
