package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// loopDisk is a file system in a file, on a loop device, that a test can cause to fail.
type loopDisk struct {
	t          *testing.T
	image, dir string
}

func newLoopDisk(t *testing.T) *loopDisk {
	t.Helper()
	d := &loopDisk{t: t, image: filepath.Join(t.TempDir(), "image"), dir: t.TempDir()}
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.image, 64<<20); err != nil {
		t.Fatal(err)
	}
	if command("mkfs.ext4", "-q", d.image) != nil || command("mount", "-o", "loop", d.image, d.dir) != nil {
		t.Skip("needs root and a loop device")
	}
	t.Cleanup(func() {
		_ = command("fsfreeze", "-u", d.dir) // if it is frozen
		d.must("umount", "-l", d.dir)
	})
	return d
}

func command(name string, args ...string) error { return exec.Command(name, args...).Run() }

func (d *loopDisk) must(args ...string) {
	d.t.Helper()
	if text, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		d.t.Errorf("running %q: %v: %s", args, err, text)
	}
}

func (d *loopDisk) freeze() { d.must("fsfreeze", "-f", d.dir) }
func (d *loopDisk) thaw()   { d.must("fsfreeze", "-u", d.dir) }

// makeReadOnly makes the file system read-only, as ext4 does when it finds an error.
func (d *loopDisk) makeReadOnly() { d.must("mount", "-o", "remount,abort", d.dir) }

// remove simulates a removed device: it can no longer be read or written.
func (d *loopDisk) remove() {
	f, err := os.Open(d.dir)
	if err != nil {
		d.t.Error(err)
		return
	}
	defer f.Close()
	const shutdown, withoutFlush = 0x8004587d, 2 // EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH
	flag := uint32(withoutFlush)
	if _, _, err := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), shutdown, uintptr(unsafe.Pointer(&flag))); err != 0 {
		d.t.Error(err)
	}
}

// plugIn mounts the failed file system again, with its data. No process may have a file open on it.
func (d *loopDisk) plugIn() {
	d.must("umount", d.dir)
	_ = command("e2fsck", "-p", d.image) // its exit code says only what it repaired
	d.must("mount", "-o", "loop", d.image, d.dir)
}

// fill fills the disk until the returned function is called.
func (d *loopDisk) fill() (empty func()) {
	filler := filepath.Join(d.dir, "filler")
	// fails after it has allocated all free space, which is less than 1 GiB
	if err := command("fallocate", "-l", "1G", filler); err == nil {
		d.t.Error("the disk has more than 1 GiB of free space")
	}
	f, err := os.OpenFile(filler, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	for zeros := make([]byte, 64<<10); err == nil; {
		_, err = f.Write(zeros)
	}
	_ = f.Close()
	return func() {
		if err := os.Remove(filler); err != nil {
			d.t.Error(err)
		}
	}
}

// slow limits a process to the given number of writes per second until it exits.
func (d *loopDisk) slow(pid, writes int) {
	const root = "/sys/fs/cgroup/blkio"
	group := filepath.Join(root, fmt.Sprint("poolgauge-", pid))
	if err := os.Mkdir(
		group,
		0o700,
	); errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) ||
		errors.Is(err, syscall.EROFS) {
		d.t.Skip("a slow disk needs the blkio controller of cgroup v1")
	} else if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = os.Remove(group) })
	var info syscall.Stat_t
	if err := syscall.Stat(d.dir, &info); err != nil {
		d.t.Fatal(err)
	}
	device := fmt.Sprintf("%d:%d", info.Dev>>8&0xfff, info.Dev&0xff|info.Dev>>12&0xfff00)
	for name, text := range map[string]string{
		"blkio.throttle.write_iops_device": fmt.Sprint(device, " ", writes), "cgroup.procs": fmt.Sprint(pid),
	} {
		if err := os.WriteFile(filepath.Join(group, name), []byte(text), 0o600); err != nil {
			d.t.Error(err)
		}
	}
}

// With --queue-sync 0, acknowledged requests survive kills during any disk fault: nothing is
// acknowledged before it is synced.
func TestRelayFailingDiskLosesNothing(t *testing.T) {
	underLoad := func() { <-time.After(300 * time.Millisecond) }
	for name, disturb := range map[string]func(d *loopDisk, s *relayed, kill func()){
		"stalls": func(d *loopDisk, _ *relayed, kill func()) {
			d.freeze()
			// longer than the second after which a disk counts as failing
			<-time.After(2500 * time.Millisecond)
			kill()
			d.thaw() // a process that is blocked on the disk cannot be killed
		},
		"jitter": func(d *loopDisk, _ *relayed, kill func()) {
			for range 5 {
				d.freeze()
				<-time.After(rand.N(200 * time.Millisecond)) //nolint:gosec // not a secret
				d.thaw()
				<-time.After(rand.N(50 * time.Millisecond)) //nolint:gosec // not a secret
			}
			d.freeze()
			<-time.After(rand.N(1500 * time.Millisecond)) //nolint:gosec // not a secret
			kill()
			d.thaw()
		},
		"slow": func(d *loopDisk, s *relayed, kill func()) {
			d.slow(s.cmd.Process.Pid, 1+rand.N(20)) //nolint:gosec // not a secret
			<-time.After(rand.N(3 * time.Second))   //nolint:gosec // not a secret
			kill()
		},
		"full": func(d *loopDisk, _ *relayed, kill func()) {
			empty := d.fill()
			underLoad()
			kill()
			empty()
		},
		"read-only": func(d *loopDisk, s *relayed, kill func()) {
			d.makeReadOnly()
			s.awaitLog("queue storage is failing")
			underLoad()
			kill()
			<-s.done
			d.plugIn()
		},
		"removed": func(d *loopDisk, s *relayed, kill func()) {
			d.remove()
			s.awaitLog("queue storage is failing")
			underLoad()
			kill()
			<-s.done
			d.plugIn()
		},
	} {
		t.Run(name, func(t *testing.T) {
			disk := newLoopDisk(t)
			up, a := newSink(t), &app{}
			r := newRelay(t, freeAddress(t), "--queue-dir="+filepath.Join(disk.dir, "q"), "--queue-sync=0")
			toSocket := overGRPC(t, "unix:"+r.socket)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			// When a sidecar is killed, the load waits for the next one.
			wait := a.load(ctx, time.Millisecond, slices.Repeat([]transport{toSocket}, 4)...)
			for range pick(3, 20) {
				s := r.start()
				underLoad()
				disturb(disk, s, func() { s.signal(os.Kill) })
				<-s.done
			}
			up.listen(r.upstream)
			s := r.start()
			stop()
			wait()
			acked := a.acknowledged()
			t.Logf("%d requests acknowledged", len(acked))
			up.awaitAll(acked)
			s.terminate()
		})
	}
}
