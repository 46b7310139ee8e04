package queue

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// No batch is lost if a segment becomes unusable while data is appended to it.
func TestSyncFailsDuringAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailing(t, time.Second)
		f.putTakes(0, 0)
		equal(t, "flight", drain(t, f.Queue), []int{0}) // nothing in the segment is needed now
		time.Sleep(600 * time.Millisecond)
		release := f.disk.hold("append")
		f.disk.fail(syscall.EIO, "sync")
		result := make(chan error, 1)
		go func() { result <- f.Put(context.Background(), Metrics, batch(1, 1000)) }()
		time.Sleep(600 * time.Millisecond)
		f.checkDurable(false)
		release()
		f.disk.fail(nil, "sync")
		if err := <-result; err != nil {
			t.Error(err)
		}
		f.awaitRecovery(1)
		equal(t, "remaining", drain(t, f.Queue), []int{1})
		mustClose(t, f.Queue)
	})
}

// A sync that began before the disk failed does not prove that the disk has recovered.
func TestDiskFailsDuringSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailing(t, time.Second)
		release := f.disk.hold("sync")
		f.putTakes(0, 0)
		time.Sleep(time.Second + slowAfter/10)
		f.disk.fail(syscall.ENOSPC, "append")
		f.putTakes(0, 1)
		f.checkDurable(false)
		release()
		f.checkDurable(false)
		time.Sleep(time.Minute)
		f.checkDurable(false)
		f.checkLog(1, 0)
		f.disk.fail(nil, "append")
		f.awaitRecovery(0, 1)
		f.checkLog(1, 1)
		mustClose(t, f.Queue)
	})
}

// A slow sync in the background does not make Put wait.
func TestSlowSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailing(t, time.Second)
		release := f.disk.hold("sync")
		for n := range 10 {
			f.putTakes(0, n)
			time.Sleep(time.Second / 2)
		}
		f.checkDurable(false) // some batches were not synced within a second
		release()
		f.awaitRecovery(numbers(0, 10)...)
		mustClose(t, f.Queue)
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
		// too large to be kept in memory once it is written
		if err := f.Put(ctx, Metrics, batch(0, 200_000)); !errors.Is(err, ErrUnsynced) {
			t.Errorf("Put: error %v, want %v", err, ErrUnsynced)
		}
		if took := time.Since(begun); took > slowAfter {
			t.Errorf("Put took %v, want at most %v", took, slowAfter)
		}
		if p := f.Account().Lanes[Metrics]; p.Points != (Points{}) || p.Usage != 0 {
			t.Errorf("account of the lane %+v, want it empty", p)
		}
		f.disk.fail(nil, "sync", "read")
		mustClose(t, f.Queue)
	})
}

// Close writes the batches that were put while the disk hung, if the disk has recovered.
func TestCloseWritesWhatIsPending(t *testing.T) {
	for range 20 { // the writer may see the batches or the stop signal first
		synctest.Test(t, func(t *testing.T) {
			f := newFailing(t, time.Second)
			release := f.disk.hold("append")
			f.putTakes(slowAfter, 0)
			f.putTakes(0, 1, 2)
			release()
			mustClose(t, f.Queue)
			got, _ := f.afterKill()
			equal(t, "on disk", got, []int{0, 1, 2})
		})
	}
}
