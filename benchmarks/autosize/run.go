package autosize

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// score is the result of a run.
type score struct {
	requests, good   int64 // all requests, and those served within the objective
	moves, throttled int64 // limit changes, and those made while a quota throttled the program
}

func (s score) share() float64 { return float64(s.good) / float64(s.requests) }

// run applies workload w to a new limiter. It must be called in a testing/synctest bubble. Equal
// seeds produce equal requests.
func run(w workload, contender func(*model) limiter, seed uint64) score {
	m := newModel(w)
	ctx, cancel := context.WithCancel(context.Background())
	l := contender(m)
	var all sync.WaitGroup
	all.Go(func() { m.limitCPUs(ctx) })
	arrivals := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a seeded load
	var good atomic.Int64
	var requests int64
	for {
		time.Sleep(time.Duration(arrivals.ExpFloat64() / w.rate(m.at()) * float64(time.Second)))
		if m.at() >= length {
			break
		}
		requests++
		r := &request{m, rand.New(rand.NewPCG(seed, uint64(requests)))} //nolint:gosec // a seeded load
		all.Go(func() {
			began := time.Now()
			patient, cancel := context.WithTimeout(ctx, w.objective)
			leave := l.enter(patient)
			cancel()
			if leave == nil {
				return
			}
			w.task(r)
			leave()
			if time.Since(began) <= w.objective {
				good.Add(1)
			}
		})
	}
	cancel()
	all.Wait()
	s := score{requests: requests, good: good.Load()}
	if l.moves != nil {
		s.moves, s.throttled = l.moves()
	}
	l.close()
	return s
}
