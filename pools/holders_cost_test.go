package pools

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/poolgauge/poolgauge/internal/pooltest"
	"github.com/poolgauge/poolgauge/internal/thread"
)

// BenchmarkHoldersWhileFull reports how much recording holders adds to the CPU time of a pool that
// is always full, in percent: the median over pairs of rounds, and its 95% confidence interval. Run
// it with -benchtime=1x.
func BenchmarkHoldersWhileFull(b *testing.B) {
	type key struct{}
	without := context.WithValue(b.Context(), key{}, 1)
	with := pooltest.InTrace(b.Context(), 1)
	b.Run("resources", func(b *testing.B) {
		p, err := NewResources(
			b.Name(), 2, func(context.Context) (int, error) { return 0, nil }, ResourcesConfig[int]{},
		)
		if err != nil {
			b.Fatal(err)
		}
		defer p.Close()
		comparePairs(b, func(holders bool, n int) {
			ctx := without
			if holders {
				ctx = with
			}
			p.unmeasured = !holders
			parallel(64, n, func() {
				l, err := p.Acquire(ctx)
				if err != nil {
					b.Error(err)
					return
				}
				runtime.Gosched() // so that other goroutines find the pool full
				l.Release()
			})
		})
	})
	b.Run("workers", func(b *testing.B) {
		p, err := NewWorkers(b.Name(), 2, WorkersConfig{Queue: 64})
		if err != nil {
			b.Fatal(err)
		}
		defer p.Close()
		task := func(context.Context) error { runtime.Gosched(); return nil }
		comparePairs(b, func(holders bool, n int) {
			ctx := without
			if holders {
				ctx = with
			}
			parallel(64, n, func() {
				if err := p.Submit(ctx, task); err != nil {
					b.Error(err)
				}
			})
		})
	})
}

// comparePairs runs many pairs of short rounds of n operations, and reports the ratio of their CPU
// times. Each pair consists of a round with holders and one without, in alternating order.
func comparePairs(b *testing.B, run func(holders bool, n int)) {
	const pairs, n = 1000, 10_000
	run(true, n)
	ratios := make([]float64, pairs)
	for i := range ratios {
		var took [2]time.Duration
		for k := range 2 {
			holders := (i+k)%2 == 0
			start := thread.ProcessCPU()
			run(holders, n)
			took[(i+k)%2] = thread.ProcessCPU() - start
		}
		ratios[i] = 100 * (float64(took[0])/float64(took[1]) - 1)
	}
	slices.Sort(ratios)
	// 1.96 standard deviations of a binomial distribution, as in the sign test
	const ranks = 31
	b.ReportMetric(ratios[pairs/2], "%")
	b.ReportMetric(ratios[pairs/2-ranks], "%-low")
	b.ReportMetric(ratios[pairs/2+ranks], "%-high")
	b.ReportMetric(0, "ns/op")
}

// parallel calls do n times, spread over the given number of goroutines.
func parallel(goroutines, n int, do func()) {
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range n / goroutines {
				do()
			}
		})
	}
	wg.Wait()
}
