package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"os"
	"strconv"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/collector"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/kernfile"
)

const (
	// fileSystemInterval is how often file systems are queried. It is slightly less than the
	// default interval, so that by default every collection queries them.
	fileSystemInterval = 9 * time.Second
	// answerTimeout bounds how long a collection waits for answers to its queries.
	answerTimeout = 100 * time.Millisecond
	// maxPending bounds the number of pending queries, and so the threads blocked in them.
	maxPending = 32
	// maxVolumes bounds the number of series.
	maxVolumes = 64
)

// fileSystemSource reports the usage of the writable file systems mounted in the pod's containers.
//
// A query may block forever, for example when a file server is gone. Each query therefore has its
// own goroutine, and a file system is not queried again while a query is pending: until then its
// mounts have no points, and each collection that would have queried it counts an error.
type fileSystemSource struct {
	pod       *Pod
	seen      uint64
	reader    kernfile.Reader
	queriedAt time.Time
	pending   map[string]bool   // by device
	answered  map[string]*query // the last query of each device
	answers   chan *query       // has room for all pending queries, so their goroutines never block on it
	volumes   map[volume]*volumeAttributes
}

// volume is a file system mounted in a container.
type volume struct{ container, device, point, fs string }

// query asks for the usage of one file system at each of its mounts, which may have separate
// quotas.
type query struct {
	device string
	mounts []queriedMount
}

type queriedMount struct {
	volume  volume
	path    string // of the mount, as seen by this process
	figures syscall.Statfs_t
	err     error
}

func newFileSystemSource(p *Pod) *fileSystemSource {
	return &fileSystemSource{
		pod:      p,
		seen:     p.generation,
		pending:  map[string]bool{},
		answered: map[string]*query{},
		answers:  make(chan *query, maxPending),
	}
}

// Collect implements [collector.Source]. Between queries, points have the values of the last
// answer.
func (f *fileSystemSource) Collect(_ context.Context, s *collector.Sample) {
	f.pod.scan(&f.seen)
	now := time.Now()
	due := f.queriedAt.IsZero() || now.Sub(f.queriedAt) >= f.pod.fileSystemInterval
	if due {
		f.answered = map[string]*query{}
	}
	for len(f.answers) > 0 { // answers that arrived after the last collection stopped waiting
		f.receive(s, <-f.answers)
	}
	if due {
		f.queriedAt = now
		f.send(s)
	}
	for _, q := range f.answered {
		f.report(s, q)
	}
}

// send queries all file systems that have not answered recently, and waits up to answerTimeout for
// the answers.
func (f *fileSystemSource) send(s *collector.Sample) {
	sent := 0
	for device, q := range f.queries(s) {
		switch {
		case f.answered[device] != nil:
		case f.pending[device]:
			s.Fail(fmt.Errorf("file system at %q is not responding", q.mounts[0].volume.point))
		case len(f.pending) >= maxPending:
			s.Fail(
				fmt.Errorf(
					"file system at %q: not queried: %d others do not respond",
					q.mounts[0].volume.point,
					maxPending,
				),
			)
		default:
			f.pending[device] = true
			sent++
			go q.send(f.pod.statfs, f.answers)
		}
	}
	timeout := time.NewTimer(answerTimeout)
	defer timeout.Stop()
	for range sent {
		select {
		case q := <-f.answers:
			f.receive(s, q)
		case <-timeout.C:
			return
		}
	}
}

func (q *query) send(statfs func(string, *syscall.Statfs_t) error, answers chan<- *query) {
	for i := range q.mounts {
		m := &q.mounts[i]
		m.err = statfs(m.path, &m.figures)
	}
	answers <- q
}

// queries returns the queries that are due, by device.
func (f *fileSystemSource) queries(s *collector.Sample) map[string]*query {
	to := map[string]*query{}
	previous := f.volumes
	f.volumes = map[volume]*volumeAttributes{}
	f.add(s, to, previous, f.pod.containers.own.id, f.pod.self, "")
	for id, inside := range f.pod.processes.byContainer {
		if onlyPause(inside) {
			continue
		}
		viaPID := 0
		for _, one := range inside[:min(maxPIDsTried, len(inside))] {
			// A process of another user is not accessible, nor is one that a runtime has just
			// created.
			if _, err := os.Readlink(f.pod.fs.Path(strconv.Itoa(one.pid), "root")); !errors.Is(err, fs.ErrPermission) {
				viaPID = one.pid
				break
			}
		}
		if viaPID == 0 {
			s.Note(
				fmt.Sprintf("container %.12s: file systems not accessible; run the sidecar with the same user id", id),
			)
			continue
		}
		f.add(s, to, previous, id, viaPID, f.pod.fs.Path(strconv.Itoa(viaPID), "root"))
	}
	return to
}

