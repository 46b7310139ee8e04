package source

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/poolgauge/poolgauge/collector"
	"github.com/poolgauge/poolgauge/collector/proc"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/fixture"
)

var update = flag.Bool("update", false, "rewrite the want sections of the fixtures")

// sampler collects sources as the sidecar does.
type sampler struct {
	tb       testing.TB
	dir      string
	producer *collector.Producer
	created  time.Time // when the producer was created
	log      strings.Builder
	failures int64                // of the first source so far
	starts   map[string]time.Time // of the counters of the last collection
}

func newSampler(tb testing.TB, dir string, sources ...collector.Named) *sampler {
	s := &sampler{tb: tb, dir: dir}
	log := slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	s.created = time.Now()
	s.producer = collector.NewProducer(log, metricdata.CumulativeTemporality, sources...)
	return s
}

// collect returns the points of one collection by "name{key=value,…}", without the metrics about
// the sources themselves.
func (s *sampler) collect() map[string]float64 {
	s.tb.Helper()
	scopes, err := s.producer.Produce(context.Background())
	if err != nil {
		s.tb.Fatal(err)
	}
	points := map[string]float64{}
	s.starts = map[string]time.Time{}
	for _, m := range scopes[0].Metrics {
		if strings.HasPrefix(m.Name, "poolgauge.source.") {
			if m.Name == catalog.SourceErrors.Name {
				s.failures = m.Data.(metricdata.Sum[int64]).DataPoints[0].Value
			}
			continue
		}
		switch d := m.Data.(type) {
		case metricdata.Sum[int64]:
			addPoints(s, points, m.Name, d.IsMonotonic, d.DataPoints)
		case metricdata.Sum[float64]:
			addPoints(s, points, m.Name, d.IsMonotonic, d.DataPoints)
		case metricdata.Gauge[float64]:
			addPoints(s, points, m.Name, false, d.DataPoints)
		default:
			s.tb.Fatalf("%s is a %T", m.Name, d)
		}
	}
	return points
}

func addPoints[N int64 | float64](
	s *sampler,
	to map[string]float64,
	name string,
	monotonic bool,
	points []metricdata.DataPoint[N],
) {
	for _, p := range points {
		var attrs []string
		for _, kv := range p.Attributes.ToSlice() {
			attrs = append(attrs, fmt.Sprintf("%s=%s", kv.Key, kv.Value.String()))
		}
		series := name + "{" + strings.Join(attrs, ",") + "}"
		if _, twice := to[series]; twice {
			s.tb.Errorf("two points of %s", series)
		}
		to[series] = float64(p.Value)
		if monotonic {
			s.starts[series] = p.StartTime
		}
		if p.StartTime.After(p.Time) {
			s.tb.Errorf("%s starts at %v, after its time %v", series, p.StartTime, p.Time)
		}
	}
}

// start describes the start time of a series: a time in the fixture, or what determines it on this
// machine.
func (s *sampler) start(series string) string {
	start, ok := s.starts[series]
	switch {
	case !ok:
		return ""
	case !start.Before(s.created):
		return " since first seen"
	case time.Since(start) < 100*24*time.Hour && !start.Before(proc.NewFS("").Boot(time.Now()).Add(-time.Second)):
		return " since the boot of this machine"
	}
	return " since " + start.UTC().Format("2006-01-02T15:04:05.99")
}

// text returns the points, one per line, followed by the log.
func (s *sampler) text(points map[string]float64) string { return s.points(points) + s.logged() }

func (s *sampler) points(points map[string]float64) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(points)) {
		value := points[name]
		if strings.HasPrefix(name, "process.memory.usage{") {
			value /= float64(os.Getpagesize()) // the kernel counts memory in pages
		}
		fmt.Fprintf(&b, "%s %v%s\n", name, value, s.start(name))
	}
	return b.String()
}

func (s *sampler) logged() string {
	// containers are found in no particular order
	log := slices.Sorted(strings.Lines(s.log.String()))
	return strings.ReplaceAll(strings.Join(log, ""), s.dir, "")
}

