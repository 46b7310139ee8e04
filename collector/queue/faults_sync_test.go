package queue

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A segment that becomes unusable while data is appended to it loses nothing.
func TestSyncFailsDuringAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailing(t, time.Second)
		f.takes(0, 0)
		equal(t, "flight", drain(t, f.Queue), []int{0}) // nothing in the segment is needed now
		time.Sleep(600 * time.Millisecond)
		release := f.disk.hold("append")
		f.disk.fail(syscall.EIO, "sync")
		result := make(chan error, 1)
		go func() { result <- f.Put(context.Background(), Metrics, batch(1, 1000)) }()
		time.Sleep(600 * time.Millisecond)
		f.durable(false)
		release()
		f.disk.fail(nil, "sync")
		if err := <-result; err != nil {
			t.Error(err)
		}
		f.back(1)
		equal(t, "rest", drain(t, f.Queue), []int{1})
		closed(t, f.Queue)
	})
}

// A sync that began before the disk failed does not prove that the disk has recovered.
func TestDiskFailsDuringSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailing(t, time.Second)
		release := f.disk.hold("sync")
		f.takes(0, 0)
		time.Sleep(time.Second + patience/10)
		f.disk.fail(syscall.ENOSPC, "append")
		f.takes(0, 1)
		f.durable(false)
		release()
		f.durable(false)
		time.Sleep(time.Minute)
		f.durable(false)
		f.lines(1, 0)
		f.disk.fail(nil, "append")
		f.back(0, 1)
		f.lines(1, 1)
		closed(t, f.Queue)
	})
}

// A slow sync in the background does not make Put wait.
func TestSlowSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailing(t, time.Second)
		release := f.disk.hold("sync")
		for n := range 10 {
			f.takes(0, n)
			time.Sleep(time.Second / 2)
		}
		f.durable(false) // some batches were not synced within a second
		release()
		f.back(numbers(0, 10)...)
		closed(t, f.Queue)
	})
}

// A batch that can be neither synced nor read back is refused immediately and not counted anywhere.
func TestPutFailsWhenItsRecordIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailing(t, 0)
		f.disk.fail(syscall.EIO, "sync", "read")
		begun := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		// more than the queue keeps in memory in addition to the disk
		if err := f.Put(ctx, Metrics, batch(0, 200_000)); !errors.Is(err, ErrUnsynced) {
			t.Errorf("error %v, want ErrUnsynced", err)
		}
		if took := time.Since(begun); took > patience {
			t.Errorf("took %v", took)
		}
		if p := f.Account().Lanes[Metrics]; p.Points != (Points{}) || p.Usage != 0 {
			t.Errorf("%+v", p)
		}
		f.disk.fail(nil, "sync", "read")
		closed(t, f.Queue)
	})
}

// Close writes the batches that were put while the disk hung, if the disk has recovered.
func TestCloseWritesWhatIsPending(t *testing.T) {
	for range 20 { // the writer may see the batches or the end first
		synctest.Test(t, func(t *testing.T) {
			f := newFailing(t, time.Second)
			release := f.disk.hold("append")
			f.takes(patience, 0)
			f.takes(0, 1, 2)
			release()
			closed(t, f.Queue)
			got, _ := f.killed()
			equal(t, "on disk", got, []int{0, 1, 2})
		})
	}
}
