package main

import (
	"time"

	"github.com/poolgauge/poolgauge/benchmarks/pools/harness"
	"github.com/poolgauge/poolgauge/instrument"
)

// sampleCases show what it takes to measure one task, which does nothing.
func sampleCases() []harness.Case {
	measured := func(wanted int) func() (func(int), func()) {
		return func() (func(int), func()) {
			s := instrument.NewCPUSampler(instrument.WithCPUSamples(wanted))
			begun := int64(0)
			return func(n int) {
				for range n {
					begun++
					c := s.Next(time.Duration(begun)*time.Hour, begun)
					c.Run(func() {})
					s.Add(c)
				}
			}, nil
		}
	}
	return []harness.Case{{
		Name:     "one CPU sample",
		Subjects: []harness.Subject{{Name: "ours", New: measured(1)}, {Name: "none", New: measured(0)}},
		Bars:     []harness.Bar{{Peer: "none", Ratio: 1, Plus: 10 * time.Microsecond}},
	}}
}
