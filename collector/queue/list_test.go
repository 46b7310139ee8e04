package queue

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// parkedIn returns how many metrics batches have no entry in memory, and how many have one.
func parkedIn(q *Queue) (without, with int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := &q.lanes[Metrics-1].waiting
	for _, b := range l.parked {
		without += b.records.n
	}
	l.each(false, func(*entry) { with++ })
	return without, with
}

// Of many small batches on disk, only a few have entries in memory, and all are taken in the order
// in which they were put. This also holds after a restart, when some are dropped for lack of room,
// and when the directory is deleted.
func TestManySmallBatches(t *testing.T) {
	const n = 5000
	for name, event := range map[string]func(t *testing.T, f *failing) (first int){
		"nothing": func(*testing.T, *failing) int { return 0 },
		"restart": func(t *testing.T, f *failing) int {
			mustClose(t, f.Queue)
			f.Queue = mustOpen(t, f.c)
			if p := f.Account().Lanes[Metrics]; p.Recovered != points(numbers(0, n)) || p.Queued != p.Recovered {
				t.Errorf("account of the lane %+v, want every point recovered and queued", p)
			}
			return 0
		},
		"full": func(t *testing.T, f *failing) int {
			f.SetAway(Metrics, true)
			size := int(batchSize)
			free := int(f.c.Limit) - n*size
			put(t, f.Queue, batch(n, free+1000*size-Overhead))
			if p := f.Account().Lanes[Metrics]; p.Full != points(numbers(0, 1000)) {
				t.Errorf("account of the lane %+v, want the first 1000 batches dropped", p)
			}
			return 1000
		},
		"deleted": func(t *testing.T, f *failing) int {
			files, err := filepath.Glob(filepath.Join(f.c.Dir, "*"))
			for _, file := range files {
				err = errors.Join(err, os.Remove(file))
			}
			if err != nil {
				t.Fatal(err)
			}
			put(t, f.Queue, batch(n, 60))
			time.Sleep(recoveryTime)
			f.checkDurable(true)
			got, _ := f.afterKill()
			equal(t, "on disk again", got, numbers(0, n+1))
			return 0
		},
		"returns": func(t *testing.T, f *failing) int {
			for _, size := range []int64{100, 100_000, 1, 30_000} {
				flight := takeNow(t, f.Queue, size)
				flight.Return()
			}
			return 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, log := config(t.TempDir(), 8<<20, time.Second)
				c.files = realSync{directory(c.Dir)}
				f := &failing{t: t, c: c, log: log, Queue: mustOpen(t, c)}
				for i := range n {
					put(t, f.Queue, batch(i, 60))
					if i%1000 == 0 {
						time.Sleep(2 * time.Second) // includes a sync
					}
				}
				time.Sleep(2 * time.Second)
				if without, with := parkedIn(f.Queue); with > 2*maxNewest || without+with != n {
					t.Errorf(
						"%d batches with an entry in memory, want at most %d; %d without",
						with,
						2*maxNewest,
						without,
					)
				}
				first := event(t, f)
				got := drain(t, f.Queue)
				if len(got) > 0 && got[len(got)-1] == n {
					got = got[:len(got)-1]
				}
				equal(t, "batches", got, numbers(first, n))
				if a := f.Account(); a.Usage != 0 || a.Queued() != 0 {
					t.Errorf("account %+v, want it empty", a)
				}
				mustClose(t, f.Queue)
				if left := segmentsIn(t, c.Dir); len(left) > 0 {
					t.Errorf("segments left behind: %v", left)
				}
			})
		})
	}
}

const batchSize = int64(60 + Overhead)
