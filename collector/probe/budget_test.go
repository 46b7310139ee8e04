package probe

import (
	"math/rand/v2"
	"testing"
	"time"
)

// In no period does a probe use more CPU time than its share plus one run, whatever its runs cost
// and however long it did not run before.
func TestBudgetHoldsInEveryPeriod(t *testing.T) {
	type run struct {
		start time.Time
		spent time.Duration // by this run and all earlier ones
	}
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 0))
		now := time.Now()
		b := budget{share: defaultBudget * random.Float64()}
		runs, costliest := []run{{start: now}}, time.Duration(0)
		skipped := time.Duration(0)
		for range 500 {
			pause := time.Duration(random.Int64N(int64(20 * time.Second)))
			if random.IntN(50) == 0 {
				pause += time.Hour
			}
			now = now.Add(pause)
			if b.isOverspent(now) {
				skipped += pause
				continue
			}
			cost := time.Duration(random.ExpFloat64() * float64(50*time.Millisecond))
			b.charge(now, cost)
			runs = append(runs, run{now, runs[len(runs)-1].spent + cost})
			costliest = max(costliest, cost)
			last := runs[len(runs)-1]
			for i, before := range runs[:len(runs)-1] {
				used := last.spent - before.spent
				if limit := b.share*last.start.Sub(runs[i+1].start).
					Seconds() +
					costliest.Seconds(); used.Seconds() > limit+1e-6 {
					t.Fatalf("seed %d: used %v in %v, limit %v s", seed, used, last.start.Sub(runs[i+1].start), limit)
				}
			}
		}
		// While it is skipped, the probe has spent all of its share.
		if spent := runs[len(runs)-1].spent; spent.Seconds() < b.share*skipped.Seconds() {
			t.Fatalf("seed %d: spent %v in %v of skipped runs", seed, spent, skipped)
		}
	}
}
