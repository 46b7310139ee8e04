package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/internal/logtest"
)

// failing is a queue on a directory that can be made to fail.
type failing struct {
	*Queue

	t    *testing.T
	disk *faultyFiles
	c    Config
	log  *logtest.Buffer
}

func newFailing(t *testing.T, sync time.Duration) *failing {
	t.Helper()
	c, log := config(t.TempDir(), 1<<20, sync)
	f := &failing{t: t, disk: faulty(c.Dir), c: c, log: log}
	f.c.files, f.c.patience = f.disk, patience
	f.Queue = mustOpen(t, f.c)
	return f
}

// durable checks whether the queue reports that its batches are safe on disk.
func (f *failing) durable(want bool) {
	f.t.Helper()
	synctest.Wait()
	if a := f.Account(); a.Durable != want || !a.OnDisk {
		f.t.Fatalf("durable is %v\n%s", a.Durable, f.log)
	}
}

// takes puts batches and checks how long that takes.
func (f *failing) takes(want time.Duration, numbers ...int) {
	f.t.Helper()
	begun := time.Now()
	for _, n := range numbers {
		put(f.t, f.Queue, batch(n, 1000))
	}
	if took := time.Since(begun); took != want {
		f.t.Fatalf("took %v, want %v", took, want)
	}
}

// lines checks how often the log reports that the disk fails and that it has recovered.
func (f *failing) lines(fails, back int) {
	f.t.Helper()
	text := f.log.String()
	if strings.Count(text, "storage is failing") != fails || strings.Count(text, "storage recovered") != back {
		f.t.Fatalf("want %d failures and %d returns:\n%s", fails, back, text)
	}
}

// killed returns the contents found by a restart after a kill.
func (f *failing) killed() (numbers []int, p Points) {
	f.t.Helper()
	synctest.Wait() // a copy made during a write may contain half of it
	c, log := config(snapshot(f.t, f.c.Dir), f.c.Limit, noSync)
	q := mustOpen(f.t, c)
	p = total(q.Account())
	numbers = drain(f.t, q)
	closed(f.t, q)
	if p.Damaged > 0 {
		f.t.Fatalf("damaged: %s", log)
	}
	return numbers, p
}

// back waits until the disk, which no longer fails, is in use again, and checks that it holds
// exactly the wanted batches.
func (f *failing) back(want ...int) {
	f.t.Helper()
	time.Sleep(settle)
	f.durable(true)
	got, _ := f.killed()
	equal(f.t, "on disk", got, want)
}

func TestDiskFails(t *testing.T) {
	for name, test := range map[string]struct {
		err        error
		operations []string
	}{
		"full":                    {syscall.ENOSPC, []string{"append"}},
		"full, no new file":       {syscall.ENOSPC, []string{"append", "open"}},
		"read-only":               {syscall.EROFS, []string{"append", "open", "mark", "truncate", "remove"}},
		"broken":                  {syscall.EIO, []string{"append", "mark", "truncate", "sync", "remove"}},
		"broken but for appends":  {syscall.EIO, []string{"sync"}},
		"broken, cannot truncate": {syscall.EIO, []string{"append", "truncate"}},
	} {
		// with Sync 0, Put would wait; see TestNothingUnsyncedIsAccepted
		for _, sync := range []time.Duration{time.Millisecond, time.Second} {
			t.Run(fmt.Sprint(name, " ", sync), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFailing(t, sync)
					f.takes(0, 0, 1, 2)
					f.durable(true)
					f.disk.fail(test.err, test.operations...)
					f.takes(0, 3, 4, 5)
					time.Sleep(2 * time.Second)
					f.durable(false)
					f.takes(0, 6, 7)
					flight := takeNow(t, f.Queue, 0) // settled while the disk fails
					flight.Settle(0)
					time.Sleep(time.Minute)
					f.durable(false)
					f.lines(1, 0)
					f.disk.fail(nil, test.operations...)
					f.back(numbers(1, 8)...)
					f.lines(1, 1)
					f.takes(0, 8)
					equal(t, "rest", drain(t, f.Queue), numbers(1, 9))
					closed(t, f.Queue)
					if left := segmentsIn(t, f.c.Dir); len(left) > 0 {
						t.Errorf("left: %v", left)
					}
				})
			})
		}
	}
}

