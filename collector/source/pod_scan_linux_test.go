package source

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/poolgauge/poolgauge/internal/fixture"
)

// A process may call exec with another file and keep its comm, so the name of its executable is
// read again.
func TestExecutableIsReadAgain(t *testing.T) {
	l := newLifecycle(t, PodConfig{})
	l.collect()
	exe := filepath.Join(l.dir, "proc", "100", "exe")
	_ = os.Remove(exe) // the fixture may have none
	if err := os.Symlink("/bin/another", exe); err != nil {
		t.Fatal(err)
	}
	points := map[string]float64{}
	for range renameAfter {
		points = l.collect()
	}
	l.expect(points, 1, "process.thread.count", "process.executable.name=another,", "process.pid=100")
}

// The boot time is read once per scan.
func TestBootIsReadAgainAtEachScan(t *testing.T) {
	l := newLifecycle(t, PodConfig{})
	boot := func(seconds int64) {
		t.Helper()
		fixture.Write(t, l.dir, "proc/stat", fmt.Sprintf("cpu 1 2 3 4\nbtime %d\n", seconds))
	}
	boot(1_700_000_000)
	l.collect()
	first := l.pod.boot()
	boot(1_600_000_000)
	if got := l.pod.boot(); !got.Equal(first) {
		t.Errorf("%v and %v in one scan", first, got)
	}
	l.collect()
	if got := l.pod.boot().Unix(); got != 1_600_000_000 {
		t.Errorf("got %d in the next scan, want 1600000000", got)
	}
}

// A process that a container runtime has just created is not accessible until it calls exec.
func TestInaccessibleContainerIsAnErrorOnlyAfterTwoScans(t *testing.T) {
	l := newLifecycle(t, PodConfig{})
	l.start(400, "other", "0::/../cri-containerd-"+idC+".scope", 1)
	fixture.Write(t, l.dir, "proc/400/mountinfo",
		"1 1 0:1 /../cri-containerd-"+idC+".scope /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
	fixture.Write(t, l.dir, "proc/400/root", "not a directory")
	for scan, want := range []bool{false, false, true} {
		l.collect()
		if got := strings.Contains(l.log.String(), "cgroups are not readable"); got != want {
			t.Errorf("scan %d: reported %v, want %v\n%s", scan+1, got, want, l.log.String())
		}
	}
}
