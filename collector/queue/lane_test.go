package queue

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// allLanes returns a queue in memory with all lanes. Each lane has 1,000 bytes reserved and can
// hold at most 13,000.
func allLanes(t *testing.T) *Queue {
	t.Helper()
	c, _ := config("", 16_000, 0)
	c.Lanes = nil
	return mustOpen(t, c)
}

// putTo puts batch n into l. size is its size in bytes, Overhead included.
func putTo(ctx context.Context, q *Queue, l Lane, n, size int) error {
	return q.Put(ctx, l, batch(n, size-Overhead))
}

// fill puts batches of 1,000 bytes into l and checks that they are accepted.
func fill(t *testing.T, q *Queue, l Lane, numbers ...int) {
	t.Helper()
	for _, n := range numbers {
		if err := putTo(t.Context(), q, l, n, 1000); err != nil {
			t.Fatal(err)
		}
	}
}

// peek returns the batches in a lane without removing them.
func peek(t *testing.T, q *Queue, l Lane) (got []int) {
	t.Helper()
	if !q.Holds(l) {
		return nil
	}
	f, err := q.Take(t.Context(), l, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range batchesOf(f) {
		got = append(got, number(b))
	}
	f.Return()
	return got
}

// While the upstream accepts data from a lane, Put waits for room, in order, and nothing is
// dropped.
func TestPutWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := allLanes(t)
		fill(t, q, Metrics, numbers(0, 13)...)
		var order []int
		for n := range 3 {
			go func() {
				fill(t, q, Metrics, 20+n)
				order = append(order, 20+n)
			}()
			synctest.Wait()
		}
		equal(t, "accepted without room", order, nil)
		flight := takeNow(t, q, 0)
		flight.Settle(0)
		synctest.Wait()
		equal(t, "first waiter", order, []int{20})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begun := time.Now()
		if err := putTo(ctx, q, Metrics, 30, 100); !errors.Is(err, ErrFull) || time.Since(begun) != 3*time.Second {
			t.Errorf("Put: error %v after %v, want %v after 3s", err, time.Since(begun), ErrFull)
		}
		for range 2 {
			takeNow(t, q, 0).Settle(0)
			synctest.Wait()
		}
		equal(t, "all waiters", order, []int{20, 21, 22})
		drain(t, q)
		if p := q.Account().Lanes[Metrics]; p.Full != 0 ||
			p.Accepted != points(numbers(0, 13))+points([]int{20, 21, 22}) {
			t.Errorf("account of the lane %+v: a batch was dropped, or a refused batch was counted", p)
		}
		mustClose(t, q)
	})
}

// A waiter that gives up lets those behind it proceed.
func TestWaiterLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := allLanes(t)
		fill(t, q, Metrics, numbers(0, 12)...)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() { _ = putTo(ctx, q, Metrics, 20, 2000) }()
		synctest.Wait()
		begun := time.Now()
		fill(t, q, Metrics, 21)
		if took := time.Since(begun); took != time.Second {
			t.Errorf("Put took %v, want 1s, the timeout of the waiter in front", took)
		}
		drain(t, q)
		mustClose(t, q)
	})
}

// A lane can use all of the limit except the shares reserved for other lanes, which these lanes can
// still use.
func TestLanesShareTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := allLanes(t)
		fill(t, q, Traces, numbers(0, 13)...)
		fill(t, q, Metrics, 20)
		fill(t, q, Logs, 21)
		fill(t, q, Own, 22)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := putTo(ctx, q, Metrics, 23, 1000); !errors.Is(err, ErrFull) {
			t.Errorf("Put of more than the reserved share: error %v, want %v", err, ErrFull)
		}
		var large *TooLargeError
		if err := putTo(t.Context(), q, Metrics, 24, 13_001); !errors.As(err, &large) || large.Limit != 13_000 {
			t.Errorf("Put of more than a lane can hold: error %v, want a TooLargeError with limit 13000", err)
		}
		if a := q.Account(); a.Usage != 16_000 || a.Lanes[Traces].Usage != 13_000 {
			t.Errorf("account %+v, want usage 16000, 13000 of it for traces", a)
		}
		if err := q.Close(t.Context()); err == nil {
			t.Error("Close reported no loss")
		}
	})
}