// add adds the mounts of a process to the queries. prefix is prepended to the paths.
func (f *fileSystemSource) add(
	s *collector.Sample,
	to map[string]*query,
	previous map[volume]*volumeAttributes,
	container string,
	pid int,
	prefix string,
) {
	mountinfo, err := f.reader.Read(f.pod.fs.Path(strconv.Itoa(pid), "mountinfo"))
	if err != nil {
		if !kernfile.Absent(err) {
			s.Fail(err)
		}
		return
	}
	mounts, err := fillableMounts(mountinfo)
	s.Fail(err)
	for i := range mounts {
		m := &mounts[i]
		if len(f.volumes) >= maxVolumes {
			s.Note(fmt.Sprintf("more than %d mounts: the rest are not reported", maxVolumes))
			return
		}
		v := volume{container, m.Source, m.Point, m.FS}
		if f.volumes[v] = previous[v]; f.volumes[v] == nil {
			f.volumes[v] = newVolumeAttributes(v)
		}
		q := to[m.Device]
		if q == nil {
			q = &query{device: m.Device}
			to[m.Device] = q
		}
		q.mounts = append(q.mounts, queriedMount{volume: v, path: prefix + m.Point})
	}
}

// receive stores an answer and reports its errors.
func (f *fileSystemSource) receive(s *collector.Sample, q *query) {
	delete(f.pending, q.device)
	f.answered[q.device] = q
	for i := range q.mounts {
		m := &q.mounts[i]
		err := m.err
		if err == nil {
			err = validate(&m.figures)
		}
		switch {
		case f.volumes[m.volume] == nil || kernfile.Absent(err): // unmounted in the meantime
		case errors.Is(err, fs.ErrPermission):
			s.Note(fmt.Sprintf("file system at %q: permission denied", m.volume.point))
		case err != nil:
			s.Fail(fmt.Errorf("file system at %q: %w", m.volume.point, err))
		}
	}
}

// report adds the points of an answer.
func (f *fileSystemSource) report(s *collector.Sample, q *query) {
	for i := range q.mounts {
		m := &q.mounts[i]
		if a := f.volumes[m.volume]; a != nil && m.err == nil && f.pod.exists(m.volume.container) {
			a.observe(s, &m.figures)
		}
	}
}

// exists reports whether a container of the pod still exists.
func (p *Pod) exists(container string) bool {
	return container == p.containers.own.id || len(p.processes.byContainer[container]) > 0
}

// validate returns an error if the values of an answer are impossible.
func validate(f *syscall.Statfs_t) error {
	switch {
	case !hasSize(f): // will not be reported
	case f.Bfree > f.Blocks:
		return errors.New("more free blocks than blocks")
	case hasInodes(f) && f.Ffree > f.Files:
		return errors.New("more free inodes than inodes")
	}
	return nil
}

// hasSize reports whether a file system has a size. An absurdly large size means that it has none.
func hasSize(f *syscall.Statfs_t) bool {
	high, size := bits.Mul64(f.Blocks, uint64(f.Frsize))
	return high == 0 && size != 0 && size <= 1<<63-1
}

// hasInodes reports whether a file system counts inodes.
func hasInodes(f *syscall.Statfs_t) bool { return f.Files != 0 && f.Files <= 1<<62 }

// volumeAttributes holds the attribute sets of the points of a mount.
type volumeAttributes struct{ base, used, free, reserved *collector.Attributes }

func newVolumeAttributes(v volume) *volumeAttributes {
	start := &collector.StartTime{}
	base := []attribute.KeyValue{
		semconv.SystemDevice(
			v.device,
		),
		semconv.SystemFilesystemMountpoint(v.point),
		semconv.SystemFilesystemTypeKey.String(v.fs),
	}
	if v.container != "" {
		base = append(base, semconv.ContainerID(v.container))
	}
	return &volumeAttributes{
		base:     collector.NewAttributes(start, base...),
		used:     attributes(start, base, semconv.SystemFilesystemStateUsed),
		free:     attributes(start, base, semconv.SystemFilesystemStateFree),
		reserved: attributes(start, base, semconv.SystemFilesystemStateReserved),
	}
}

// observe adds the values of an answer, as far as they are plausible.
func (a *volumeAttributes) observe(s *collector.Sample, f *syscall.Statfs_t) {
	if !hasSize(f) || f.Bfree > f.Blocks {
		return
	}
	// Bavail falls below 0, and so becomes huge, when root uses reserved blocks
	unit, available := uint64(f.Frsize), min(f.Bavail, f.Bfree)
	for _, of := range []struct {
		state  *collector.Attributes
		blocks uint64
	}{{a.used, f.Blocks - f.Bfree}, {a.free, available}, {a.reserved, f.Bfree - available}} {
		s.Int(catalog.SystemFilesystemUsage, int64(of.blocks*unit), of.state)
	}
	s.Int(catalog.SystemFilesystemLimit, int64(f.Blocks*unit), a.base)
	if !hasInodes(f) || f.Ffree > f.Files {
		return
	}
	s.Int(catalog.FilesystemInodes, int64(f.Files-f.Ffree), a.used)
	s.Int(catalog.FilesystemInodes, int64(f.Ffree), a.free)
}
