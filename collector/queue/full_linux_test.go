package queue

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of 256 KiB for the duration of the test.
func smallDisk(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("queue", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("cannot mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// Data that fills a disk is deleted once it has been sent; otherwise the disk would stay full
// forever.
func TestFullFilesystemDrains(t *testing.T) {
	c, log := config(smallDisk(t), 1<<20, time.Millisecond)
	q := mustOpen(t, c)
	for n := range 40 {
		put(t, q, batch(n, 20_000))
	}
	if durableNow(q) {
		t.Fatal("the queue is durable, want a full disk")
	}
	equal(t, "sent", drain(t, q), numbers(0, 40))
	awaitDurable(q)
	if !durableNow(q) {
		t.Errorf("the disk is still full after everything was sent, with segments %v\n%s", segmentsIn(t, c.Dir), log)
	}
	mustClose(t, q)
}

// When a file system that is really full is enlarged, the queue writes everything to it.
func TestFullFilesystem(t *testing.T) {
	dir := smallDisk(t)
	c, log := config(dir, 1<<20, time.Millisecond)
	q := mustOpen(t, c)
	for n := range 40 {
		put(t, q, batch(n, 20_000))
	}
	if durableNow(q) {
		t.Errorf("%d batches of 20 kB fit on a disk of 256 KiB\n%s", 40, log)
	}
	if err := unix.Mount("queue", dir, "tmpfs", unix.MS_REMOUNT, "size=4m"); err != nil {
		t.Fatal(err)
	}
	awaitDurable(q)
	c2, _ := config(snapshot(t, dir), 1<<20, noSync)
	restarted := mustOpen(t, c2)
	equal(t, "on disk", drain(t, restarted), numbers(0, 40))
	mustClose(t, restarted)
	equal(t, "remaining", drain(t, q), numbers(0, 40))
	mustClose(t, q)
}

func awaitDurable(q *Queue) {
	until := time.Now().Add(30 * time.Second)
	for !durableNow(q) && time.Now().Before(until) {
		time.Sleep(10 * time.Millisecond) // poll: nothing signals the recovery
	}
}

func durableNow(q *Queue) bool { return q.Account().Durable }
