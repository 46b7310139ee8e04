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
	f.c.files, f.c.slowAfter = f.disk, slowAfter
	f.Queue = mustOpen(t, f.c)
	return f
}

// checkDurable checks whether the queue reports its batches as durable.
func (f *failing) checkDurable(want bool) {
	f.t.Helper()
	synctest.Wait()
	if a := f.Account(); a.Durable != want || !a.OnDisk {
		f.t.Fatalf("account %+v, want OnDisk, and Durable %v\n%s", a, want, f.log)
	}
}

// putTakes puts batches and checks how long that takes.
func (f *failing) putTakes(want time.Duration, numbers ...int) {
	f.t.Helper()
	begun := time.Now()
	for _, n := range numbers {
		put(f.t, f.Queue, batch(n, 1000))
	}
	if took := time.Since(begun); took != want {
		f.t.Fatalf("putting batches %v took %v, want %v", numbers, took, want)
	}
}

// checkLog checks how often the log reports that the disk is failing and that it has recovered.
func (f *failing) checkLog(failures, recoveries int) {
	f.t.Helper()
	text := f.log.String()
	if strings.Count(text, "storage is failing") != failures || strings.Count(text, "storage recovered") != recoveries {
		f.t.Fatalf("want %d failures and %d recoveries in the log:\n%s", failures, recoveries, text)
	}
}

// afterKill returns the batches, and their account, that a restart after a kill would find.
func (f *failing) afterKill() (numbers []int, p Points) {
	f.t.Helper()
	synctest.Wait() // a copy made during a write may contain half of it
	c, log := config(snapshot(f.t, f.c.Dir), f.c.Limit, noSync)
	q := mustOpen(f.t, c)
	p = total(q.Account())
	numbers = drain(f.t, q)
	mustClose(f.t, q)
	if p.Damaged > 0 {
		f.t.Fatalf("%d points are damaged after a kill:\n%s", p.Damaged, log)
	}
	return numbers, p
}

// awaitRecovery waits until the queue has recovered from faults that no longer occur, and checks
// that exactly the wanted batches are on disk.
func (f *failing) awaitRecovery(want ...int) {
	f.t.Helper()
	time.Sleep(recoveryTime)
	f.checkDurable(true)
	got, _ := f.afterKill()
	equal(f.t, "on disk", got, want)
}

func TestDiskFails(t *testing.T) {
	for name, test := range map[string]struct {
		err        error
		operations []string
	}{
		"full":                      {syscall.ENOSPC, []string{"append"}},
		"full, no new file":         {syscall.ENOSPC, []string{"append", "open"}},
		"read-only":                 {syscall.EROFS, []string{"append", "open", "mark", "truncate", "remove"}},
		"I/O errors":                {syscall.EIO, []string{"append", "mark", "truncate", "sync", "remove"}},
		"I/O errors in sync only":   {syscall.EIO, []string{"sync"}},
		"I/O errors, not truncated": {syscall.EIO, []string{"append", "truncate"}},
	} {
		// with Sync 0, Put would wait; see TestNothingUnsyncedIsAccepted
		for _, sync := range []time.Duration{time.Millisecond, time.Second} {
			t.Run(fmt.Sprint(name, " ", sync), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFailing(t, sync)
					f.putTakes(0, 0, 1, 2)
					f.checkDurable(true)
					f.disk.fail(test.err, test.operations...)
					f.putTakes(0, 3, 4, 5)
					time.Sleep(2 * time.Second)
					f.checkDurable(false)
					f.putTakes(0, 6, 7)
					flight := takeNow(t, f.Queue, 0) // settled while the disk fails
					flight.Settle(0)
					time.Sleep(time.Minute)
					f.checkDurable(false)
					f.checkLog(1, 0)
					f.disk.fail(nil, test.operations...)
					f.awaitRecovery(numbers(1, 8)...)
					f.checkLog(1, 1)
					f.putTakes(0, 8)
					equal(t, "remaining", drain(t, f.Queue), numbers(1, 9))
					mustClose(t, f.Queue)
					if left := segmentsIn(t, f.c.Dir); len(left) > 0 {
						t.Errorf("segments left behind: %v", left)
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
			f.putTakes(0, n)
			time.Sleep(time.Second)
			equal(t, "flight", drain(t, f.Queue), []int{n})
		}
		f.checkDurable(false)
		f.checkLog(1, 0)
		mustClose(t, f.Queue)
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
				f.putTakes(slowAfter, 0)
				f.checkDurable(false)
				f.putTakes(0, 1, 2)
				flight := takeNow(t, f.Queue, 0)
				flight.Settle(0)
				time.Sleep(time.Minute)
				f.checkLog(1, 0)
				release()
				f.awaitRecovery(1, 2)
				f.checkLog(1, 1)
				equal(t, "remaining", drain(t, f.Queue), []int{1, 2})
				mustClose(t, f.Queue)
			})
		})
	}
}

// A write of a mark that hangs delays the flight by one second at most.
func TestHangingMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailing(t, time.Second)
		f.putTakes(0, 0, 1)
		release := f.disk.hold("mark")
		begun := time.Now()
		flight := takeNow(t, f.Queue, 0)
		if took := time.Since(begun); took != slowAfter {
			t.Errorf("Take took %v, want %v", took, slowAfter)
		}
		release()
		time.Sleep(recoveryTime)
		f.checkDurable(true)
		if got, p := f.afterKill(); len(got) != 2 || p.Resent != points([]int{0}) {
			t.Errorf("after a kill: batches %v, account %+v; want 2 batches, the first one resent", got, p)
		}
		flight.Return()
		equal(t, "remaining", drain(t, f.Queue), []int{0, 1})
		mustClose(t, f.Queue)
	})
}