// If the upstreams of several lanes are unreachable, the oldest batch in any of these lanes that
// uses more than its share is dropped first. Other lanes lose nothing.
func TestOldestBatchOfUnreachableLanesIsDroppedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := allLanes(t)
		fill(t, q, Logs, 0) // accepted by its upstream
		fill(t, q, Traces, 1, 2, 3, 4, 5, 6)
		fill(t, q, Metrics, 7, 8, 9, 10, 11, 12, 13, 14)
		q.SetAway(Traces, true)
		q.SetAway(Metrics, true)
		fill(t, q, Metrics, 15)
		equal(t, "traces", peek(t, q, Traces), []int{2, 3, 4, 5, 6})
		fill(t, q, Metrics, 16, 17, 18, 19, 20)
		equal(t, "traces keep their share", peek(t, q, Traces), []int{6})
		equal(t, "metrics", peek(t, q, Metrics), numbers(8, 21))
		equal(t, "logs", peek(t, q, Logs), []int{0})
		if a := q.Account(); a.Lanes[Traces].Full != points(numbers(1, 6)) ||
			a.Lanes[Metrics].Full != points([]int{7}) ||
			a.Lanes[Logs].Full != 0 {
			t.Errorf("account %+v, want batches 1 to 5 of traces and 7 of metrics dropped", a)
		}
		// A lane whose upstream is reachable waits for room. It makes other lanes drop batches only
		// if its batch could never fit otherwise.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := putTo(ctx, q, Logs, 30, 500); !errors.Is(err, ErrFull) {
			t.Errorf("Put of more than the reserved share: error %v, want %v", err, ErrFull)
		}
		_ = q.Close(t.Context())
	})
}

// Waiters get room as soon as the upstream is unreachable.
func TestWaitersGetRoomOnceAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := allLanes(t)
		fill(t, q, Metrics, numbers(0, 13)...)
		done := make(chan struct{})
		go func() {
			fill(t, q, Metrics, 13)
			close(done)
		}()
		time.Sleep(time.Second)
		q.SetAway(Metrics, true)
		<-done
		equal(t, "metrics", peek(t, q, Metrics), numbers(1, 14))
		_ = q.Close(t.Context())
	})
}

// Put to Own never waits: the oldest batch in Own is dropped instead.
func TestOwnNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := allLanes(t)
		fill(t, q, Traces, numbers(0, 13)...)
		begun := time.Now()
		fill(t, q, Own, 20, 21, 22)
		if time.Since(begun) != 0 {
			t.Error("Put to Own waited")
		}
		equal(t, "own", peek(t, q, Own), []int{22})
		equal(t, "traces", peek(t, q, Traces), numbers(0, 13))
		_ = q.Close(t.Context())
	})
}

func TestLanesHaveNames(t *testing.T) {
	var names []string
	for _, l := range Lanes() {
		names = append(names, l.String())
	}
	if want := []string{"metrics", "traces", "logs", "own"}; !slices.Equal(names, want) {
		t.Errorf("got lanes %q, want %q", names, want)
	}
}

// With Fresh, batches put after an outage are taken before those put earlier.
func TestFreshGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := config(t.TempDir(), 1<<20, time.Second)
		c.Fresh = []Lane{Metrics}
		q := mustOpen(t, c)
		fill(t, q, Metrics, 0, 1)
		q.SetAway(Metrics, true)
		fill(t, q, Metrics, 2)
		q.SetAway(Metrics, false)
		fill(t, q, Metrics, 3, 4)
		f := takeNow(t, q, 1<<20)
		if f.Old() || f.Len() != 2 || number(batchesOf(f)[0]) != 3 {
			t.Errorf("took %d batches from %d, old %v; want 3 and 4", f.Len(), number(batchesOf(f)[0]), f.Old())
		}
		f.Return()
		equal(t, "fresh again", peek(t, q, Metrics), []int{3, 4})
		f = takeNow(t, q, 1<<20)
		f.Settle(0)
		f.Settle(1)
		f = takeNow(t, q, 1)
		if !f.Old() || number(batchesOf(f)[0]) != 0 {
			t.Errorf("then took batch %d, old %v; want 0, old", number(batchesOf(f)[0]), f.Old())
		}
		f.Return()
		equal(t, "backlog", peek(t, q, Metrics), []int{0, 1, 2})
		mustClose(t, q)
		q = mustOpen(t, c)
		fill(t, q, Metrics, 5)
		equal(t, "fresh after a restart", peek(t, q, Metrics), []int{5})
		mustClose(t, q)
	})
}

