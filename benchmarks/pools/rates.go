package main

import (
	"context"
	"fmt"
	"time"

	"github.com/poolgauge/poolgauge/benchmarks/pools/harness"
	"github.com/poolgauge/poolgauge/benchmarks/pools/peers"
	"github.com/poolgauge/poolgauge/instrument"
)

// rateCases returns cases whose uses are far apart, as in most programs. A pool that times only a
// sample of the uses in a closed loop may time every use here. Telemetry may cost at most 0.5% of a
// CPU, that is, 0.5% of the interval between uses. The targets limit the time of the use itself, in
// the wall time column. The CPU time column includes other threads, and is as noisy as the
// scheduler.
func rateCases() []harness.Case {
	var cases []harness.Case
	for _, every := range []time.Duration{30 * time.Microsecond, time.Millisecond} {
		trials := int(100 * time.Millisecond / every)
		halfPercent := every / 200
		cases = append(cases,
			harness.Case{
				Name: fmt.Sprintf("semaphore, a use every %v", every), Trials: trials,
				Subjects: []harness.Subject{
					semaphoreAtRate("poolgauge", every, func() (peers.Permits, func()) { return ours(16) }),
					semaphoreAtRate(semaphoreOff, every, func() (peers.Permits, func()) {
						return ours(16, instrument.WithoutTelemetry())
					}),
					semaphoreAtRate(xsync, every, func() (peers.Permits, func()) { return peers.XSync(16), nil }),
					semaphoreAtRate(
						"channel",
						every,
						func() (peers.Permits, func()) { return peers.ChannelPermits(16), nil },
					),
				},
				Bars: []harness.Bar{
					{Peer: xsync, Of: harness.Wall, Ratio: 1, Plus: 60 * time.Nanosecond},
					{Peer: semaphoreOff, Of: harness.Wall, Ratio: 1, Plus: halfPercent},
				},
			},
			harness.Case{
				Name: fmt.Sprintf("resources, a use every %v", every), Trials: trials,
				Subjects: []harness.Subject{
					lenderAtRate(
						"poolgauge",
						peers.OurOrder,
						every,
						func() peers.Lender { return peers.OurLender(16) },
					),
					lenderAtRate("telemetry off", peers.OurOrder, every, func() peers.Lender {
						return peers.OurLender(16, instrument.WithoutTelemetry())
					}),
					lenderAtRate("puddle", strictFIFO, every, func() peers.Lender { return peers.Puddle(16) }),
				},
				Bars: []harness.Bar{
					{Peer: "puddle", Of: harness.Wall, Ratio: 0.9},
					{Peer: "telemetry off", Of: harness.Wall, Ratio: 1, Plus: halfPercent},
				},
			},
		)
	}
	return cases
}

func ours(size int64, opts ...instrument.Option) (peers.Permits, func()) {
	s := peers.Semaphore(size, opts...)
	return s, s.Close
}

func semaphoreAtRate(name string, every time.Duration, open func() (peers.Permits, func())) harness.Subject {
	ctx := context.Background()
	return harness.AtRate(name, strictFIFO, every, func() (func(), func()) {
		p, stop := open()
		return func() {
			_ = p.Acquire(ctx, 1)
			p.Release(1)
		}, stop
	})
}

func lenderAtRate(name, order string, every time.Duration, open func() peers.Lender) harness.Subject {
	ctx := context.Background()
	return harness.AtRate(name, order, every, func() (func(), func()) {
		p := open()
		p.Fill()
		return func() { p.Use(ctx, nil) }, p.Close
	})
}