// Close waits for a hung disk only until its context is done, and reports what is lost.
func TestCloseOfHangingDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailing(t, time.Second)
		release := f.disk.hold("append")
		f.putTakes(slowAfter, 0)
		begun := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), slowAfter)
		defer cancel()
		if err := f.Close(ctx); err == nil ||
			!strings.Contains(err.Error(), "lost 1 item(s) that were in memory only") {
			t.Errorf("Close: error %v, want the loss of 1 item", err)
		}
		if took := time.Since(begun); took > slowAfter {
			t.Errorf("Close took %v, want at most %v", took, slowAfter)
		}
		release()
	})
}

// A disk that is unusable at startup is used once it recovers. The batches on it precede those in
// memory.
func TestStartOnFailingDisk(t *testing.T) {
	for _, err := range []error{syscall.EROFS, syscall.ENOSPC, syscall.EIO} {
		synctest.Test(t, func(t *testing.T) {
			f := newFailing(t, time.Second)
			f.putTakes(0, 0, 1)
			mustClose(t, f.Queue)
			f.disk.fail(err, "lock")
			f.Queue = mustOpen(t, f.c)
			f.putTakes(0, 2, 3)
			flight := takeNow(t, f.Queue, 0)
			if n := number(batchesOf(flight)[0]); n != 2 {
				t.Fatalf("took batch %d first, want 2", n)
			}
			f.checkDurable(false)
			f.disk.fail(nil, "lock")
			time.Sleep(recoveryTime)
			f.checkDurable(true)
			f.checkLog(1, 1)
			if p := total(f.Account()); p.Recovered != points([]int{0, 1}) || p.Resent != 0 {
				t.Errorf("account %+v, want the points of batches 0 and 1 recovered, and none resent", p)
			}
			flight.Settle(0)
			f.putTakes(0, 4)
			got, _ := f.afterKill()
			equal(t, "on disk", got, []int{0, 1, 3, 4})
			equal(t, "remaining", drain(t, f.Queue), []int{0, 1, 3, 4})
			mustClose(t, f.Queue)
		})
	}
}

// A batch that cannot be read is dropped, but the next start recovers it.
func TestUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailing(t, time.Second)
		f.putTakes(0, numbers(0, 200)...)
		f.disk.fail(syscall.EIO, "read")
		got := drain(t, f.Queue)
		if len(got) == 0 || len(got) == 200 {
			t.Fatalf("%d batches were readable, want only those kept in memory", len(got))
		}
		p := total(f.Account())
		if p.Damaged != points(without(numbers(0, 200), got...)) || p.Queued != 0 || f.Account().Usage != 0 {
			t.Errorf("account %+v, want all other points damaged and none queued", p)
		}
		mustClose(t, f.Queue)
		f.disk.fail(nil, "read")
		f.Queue = mustOpen(t, f.c)
		equal(t, "remaining", drain(t, f.Queue), without(numbers(0, 200), got...))
		mustClose(t, f.Queue)
	})
}

// Take can be canceled while the disk hangs. The flight returns to the queue when the disk
// recovers.
func TestTakeOfHangingDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailing(t, time.Second)
		f.putTakes(0, numbers(0, 200)...)
		mustClose(t, f.Queue)
		f.Queue = mustOpen(t, f.c)
		release := f.disk.hold("read")
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if _, err := f.Take(ctx, Metrics, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Take: error %v, want %v", err, context.DeadlineExceeded)
		}
		f.putTakes(0, 200)
		release()
		synctest.Wait() // the flight has been returned
		equal(t, "remaining", drain(t, f.Queue), numbers(0, 201))
		mustClose(t, f.Queue)
	})
}

// Even if the disk is slow, TakeUntil first returns what is available and then ErrNothing.
func TestTakeUntilThereIsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailing(t, time.Second)
		f.putTakes(0, numbers(0, 3)...)
		mustClose(t, f.Queue)
		f.Queue = mustOpen(t, f.c)
		release := f.disk.hold("read")
		time.AfterFunc(time.Second, release)
		stop := make(chan struct{})
		close(stop)
		flight, err := f.TakeUntil(t.Context(), stop, Metrics, 1<<20)
		if err != nil || flight.Len() != 3 {
			t.Fatalf("TakeUntil: %v, error %v; want three batches", flight, err)
		}
		if _, err := f.TakeUntil(t.Context(), stop, Metrics, 1<<20); !errors.Is(err, ErrNothing) {
			t.Errorf("TakeUntil: error %v, want %v", err, ErrNothing)
		}
		flight.Return()
		mustClose(t, f.Queue)
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
					f.settleSome(random, settled)
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
					t.Fatalf("seed %d: account %+v, want nothing damaged\n%s", seed, p, f.log)
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
			f.awaitRecovery(want...)
			equal(t, "remaining", drain(t, f.Queue), want)
			mustClose(t, f.Queue)
			if left := segmentsIn(t, f.c.Dir); len(left) > 0 {
				t.Errorf("seed %d: segments left behind: %v", seed, left)
			}
		})
	}
}

// settleSome takes a flight, settles some of its batches at random, and returns the rest.
func (f *failing) settleSome(random *rand.Rand, settled map[int]bool) {
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