// open returns a Pod as configured by the fixture in dir.
func open(t testing.TB, dir string) (*Pod, error) {
	t.Helper()
	line := func(name string) string {
		data, _ := os.ReadFile(filepath.Join(dir, name)) // most fixtures have none
		return strings.TrimSpace(string(data))
	}
	pod, err := NewPod(PodConfig{
		ProcRoot:   dir + "/proc",
		CgroupRoot: line("cgroup-root"),
		Processes:  strings.Fields(line("processes")),
		Container:  line("container"),
	})
	if err == nil {
		t.Cleanup(pod.Close)
		pod.statfs, pod.fileSystemInterval = statfsOf(dir), 0
	}
	return pod, err
}

// statfsOf returns a statfs function that reads the statfs file of a fixture. Each line of that
// file has a quoted path, the block size, the numbers of blocks, free blocks and available blocks,
// and the numbers of inodes and free inodes.
func statfsOf(dir string) func(string, *syscall.Statfs_t) error {
	return func(path string, to *syscall.Statfs_t) error {
		data, _ := os.ReadFile(filepath.Join(dir, "statfs")) // most fixtures have none
		for line := range strings.Lines(string(data)) {
			var mount string
			_, err := fmt.Sscanf(
				line,
				"%q %d %d %d %d %d %d",
				&mount,
				&to.Frsize,
				&to.Blocks,
				&to.Bfree,
				&to.Bavail,
				&to.Files,
				&to.Ffree,
			)
			if err != nil {
				return err
			}
			if mount == path {
				to.Bsize = 1 << 20 // the preferred size of a write, not the unit
				return nil
			}
		}
		return syscall.ENOENT
	}
}

// TestPodFixtures collects the sources of every fixture in testdata twice, and compares the points
// of the second collection, and the log, with the fixture's "want" section.
func TestPodFixtures(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.txt")
	if len(files) < 7 {
		t.Fatalf("found %d fixtures, want at least 7", len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			dir := fixture.Lay(t, file)
			pod, err := open(t, dir)
			if err != nil {
				t.Fatal(err)
			}
			s := newSampler(t, dir, pod.Sources()...)
			s.collect()
			got := s.text(s.collect())
			compare(t, file, dir, got)
		})
	}
}

// If the host and the containers are skipped, only the sidecar's own process is reported.
func TestPodSkipsHostAndContainers(t *testing.T) {
	for _, name := range []string{"pod-v2-cgroup-root", "host-plain"} {
		dir := fixture.Lay(t, "testdata/"+name+".txt")
		root, _ := os.ReadFile(filepath.Join(dir, "cgroup-root")) // missing on the plain host
		pod, err := NewPod(PodConfig{
			ProcRoot: dir + "/proc", CgroupRoot: strings.TrimSpace(string(root)), SkipHost: true, SkipContainers: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		s := newSampler(t, dir, pod.Sources()...)
		s.collect()
		for point := range s.collect() {
			if !strings.HasPrefix(point, "process.") && !strings.HasPrefix(point, "poolgauge.process.") {
				t.Errorf("%s: %s is reported", name, point)
			}
		}
		if name == "pod-v2-cgroup-root" && pod.ContainerID() == "" {
			t.Error("the sidecar's container id is unknown, but the resource needs it")
		}
	}
}

// The kernel provides totals of context switches only for the calling process. Those of other
// processes are summed over their threads.
func TestOnlyTheSidecarsContextSwitchesAreTheKernelsTotals(t *testing.T) {
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	defer func() {
		_ = in.Close()
		_ = cmd.Wait()
	}()
	pod, err := NewPod(PodConfig{Processes: []string{"cat"}})
	if err != nil {
		t.Fatal(err)
	}
	defer pod.Close()
	found := map[int]bool{}
	for _, p := range pod.processes.selected {
		found[p.pid] = true
		if own := p.pid == os.Getpid(); p.threads.RunDelayOnly != own {
			t.Errorf("process %d: RunDelayOnly is %[3]v, want %[2]v", p.pid, own, p.threads.RunDelayOnly)
		}
	}
	if !found[os.Getpid()] || !found[cmd.Process.Pid] {
		t.Errorf("found %v, want %d and %d", found, os.Getpid(), cmd.Process.Pid)
	}
}
