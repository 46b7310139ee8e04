package live

import (
	"math"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/poolgauge/poolgauge/diagnose"
	"github.com/poolgauge/poolgauge/internal/catalog"
)

// judgeWith lets the pool's judge see what its series say, and the machine's figures, once in a window.
func (p *pool) judgeWith(m diagnose.Machine) {
	f := p.reported()
	if f.At.Sub(p.judge.Seen()) >= window {
		p.judge.See(f, m)
	}
}

// reported returns what a judge wants to know. An app that sends deltas gets no verdicts: what is lost
// on the way would be taken for a pool that began anew.
func (p *pool) reported() diagnose.Figures {
	var sums [roles]float64
	for i := range sums {
		sums[i] = math.NaN()
	}
	var at int64
	for _, s := range p.series {
		if s.generation != p.generation || s.delta {
			continue
		}
		at = max(at, s.at)
		if s.role == waitRole && !s.has(catalog.PoolOutcomeKey, "acquired") {
			continue
		}
		if sums[s.role] != sums[s.role] {
			sums[s.role] = 0
		}
		sums[s.role] += s.value
	}
	f := diagnose.Figures{
		At:    time.Unix(0, at),
		Limit: sums[limitRole], Used: sums[usedRole], Idle: sums[idleRole], Pending: sums[pendingRole],
		PendingAge: orNone(sums[oldestRole]),
		Served:     sums[acquiredRole], Refused: sums[notServedRole],
		WaitTime: sums[waitRole], Ended: sums[okRole] + orNone(sums[failedRole]), Failed: sums[failedRole],
		NotMade: orNone(sums[notMadeRole]), UseTime: sums[useTimeRole], EndedTime: sums[useRole],
		OnCPU: sums[onCPURole], RunQueue: sums[runQueueRole], Blocked: sums[blockedRole],
	}
	if waited := sums[waitTimeRole]; !math.IsNaN(waited) {
		f.WaitTime = waited
	}
	return f
}

// has reports whether a series has an attribute with a value.
func (s *series) has(key attribute.Key, value string) (has bool) {
	s.eachAttribute(func(k, v []byte) { has = has || string(k) == string(key) && string(v) == value })
	return has
}

// orNone returns v, or 0 for what is left out while there is none.
func orNone(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}

// explain writes the verdict that holds into q.
func (p *pool) explain(q *Pool) {
	if f := p.judge.Holds(); f.Verdict.Convicts() || f.Verdict == diagnose.Oversized {
		q.Verdict, q.Evidence = words(f.Verdict.String()), []string{f.Evidence}
	}
}

// words makes words of the value of an attribute.
func words(value string) string { return strings.ReplaceAll(value, "_", " ") }

// forJudge returns what a judge wants to know of the machine. What an app has for itself, such as its quota, is that of the container that it is
// in: the only one that is visible, or the only one beside the sidecar's.
func (m *machine) forJudge() diagnose.Machine {
	d := diagnose.UnknownMachine()
	known := func(to *float64, f Figure) {
		if v, ok := f.Get(); ok {
			*to = v
		}
	}
	h := &m.shown.Host
	known(&d.CPUs, h.CPUs)
	known(&d.BusyCPUs, Known(h.CPU.Or(math.NaN())*h.CPUs.Or(math.NaN())))
	known(&d.Steal, h.Steal)
	known(&d.MemoryPressure, h.Pressure.Memory)
	for i := range m.shown.Containers {
		c := &m.shown.Containers[i]
		if len(m.shown.Containers) > 1 && (m.app == "" || c.ID != m.app) {
			continue
		}
		known(&d.CPUs, c.CPULimit)
		known(&d.Throttled, c.Throttled)
		known(&d.MemoryPressure, c.Pressure.Memory)
	}
	return d
}