// A disk that accepts small writes but not large ones does not fail and recover with each batch.
func TestDiskAlmostFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailing(t, time.Second)
		f.disk.room = 900 // less than a batch
		for n := range 60 {
			f.takes(0, n)
			time.Sleep(time.Second)
			equal(t, "flight", drain(t, f.Queue), []int{n})
		}
		f.durable(false)
		f.lines(1, 0)
		closed(t, f.Queue)
	})
}

func TestDiskHangs(t *testing.T) {
	for _, test := range []struct {
		operation string
		sync      time.Duration
	}{{"append", time.Millisecond}, {"append", time.Second}, {"open", time.Second}} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFailing(t, test.sync)
				release := f.disk.hold(test.operation)
				f.takes(patience, 0)
				f.durable(false)
				f.takes(0, 1, 2)
				flight := takeNow(t, f.Queue, 0)
				flight.Settle(0)
				time.Sleep(time.Minute)
				f.lines(1, 0)
				release()
				f.back(1, 2)
				f.lines(1, 1)
				equal(t, "rest", drain(t, f.Queue), []int{1, 2})
				closed(t, f.Queue)
			})
		})
	}
}

// A mark that hangs delays the flight by one second at most.
func TestHangingMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailing(t, time.Second)
		f.takes(0, 0, 1)
		release := f.disk.hold("mark")
		begun := time.Now()
		flight := takeNow(t, f.Queue, 0)
		if took := time.Since(begun); took != patience {
			t.Errorf("took %v", took)
		}
		release()
		time.Sleep(settle)
		f.durable(true)
		if got, p := f.killed(); len(got) != 2 || p.Resent != points([]int{0}) {
			t.Errorf("%v, %+v", got, p)
		}
		flight.Return()
		equal(t, "rest", drain(t, f.Queue), []int{0, 1})
		closed(t, f.Queue)
	})
}

// Close does not wait for a disk that hangs, and reports what is lost.
func TestCloseOfHangingDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailing(t, time.Second)
		release := f.disk.hold("append")
		f.takes(patience, 0)
		begun := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := f.Close(ctx); err == nil ||
			!strings.Contains(err.Error(), "lost 1 item(s) that were in memory only") {
			t.Errorf("error %v", err)
		}
		if took := time.Since(begun); took > patience {
			t.Errorf("took %v", took)
		}
		release()
	})
}

// A disk that cannot be used at the start is used later, and its batches come first.
func TestStartOnFailingDisk(t *testing.T) {
	for _, err := range []error{syscall.EROFS, syscall.ENOSPC, syscall.EIO} {
		synctest.Test(t, func(t *testing.T) {
			f := newFailing(t, time.Second)
			f.takes(0, 0, 1)
			closed(t, f.Queue)
			f.disk.fail(err, "lock")
			f.Queue = mustOpen(t, f.c)
			f.takes(0, 2, 3)
			flight := takeNow(t, f.Queue, 0)
			if n := number(batchesOf(flight)[0]); n != 2 {
				t.Fatalf("batch %d", n)
			}
			f.durable(false)
			f.disk.fail(nil, "lock")
			time.Sleep(settle)
			f.durable(true)
			f.lines(1, 1)
			if p := total(f.Account()); p.Recovered != points([]int{0, 1}) || p.Resent != 0 {
				t.Errorf("%+v", p)
			}
			flight.Settle(0)
			f.takes(0, 4)
			got, _ := f.killed()
			equal(t, "on disk", got, []int{0, 1, 3, 4})
			equal(t, "rest", drain(t, f.Queue), []int{0, 1, 3, 4})
			closed(t, f.Queue)
		})
	}
}

