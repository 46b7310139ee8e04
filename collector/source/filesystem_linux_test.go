package source

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/poolgauge/poolgauge/collector"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/fixture"
)

// mounted returns a sampler for a host with a file system mounted at each of the points. Queries
// call statfs.
func mounted(t *testing.T, statfs func(string, *syscall.Statfs_t) error, points ...string) *sampler {
	t.Helper()
	dir := t.TempDir()
	fixture.Write(t, dir, "proc/self -> 200", "")
	fixture.Write(t, dir, "proc/200/cgroup", "0::/\n")
	mountinfo := ""
	for i, point := range points {
		mountinfo += fmt.Sprintf("%d 1 0:%d / %s rw - nfs4 server:%s rw\n", 30+i, 30+i, point, point)
	}
	fixture.Write(t, dir, "proc/200/mountinfo", mountinfo)
	pod, err := NewPod(PodConfig{ProcRoot: filepath.Join(dir, "proc")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pod.Close)
	pod.statfs = statfs
	return newSampler(t, dir, collector.Named{Name: "filesystem", Source: newFileSystemSource(pod)})
}

// limits returns the size of each file system in blocks, by mount point.
func limits(points map[string]float64) map[string]float64 {
	sizes := map[string]float64{}
	for series, v := range points {
		if _, rest, ok := strings.Cut(
			series,
			"mountpoint=",
		); ok &&
			strings.HasPrefix(series, catalog.SystemFilesystemLimit.Name+"{") {
			point, _, _ := strings.Cut(rest, ",")
			sizes[point] = v
		}
	}
	return sizes
}

// A file system that does not respond delays one collection, by answerTimeout, and is not queried
// again until it responds. Others are reported throughout.
func TestUnresponsiveFileSystemDelaysOneCollection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		var queries atomic.Int64
		s := mounted(t, func(path string, to *syscall.Statfs_t) error {
			to.Frsize, to.Blocks = 1, 7
			if path == "/dead" {
				to.Blocks = uint64(queries.Add(1))
				<-hang
			}
			return nil
		}, "/alive", "/dead")
		for i, c := range []struct {
			name           string
			release        bool
			after          time.Duration
			alive, dead    float64
			takes          time.Duration
			queries, fails int64
		}{
			{name: "first query", alive: 7, takes: answerTimeout, queries: 1},
			{name: "not due", after: time.Second, alive: 7, queries: 1},
			{name: "due, but pending", after: 9 * time.Second, alive: 7, queries: 1, fails: 1},
			{name: "still pending", after: 9 * time.Second, alive: 7, queries: 1, fails: 2},
			{name: "answered", release: true, after: 9 * time.Second, alive: 7, dead: 1, queries: 1, fails: 2},
			{name: "queried again", after: 9 * time.Second, alive: 7, dead: 2, queries: 2, fails: 2},
		} {
			if c.release {
				close(hang)
			}
			time.Sleep(c.after) // returns immediately, since the clock is fake
			synctest.Wait()
			begin := time.Now()
			got := limits(s.collect())
			if took := time.Since(begin); took != c.takes {
				t.Errorf("%d %s: took %v, want %v", i, c.name, took, c.takes)
			}
			if got["/alive"] != c.alive || got["/dead"] != c.dead {
				t.Errorf("%d %s: sizes %v, want %v and %v", i, c.name, got, c.alive, c.dead)
			}
			if n, fails := queries.Load(), s.failures; n != c.queries || fails != c.fails {
				t.Errorf(
					"%d %s: %d queries and %d errors, want %d and %d",
					i,
					c.name,
					n,
					fails,
					c.queries,
					c.fails,
				)
			}
		}
		if n := strings.Count(s.log.String(), "is not responding"); n != 1 {
			t.Errorf("logged that the file system is not responding %d times, want once:\n%s", n, s.log.String())
		}
	})
}

