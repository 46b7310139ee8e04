package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/internal/fixture"
)

// killsBefore is the number of kills of the app's container in the fixture.
const killsBefore = 4

// newOOMLifecycle returns a pod whose app has a memory limit and whose host counts kills.
func newOOMLifecycle(t *testing.T) *lifecycle {
	t.Helper()
	l := newLifecycle(t, PodConfig{})
	l.vmstat("7")
	fixture.Write(t, l.dir, "proc/100/root/sys/fs/cgroup/memory.max", "67108864\n")
	return l
}

// withoutInotify stops watching, as under v1 or if the user has no watches left.
func (l *lifecycle) withoutInotify() {
	l.pod.containers.ooms.failed = true
	for _, other := range l.pod.containers.others {
		other.group.watchedFile = nil
	}
}

// watched returns the watched file of the app's container. It skips the test if inotify is not
// available.
func (l *lifecycle) watched() *watchedFile {
	l.tb.Helper()
	file := l.pod.containers.others[idB].group.watchedFile
	if file != nil {
		return file
	}
	w, err := newWatcher()
	if err != nil {
		l.tb.Skip(err)
	}
	w.close()
	l.tb.Fatal("the memory events of the container are not watched")
	return nil
}

func (l *lifecycle) vmstat(kills string) {
	l.tb.Helper()
	fixture.Write(l.tb, l.dir, "proc/vmstat", "pgfault 1\noom_kill "+kills+"\n")
}

func (l *lifecycle) events(kills int) {
	l.tb.Helper()
	fixture.Write(
		l.tb,
		l.dir,
		"proc/100/root/sys/fs/cgroup/memory.events",
		"low 0\nhigh 0\nmax 9\noom 1\noom_kill "+string(rune('0'+kills))+"\n",
	)
}

// kills returns the number of kills of the app's container, or -1 if it is not reported.
func kills(points map[string]float64) float64 {
	n, sum := matching(points, "memory.events", "=oom_kill,", idB)
	if n != 1 {
		return -1
	}
	return sum
}

// Without inotify, a kill is counted if the host's count has increased by the time the cgroup is
// gone.
func TestKillIsCountedFromTheHostsCount(t *testing.T) {
	l := newOOMLifecycle(t)
	l.withoutInotify()
	if got := kills(l.collect()); got != killsBefore {
		t.Fatalf("%v kills at first, want %d", got, killsBefore)
	}
	l.vmstat("8")
	l.stop(100, 101)
	points := l.collect()
	if got := kills(points); got != killsBefore+1 {
		t.Errorf("%v kills, want one more than before", got)
	}
	l.expect(points, 0, "container.memory.usage", idB)
	if got := kills(l.collect()); got != -1 {
		t.Error("the container that is gone is still reported")
	}
}

// Neither the exit of a container nor a kill elsewhere is counted as a kill of the container.
func TestContainersThatExitOtherwiseAreNotCountedAsKilled(t *testing.T) {
	for name, c := range map[string]struct{ vmstat, limit string }{
		"the host killed nothing":   {"7", "67108864"},
		"no limit":                  {"8", "max"},
		"the kernel does not count": {"", "67108864"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newOOMLifecycle(t)
			l.withoutInotify()
			fixture.Write(t, l.dir, "proc/100/root/sys/fs/cgroup/memory.max", c.limit+"\n")
			l.collect()
			l.vmstat(c.vmstat)
			l.stop(100, 101)
			if got := kills(l.collect()); got != -1 {
				t.Errorf("%v kills, want no point", got)
			}
		})
	}
}

