package probe

import (
	"math/rand/v2"
	"testing"
	"time"
)

// In no period does a probe use more CPU time than its share plus one run, whatever its runs cost,
// whenever they use the CPU, and however long the probe did not run before.
func TestBudgetHoldsInEveryPeriod(t *testing.T) {
	type use struct {
		at    time.Time
		total time.Duration // CPU time of this use and all earlier ones
	}
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 0))
		now := time.Now()
		b := budget{share: defaultBudget * random.Float64()}
		uses, costliest, skipped := []use{{at: now}}, time.Duration(0), time.Duration(0)
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
			at := now
			now = now.Add(time.Duration(random.Int64N(int64(30 * time.Second))))
			if random.IntN(2) == 0 {
				at = now // the run uses the CPU at its end
			}
			cost := time.Duration(random.ExpFloat64() * float64(50*time.Millisecond))
			b.charge(now, cost)
			last := use{at, uses[len(uses)-1].total + cost}
			uses = append(uses, last)
			costliest = max(costliest, cost)
			for i, before := range uses[:len(uses)-1] {
				used, period := last.total-before.total, last.at.Sub(uses[i+1].at)
				if limit := b.share*period.Seconds() + costliest.Seconds(); used.Seconds() > limit+1e-6 {
					t.Fatalf("seed %d: used %v in %v, limit %v s", seed, used, period, limit)
				}
			}
		}
		// While it is skipped, the probe has spent all of its share.
		if spent := uses[len(uses)-1].total; spent.Seconds() < b.share*skipped.Seconds() {
			t.Fatalf("seed %d: spent %v in %v of skipped runs", seed, spent, skipped)
		}
	}
}