// The number of pending queries is bounded, and their goroutines exit even if nothing reads the
// answers.
func TestPendingQueriesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		var queries atomic.Int64
		var points []string
		for i := range maxPending + 5 {
			points = append(points, fmt.Sprintf("/dead%d", i))
		}
		s := mounted(t, func(string, *syscall.Statfs_t) error {
			queries.Add(1)
			<-hang
			return syscall.EIO
		}, points...)
		for range 3 {
			s.collect()
			time.Sleep(time.Minute)
		}
		if n := queries.Load(); n != maxPending {
			t.Errorf("%d queries, want %d", n, maxPending)
		}
		close(hang)
		synctest.Wait() // the test would not return if the goroutines did not
	})
}

// A file system that the user may not access is not an error of the source; one that fails is.
func TestFileSystemErrorsAreReportedAndPermissionsNoted(t *testing.T) {
	s := mounted(t, func(path string, _ *syscall.Statfs_t) error {
		return map[string]error{"/closed": syscall.EACCES, "/unmounted": syscall.ENOENT, "/dead": syscall.ESTALE, "/fuse": syscall.ENOTCONN}[path]
	}, "/closed", "/unmounted", "/dead", "/fuse")
	if got := s.collect(); len(got) != 0 {
		t.Errorf("points %v, want none", got)
	}
	if n := s.failures; n != 2 {
		t.Errorf("%d errors, want 2, for the file systems that failed:\n%s", n, s.log.String())
	}
	if log := s.log.String(); !strings.Contains(log, `reason="file system at \"/closed\": permission denied"`) {
		t.Errorf("got the log %s, want a note that permission was denied", log)
	}
}

// Each limit is the volume's size according to statfs.
func TestFileSystemSizesMatchStatfs(t *testing.T) {
	pod, err := NewPod(PodConfig{})
	if err != nil {
		t.Skip(err)
	}
	defer pod.Close()
	s := newSampler(t, "", collector.Named{Name: "filesystem", Source: newFileSystemSource(pod)})
	for point, size := range limits(s.collect()) {
		var want syscall.Statfs_t
		if err := syscall.Statfs(point, &want); err != nil {
			continue // mounted in another container, or unmounted
		}
		if got := uint64(size) / uint64(want.Frsize); got != want.Blocks {
			t.Errorf("%s: %d blocks, want %d", point, got, want.Blocks)
		}
	}
}

func TestVolumesAreBounded(t *testing.T) {
	s := mounted(t, func(_ string, to *syscall.Statfs_t) error {
		to.Frsize, to.Blocks = 1, 7
		return nil
	})
	mountinfo := ""
	for i := range maxVolumes + 5 {
		mountinfo += fmt.Sprintf("%d 1 0:30 /%d /data%d rw - nfs4 server:/ rw\n", 30+i, i, i)
	}
	fixture.Write(t, s.dir, "proc/200/mountinfo", mountinfo)
	if got := limits(s.collect()); len(got) != maxVolumes {
		t.Errorf("%d volumes are reported, want %d", len(got), maxVolumes)
	}
	if log := s.log.String(); !strings.Contains(log, "more than 64 mounts: the rest are not reported") {
		t.Errorf("the log does not say that some are not reported: %s", log)
	}
}

// Even between queries, volumes of a container that no longer exists are not reported.
func TestVolumesOfAContainerThatIsGoneAreNotReported(t *testing.T) {
	l := newLifecycle(t, PodConfig{})
	l.pod.fileSystemInterval = time.Hour
	l.pod.statfs = func(_ string, to *syscall.Statfs_t) error {
		to.Frsize, to.Blocks = 1, 7
		return nil
	}
	if n, _ := matching(l.collect(), catalog.SystemFilesystemLimit.Name, idB); n == 0 {
		t.Fatal("no volume of the container is reported")
	}
	l.stop(100, 101)
	l.expect(l.collect(), 0, catalog.SystemFilesystemLimit.Name, idB)
}