// With Sync 0, nothing is acknowledged before it is synced, however long the disk stalls, and
// refused batches are not sent.
func TestNothingUnsyncedIsAccepted(t *testing.T) {
	for _, fault := range []string{"append stalls", "sync stalls", "sync fails", "full"} {
		t.Run(fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFailing(t, 0)
				release := func() {}
				switch fault {
				case "append stalls":
					release = f.disk.hold("append")
				case "sync stalls":
					release = f.disk.hold("sync")
				case "sync fails":
					f.disk.fail(syscall.EIO, "sync")
				case "full":
					f.disk.fail(syscall.ENOSPC, "append")
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				if err := f.Put(ctx, Metrics, batch(0, 100)); !errors.Is(err, ErrUnsynced) {
					t.Errorf("Put: error %v, want %v", err, ErrUnsynced)
				}
				if p := f.Account().Lanes[Metrics]; p.Accepted != 0 || p.Queued != 0 || f.Account().Usage != 0 {
					t.Errorf("the refused batch is counted: %+v", f.Account())
				}
				accepted := make(chan time.Time)
				go func() {
					put(t, f.Queue, batch(1, 100))
					accepted <- time.Now()
				}()
				begun := time.Now()
				if err := f.Put(t.Context(), Own, batch(2, 100)); err != nil || time.Since(begun) != 0 {
					t.Errorf("Put to Own: error %v after %v, want nil immediately", err, time.Since(begun))
				}
				time.Sleep(4 * time.Second)
				f.checkDurable(false)
				healed := time.Now()
				f.disk.fail(nil, "sync", "append")
				release()
				if at := <-accepted; at.Before(healed) {
					t.Errorf("accepted %v before the disk recovered", healed.Sub(at))
				}
				time.Sleep(recoveryTime)
				f.checkDurable(true)
				equal(t, "metrics", peek(t, f.Queue, Metrics), []int{1})
				equal(t, "own", peek(t, f.Queue, Own), []int{2})
				mustClose(t, f.Queue)
			})
		})
	}
}

// A directory that is deleted is created again at the next sync, and every queued batch is written
// to it.
func TestDirectoryDeleted(t *testing.T) {
	for name, remove := range map[string]func(dir string) error{
		"directory": removeAll,
		"files only": func(dir string) error {
			files, err := filepath.Glob(filepath.Join(dir, "*"))
			for _, f := range files {
				err = errors.Join(err, os.Remove(f))
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, log := config(filepath.Join(t.TempDir(), "q"), 1<<20, 0)
				c.files = realSync{directory(c.Dir)}
				q := mustOpen(t, c)
				f := &failing{Queue: q, t: t, c: c, log: log}
				for n := range 200 { // more than stays in memory
					put(t, q, batch(n, 1000))
				}
				if err := remove(c.Dir); err != nil {
					t.Fatal(err)
				}
				put(t, q, batch(200, 1000)) // accepted only once it is in the new directory
				got, _ := f.afterKill()
				if !slices.Contains(got, 200) {
					t.Errorf("batch 200 was accepted but is not in the directory: %v\n%s", got, log)
				}
				time.Sleep(recoveryTime)
				f.checkDurable(true)
				got, _ = f.afterKill()
				equal(t, "on disk again", got, numbers(0, 201))
				other := c
				if _, err := Open(other); !errors.Is(err, errInUse) {
					t.Errorf("second Open of the new directory: error %v, want %v", err, errInUse)
				}
				equal(t, "remaining", drain(t, q), numbers(0, 201))
				mustClose(t, q)
			})
		})
	}
}

// A deleted directory is noticed even if nothing is put.
func TestDirectoryDeletedBetweenPuts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, log := config(filepath.Join(t.TempDir(), "q"), 1<<20, time.Second)
		c.files = realSync{directory(c.Dir)}
		f := &failing{Queue: mustOpen(t, c), t: t, c: c, log: log}
		f.putTakes(0, numbers(0, 10)...)
		time.Sleep(recoveryTime)
		if err := removeAll(c.Dir); err != nil {
			t.Fatal(err)
		}
		f.awaitRecovery(numbers(0, 10)...)
		mustClose(t, f.Queue)
	})
}

// A directory that is deleted while the queue has no segment is created again for the first one.
func TestDirectoryDeletedBeforeTheFirstSegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, log := config(filepath.Join(t.TempDir(), "q"), 1<<20, time.Second)
		c.files = realSync{directory(c.Dir)}
		f := &failing{Queue: mustOpen(t, c), t: t, c: c, log: log}
		if err := removeAll(c.Dir); err != nil {
			t.Fatal(err)
		}
		f.putTakes(0, numbers(0, 10)...)
		f.awaitRecovery(numbers(0, 10)...)
		mustClose(t, f.Queue)
	})
}

// realSync is a directory in which syncing a file only checks whether the file was deleted.
type realSync struct{ directory }

type realSyncFile struct{ *diskFile }

func (r realSync) Open(name string) (file, error) {
	f, err := r.directory.Open(name)
	if err != nil {
		return nil, err
	}
	return realSyncFile{f.(*diskFile)}, nil
}

func (f realSyncFile) Sync() error {
	if f.Deleted() {
		return errDeleted
	}
	return nil
}