// If two containers exit in an interval with one kill, only one of them is counted as killed.
func TestOneKillIsCountedOnce(t *testing.T) {
	l := newOOMLifecycle(t)
	l.withoutInotify()
	l.start(300, "other", "0::/../cri-containerd-"+idC+".scope", 1)
	fixture.Write(
		t,
		l.dir,
		"proc/300/mountinfo",
		"1 1 0:1 /../cri-containerd-"+idC+".scope /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
	)
	fixture.Write(t, l.dir, "proc/300/root/sys/fs/cgroup/memory.max", "4096\n")
	fixture.Write(t, l.dir, "proc/300/root/sys/fs/cgroup/memory.events", "oom_kill 0\n")
	l.collect()
	l.vmstat("8")
	l.stop(100, 101, 300)
	l.expect(l.collect(), 1, "memory.events", "=oom_kill,", "container.id")
}

// inotify reports the change to memory.events, so the file is read before the cgroup is gone.
func TestKillIsReadWhenMemoryEventsChange(t *testing.T) {
	l := newOOMLifecycle(t)
	l.collect()
	watched := l.watched()
	l.events(killsBefore + 1)
	watcher := l.pod.containers.ooms.watcher
	deadline := time.Now().Add(30 * time.Second)
	for range time.Tick(time.Millisecond) {
		watcher.mu.Lock()
		seen := watched.kills.Value
		watcher.mu.Unlock()
		if seen == killsBefore+1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the change was not read within 30 s")
		}
	}
	l.stop(100, 101)
	if got := kills(l.collect()); got != killsBefore+1 {
		t.Errorf("%v kills, want one more, though the host's count did not change", got)
	}
	if len(watcher.watches) != 0 {
		t.Errorf("%d watches are left", len(watcher.watches))
	}
}

// If the container's own count shows no kill, a kill on the host is not attributed to it.
func TestContainersOwnCountTakesPrecedence(t *testing.T) {
	l := newOOMLifecycle(t)
	l.collect()
	l.watched()
	l.vmstat("8")
	l.stop(100, 101)
	if got := kills(l.collect()); got != -1 {
		t.Errorf("%v kills, want no point", got)
	}
}

// If the change was reported too late to read it, the host's count is used.
func TestChangeReportedTooLateFallsBackToTheHostsCount(t *testing.T) {
	l := newOOMLifecycle(t)
	l.collect()
	watched := l.watched()
	l.vmstat("8")
	l.stop(100, 101)
	l.pod.containers.ooms.watcher.changed(watched.number)
	if got := kills(l.collect()); got != killsBefore+1 {
		t.Errorf("%v kills, want one more than before", got)
	}
}

// The watcher's goroutine exits when the watcher is closed.
func TestWatcherStopsWhenClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // fails if the goroutine does not exit
		file := filepath.Join(t.TempDir(), "memory.events")
		if err := os.WriteFile(file, []byte("oom_kill 3\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		w, err := newWatcher()
		if err != nil {
			t.Skip(err)
		}
		one := w.add(file)
		if one == nil || w.add(strings.Repeat("/nowhere", 2)) != nil {
			t.Error("add must watch a file that exists, and fail for one that does not")
		}
		if kills, complete := w.remove(one); kills != 3 || !complete {
			t.Errorf("got %d, %v; want 3, the count at the start, and true", kills, complete)
		}
		w.close()
	})
}

// Kills on the host before a container existed are not attributed to it.
func TestEarlierKillsAreNotAttributedToANewContainer(t *testing.T) {
	l := newOOMLifecycle(t)
	l.withoutInotify()
	l.collect()
	l.stop(100, 101)
	l.collect()
	l.vmstat("9")
	l.start(300, "other", "0::/../cri-containerd-"+idC+".scope", 1)
	fixture.Write(t, l.dir, "proc/300/mountinfo",
		"1 1 0:1 /../cri-containerd-"+idC+".scope /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
	fixture.Write(t, l.dir, "proc/300/root/sys/fs/cgroup/memory.max", "4096\n")
	fixture.Write(t, l.dir, "proc/300/root/sys/fs/cgroup/memory.events", "oom_kill 0\n")
	l.expect(l.collect(), 1, "memory.events", "=oom_kill,", idC)
	l.stop(300)
	l.expect(l.collect(), 0, "memory.events", "=oom_kill,", idC)
}
