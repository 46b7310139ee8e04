package e2e

import (
	"syscall"
	"testing"
)

// A full disk loses no acknowledged data while the sidecar runs. It is logged once, shown in the
// metrics, and used again when it has room.
func TestRelayDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("a small disk needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	up, a := newSink(t), &app{padding: 8 << 10}
	r := newRelay(t, freeAddress(t), "--queue-dir="+dir, "--interval=200ms")
	s := r.start()
	s.awaitLog(loggedDown)
	a.sendAll(t, 160, s.socket)
	s.awaitLog("queue storage is failing")
	up.listen(r.upstream)
	up.awaitAll(a.acknowledged())
	up.checkOnceInOrder()
	s.awaitLog("queue storage recovered")
	full := up.awaitAccount("of a full disk", func(a account) bool { return a.durable == 0 })
	back := up.awaitAccount(
		"of a recovered disk",
		func(a account) bool { return a.durable == 1 && a.at.After(full.at) },
	)
	if back.dropped != 0 {
		t.Errorf("%d points dropped, want none", back.dropped)
	}
	up.checkAccounts()
	checkLoggedOnce(t, s.sidecar, "queue storage is failing", "queue storage recovered")
}
