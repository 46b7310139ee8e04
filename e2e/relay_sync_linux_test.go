package e2e

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// freezable mounts a file system of its own in a file, and returns where, and the functions that
// freeze and thaw it.
func freezable(t *testing.T) (dir string, freeze, thaw func()) {
	t.Helper()
	run := func(name string, args ...string) error { return exec.Command(name, args...).Run() }
	image, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 64<<20); err != nil {
		t.Fatal(err)
	}
	if run("mkfs.ext4", "-q", image) != nil || run("mount", "-o", "loop", image, dir) != nil {
		t.Skip("a file system that can be frozen needs root and a loop device")
	}
	must := func(args ...string) {
		if err := run(args[0], args[1:]...); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
	t.Cleanup(func() {
		_ = run("fsfreeze", "-u", dir) // if it is frozen
		must("umount", "-l", dir)
	})
	return dir, func() { must("fsfreeze", "-f", dir) }, func() { must("fsfreeze", "-u", dir) }
}

// With --queue-sync 0 what was acknowledged survives kills in the middle of whatever a disk does:
// nothing is acknowledged that is not synced.
func TestRelayStalledDiskLosesNothing(t *testing.T) {
	for name, disturb := range map[string]func(t *testing.T, dir string, freeze, thaw func(), kill func()){
		"stalls": func(_ *testing.T, _ string, freeze, thaw, kill func()) {
			freeze()
			// longer than the second after which a disk counts as failing
			<-time.After(2500 * time.Millisecond)
			kill()
			thaw() // or the kill cannot end what waits for the disk
		},
		"jitter": func(_ *testing.T, _ string, freeze, thaw, kill func()) {
			for range 5 {
				freeze()
				<-time.After(rand.N(200 * time.Millisecond)) //nolint:gosec // no secret
				thaw()
				<-time.After(rand.N(50 * time.Millisecond)) //nolint:gosec // no secret
			}
			freeze()
			<-time.After(rand.N(1500 * time.Millisecond)) //nolint:gosec // no secret
			kill()
			thaw()
		},
		"full": func(t *testing.T, dir string, _, _, kill func()) {
			filler := filepath.Join(dir, "filler")
			// as much as there is, which is less
			if err := exec.Command("fallocate", "-l", "1G", filler).Run(); err == nil {
				t.Error("the disk is larger than the test thinks")
			}
			f, err := os.OpenFile(filler, os.O_WRONLY|os.O_CREATE, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			for zeros := make([]byte, 64<<10); err == nil; {
				_, err = f.Write(zeros)
			}
			_ = f.Close()
			<-time.After(300 * time.Millisecond) // under load
			kill()
			if err := os.Remove(filler); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, freeze, thaw := freezable(t)
			up, a := newSink(t), &app{}
			r := newRelay(t, freeAddress(t), "--queue-dir="+filepath.Join(dir, "q"), "--queue-sync=0")
			toSocket := overGRPC(t, "unix:"+r.socket)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			// which waits for the next sidecar
			wait := a.load(ctx, time.Millisecond, slices.Repeat([]transport{toSocket}, 4)...)
			for range pick(3, 20) {
				s := r.start()
				<-time.After(300 * time.Millisecond) // under load
				disturb(t, dir, freeze, thaw, func() { s.signal(os.Kill) })
				<-s.done
			}
			up.listen(r.upstream)
			s := r.start()
			stop()
			wait()
			acked := a.acknowledged()
			up.awaitAll(acked)
			t.Logf("%d requests acknowledged, none lost", len(acked))
			s.terminate()
		})
	}
}

// A directory that is deleted under load is made again: what is acknowledged from then on survives
// kills, and what was in it too.
func TestRelayDeletedDirectoryLosesNothing(t *testing.T) {
	up, a := newSink(t), &app{}
	dir := filepath.Join(t.TempDir(), "q")
	r := newRelay(t, freeAddress(t), "--queue-dir="+dir, "--queue-sync=0")
	toSocket := overGRPC(t, "unix:"+r.socket)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	// which waits for the next sidecar
	wait := a.load(ctx, time.Millisecond, slices.Repeat([]transport{toSocket}, 4)...)
	for range pick(3, 20) {
		s := r.start()
		<-time.After(300 * time.Millisecond) // under load
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		s.awaitLog("queue storage works again")
		<-time.After(100 * time.Millisecond) // under load again
		s.kill()
	}
	up.listen(r.upstream)
	s := r.start()
	stop()
	wait()
	acked := a.acknowledged()
	up.awaitAll(acked)
	t.Logf("%d requests acknowledged, none lost", len(acked))
	s.terminate()
}