// A batch that cannot be read is dropped, but the next start recovers it.
func TestUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailing(t, time.Second)
		f.takes(0, numbers(0, 200)...)
		f.disk.fail(syscall.EIO, "read")
		got := drain(t, f.Queue)
		if len(got) == 0 || len(got) == 200 {
			t.Fatalf("%d batches", len(got))
		}
		p := total(f.Account())
		if p.Damaged != points(others(numbers(0, 200), got...)) || p.Queued != 0 || f.Account().Usage != 0 {
			t.Errorf("%+v", p)
		}
		closed(t, f.Queue)
		f.disk.fail(nil, "read")
		f.Queue = mustOpen(t, f.c)
		equal(t, "rest", drain(t, f.Queue), others(numbers(0, 200), got...))
		closed(t, f.Queue)
	})
}

// Take can be canceled while the disk hangs. The flight returns to the queue when the disk
// recovers.
func TestTakeOfHangingDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailing(t, time.Second)
		f.takes(0, numbers(0, 200)...)
		closed(t, f.Queue)
		f.Queue = mustOpen(t, f.c)
		release := f.disk.hold("read")
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if _, err := f.Take(ctx, Metrics, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		f.takes(0, 200)
		release()
		synctest.Wait() // the flight has been returned
		equal(t, "rest", drain(t, f.Queue), numbers(0, 201))
		closed(t, f.Queue)
	})
}

// Even if the disk is slow, TakeUntil first returns what is available and then ErrNothing.
func TestTakeUntilThereIsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailing(t, time.Second)
		f.takes(0, numbers(0, 3)...)
		closed(t, f.Queue)
		f.Queue = mustOpen(t, f.c)
		release := f.disk.hold("read")
		time.AfterFunc(time.Second, release)
		enough := make(chan struct{})
		close(enough)
		flight, err := f.TakeUntil(t.Context(), enough, Metrics, 1<<20)
		if err != nil || flight.Len() != 3 {
			t.Fatalf("took %v, %v; want three batches", flight, err)
		}
		if _, err := f.TakeUntil(t.Context(), enough, Metrics, 1<<20); !errors.Is(err, ErrNothing) {
			t.Errorf("error %v, want ErrNothing", err)
		}
		flight.Return()
		closed(t, f.Queue)
	})
}

// Whatever fails and however long it lasts, every batch that was put but neither settled nor
// dropped is on disk in the end, exactly once and in order.
func TestRandomFaults(t *testing.T) {
	operations := []string{"open", "append", "mark", "truncate", "sync", "remove"}
	errs := []error{syscall.ENOSPC, syscall.EIO, syscall.EROFS}
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 3))
			f := newFailing(t, []time.Duration{time.Millisecond, time.Second}[seed%2])
			f.SetAway(Metrics, true)
			settled := make(map[int]bool)
			n := 0
			for range 300 {
				switch random.IntN(6) {
				case 0, 1, 2:
					put(t, f.Queue, batch(n, 20_000))
					n++
				case 3:
					f.someFlight(random, settled)
				case 4:
					time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
				default:
					operation := operations[random.IntN(len(operations))]
					if random.IntN(2) == 0 {
						f.disk.fail(nil, operations...)
					} else {
						f.disk.fail(errs[random.IntN(len(errs))], operation)
					}
				}
				if p := total(f.Account()); p.Damaged > 0 {
					t.Fatalf("seed %d: %+v\n%s", seed, p, f.log)
				}
			}
			f.disk.fail(nil, operations...)
			var want []int
			full := int64(0)
			for i := range n {
				if !settled[i] {
					want = append(want, i)
				}
			}
			for full < total(f.Account()).Full { // the oldest was dropped
				full += points(want[:1])
				want = want[1:]
			}
			f.back(want...)
			equal(t, "rest", drain(t, f.Queue), want)
			closed(t, f.Queue)
			if left := segmentsIn(t, f.c.Dir); len(left) > 0 {
				t.Errorf("seed %d: left: %v", seed, left)
			}
		})
	}
}

// someFlight takes a flight, settles some of it and returns the rest.
func (f *failing) someFlight(random *rand.Rand, settled map[int]bool) {
	flight := takeNow(f.t, f.Queue, int64(random.IntN(100_000)))
	if flight == nil {
		return
	}
	for i, b := range batchesOf(flight) {
		if random.IntN(2) == 0 {
			flight.Settle(i)
			settled[number(b)] = true
		}
	}
	flight.Return()
}
