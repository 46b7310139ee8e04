package main

import (
	"math"
	"time"

	"github.com/poolgauge/poolgauge/diagnose"
	"github.com/poolgauge/poolgauge/instrument"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/otlptest"
)

// values holds the points of a request, summed over irrelevant attributes.
type values struct {
	at   time.Time
	sums map[series]float64
}

// series is a metric and the value of its relevant attribute, such as an outcome, a state or a
// mode. An empty value means all values.
type series struct {
	row  *catalog.Metric
	attr string
}

var rows = func() map[string]*catalog.Metric {
	all := map[string]*catalog.Metric{}
	catalog.Each(func(_ *catalog.Group, m *catalog.Metric) { all[m.Name] = m })
	return all
}()

func valuesOf(r *message) values {
	v := values{sums: map[series]float64{}}
	for p := range otlptest.Points(r) {
		row := rows[p.Metric]
		if row == nil {
			continue
		}
		v.at = p.Time
		if row == catalog.ProbeDuration && p.Attributes[string(catalog.ProbeNameKey)] != "disk" {
			continue
		}
		v.sums[series{row, ""}] += p.Value
		for _, key := range []string{
			string(catalog.PoolOutcomeKey), string(catalog.PoolStateKey), string(catalog.PoolEventKey),
			string(catalog.GoroutineStateKey), "cpu.mode",
		} {
			if attr, ok := p.Attributes[key]; ok {
				v.sums[series{row, attr}] += p.Value
			}
		}
		if p.Count > 0 {
			v.sums[series{row, "count"}] += float64(p.Count)
			v.sums[series{row, "max"}] = max(v.sums[series{row, "max"}], p.Max)
		}
	}
	return v
}

// get returns the value of metric row from the points whose relevant attribute has the given value,
// or NaN if there are none.
func (v values) get(row *catalog.Metric, attr string) float64 {
	if sum, ok := v.sums[series{row, attr}]; ok {
		return sum
	}
	return math.NaN()
}

// some is like get, but returns 0 instead of NaN.
func (v values) some(row *catalog.Metric, attr string) float64 { return v.sums[series{row, attr}] }

func (v values) pool() diagnose.Figures {
	failed := v.some(
		catalog.PoolCompleted,
		instrument.Failed.String(),
	) + v.some(
		catalog.PoolCompleted,
		instrument.Panicked.String(),
	)
	split := func(s instrument.CPUState) float64 { return v.get(catalog.PoolUseCPUTime, s.String()) }
	return diagnose.Figures{
		At:      v.at,
		Limit:   v.get(catalog.PoolLimit, ""),
		Pending: v.get(catalog.PoolPending, ""),
		UseAge:  v.get(catalog.PoolUseAge, ""),
		Served:  v.get(catalog.PoolRequests, instrument.Acquired.String()),
		Refused: v.some(
			catalog.PoolRequests,
			instrument.Rejected.String(),
		) + v.some(
			catalog.PoolRequests,
			instrument.TimedOut.String(),
		),
		WaitTime:  v.get(catalog.PoolWaitDuration, instrument.Acquired.String()),
		Ended:     v.get(catalog.PoolCompleted, ""),
		Failed:    failed,
		UseTime:   v.get(catalog.PoolUseTime, ""),
		EndedTime: v.get(catalog.PoolUseDuration, ""),
		Longest:   v.get(catalog.PoolUseDuration, "max"),
		HeldBack:  v.get(catalog.PoolHeldBackTime, ""),
		OnCPU:     split(instrument.OnCPU),
		RunQueue:  split(instrument.RunQueue),
		Blocked:   split(instrument.Blocked),
	}
}

func (v values) host() diagnose.HostFigures {
	unknown := math.NaN() // the simulation has no CPU probe
	return diagnose.HostFigures{
		At: v.at, CPUs: v.get(catalog.CgroupCPULimit, ""), Runnable: v.get(catalog.Goroutines, "runnable"),
		BusyTime: v.get(catalog.ProcessCPUTime, ""), QueueTime: v.get(catalog.ProcessRunQueueTime, ""),
		LockTime: v.get(catalog.LockWaitTime, ""),
		Periods:  v.get(catalog.CgroupCPUPeriods, ""), Throttled: v.get(catalog.CgroupCPUThrottledPeriods, ""),
		StealTime: v.get(catalog.SystemCPUTime, "steal"), AllTime: v.get(catalog.SystemCPUTime, ""),
		MemoryStall: v.get(catalog.PressureStallTime, ""),
		Writes:      v.get(catalog.ProbeDuration, "count"), WriteTime: v.get(catalog.ProbeDuration, ""),
		Computes: unknown, Stretch: unknown,
	}
}
