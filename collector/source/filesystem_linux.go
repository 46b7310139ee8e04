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
	// answerTimeout is how long a collection waits for answers to its queries.
	answerTimeout = 100 * time.Millisecond
	// maxPending is the maximum number of pending queries, and thus of threads that queries block.
	maxPending = 32
	// maxVolumes is the maximum number of mounts that are reported. It bounds the number of series.
	maxVolumes = 64
)

// fileSystemSource reports the usage of the writable file systems mounted in the pod's containers.
//
// A query may block forever, for example when a file server is gone. Each query therefore has its
// own goroutine. While a query is pending, its file system is not queried again and the file
// system's mounts have no points; each collection that would have queried it counts an error.
type fileSystemSource struct {
	pod       *Pod
	seen      uint64 // see Pod.scan
	reader    kernfile.Reader
	queriedAt time.Time
	pending   map[string]bool   // by device
	answered  map[string]*query // the last answered query of each device
	answers   chan *query       // buffered for all pending queries, so that sending an answer never blocks
	volumes   map[volume]*volumeAttributes
}

// volume is a file system mounted in a container.
type volume struct{ container, device, point, fs string }

// query is a request for the usage of one file system. Each of its mounts is queried, since mounts
// may have separate quotas.
type query struct {
	device string
	mounts []queriedMount
}

type queriedMount struct {
	volume volume
	path   string // path of the mount as this process sees it
	usage  syscall.Statfs_t
	err    error
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

// Collect implements [collector.Source]. Between queries, points keep the values of the last query.
func (f *fileSystemSource) Collect(_ context.Context, s *collector.Sample) {
	f.pod.scan(&f.seen)
	now := time.Now()
	due := f.queriedAt.IsZero() || now.Sub(f.queriedAt) >= f.pod.fileSystemInterval
	if due {
		f.answered = map[string]*query{}
	}
	for len(f.answers) > 0 { // queries answered after the last collection stopped waiting
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

// send queries each file system without a recent answer, and waits up to answerTimeout for the
// answers.
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
					"file system at %q was not queried: %d others are not responding",
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

// send queries the mounts of q and sends q to answers. It may block forever in statfs.
func (q *query) send(statfs func(string, *syscall.Statfs_t) error, answers chan<- *query) {
	for i := range q.mounts {
		m := &q.mounts[i]
		m.err = statfs(m.path, &m.usage)
	}
	answers <- q
}

// queries finds the mounts of the pod's containers, sets f.volumes, and returns a query for each
// file system, by device.
func (f *fileSystemSource) queries(s *collector.Sample) map[string]*query {
	byDevice := map[string]*query{}
	previous := f.volumes
	f.volumes = map[volume]*volumeAttributes{}
	f.add(s, byDevice, previous, f.pod.containers.own.id, f.pod.self, "")
	for id, candidates := range f.pod.processes.byContainer {
		if onlyPause(candidates) {
			continue
		}
		viaPID := 0
		for _, c := range candidates[:min(maxPIDsTried, len(candidates))] {
			// A process of another user is not accessible, nor is a process that a container
			// runtime has just created.
			if _, err := os.Readlink(f.pod.fs.Path(strconv.Itoa(c.pid), "root")); !errors.Is(err, fs.ErrPermission) {
				viaPID = c.pid
				break
			}
		}
		if viaPID == 0 {
			s.Note(
				fmt.Sprintf(
					"container %.12s: file systems are not accessible; run the sidecar with the container's user id",
					id,
				),
			)
			continue
		}
		f.add(s, byDevice, previous, id, viaPID, f.pod.fs.Path(strconv.Itoa(viaPID), "root"))
	}
	return byDevice
}

// add adds the mounts of the process pid to f.volumes and to the queries in byDevice, with prefix
// prepended to their paths. It reuses the attributes of volumes in previous.
func (f *fileSystemSource) add(
	s *collector.Sample,
	byDevice map[string]*query,
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
		q := byDevice[m.Device]
		if q == nil {
			q = &query{device: m.Device}
			byDevice[m.Device] = q
		}
		q.mounts = append(q.mounts, queriedMount{volume: v, path: prefix + m.Point})
	}
}

// receive stores the answered query q and reports its errors.
func (f *fileSystemSource) receive(s *collector.Sample, q *query) {
	delete(f.pending, q.device)
	f.answered[q.device] = q
	for i := range q.mounts {
		m := &q.mounts[i]
		err := m.err
		if err == nil {
			err = validate(&m.usage)
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

// report adds points for the answered query q.
func (f *fileSystemSource) report(s *collector.Sample, q *query) {
	for i := range q.mounts {
		m := &q.mounts[i]
		if a := f.volumes[m.volume]; a != nil && m.err == nil && f.pod.exists(m.volume.container) {
			a.observe(s, &m.usage)
		}
	}
}

// exists reports whether the given container of the pod still exists.
func (p *Pod) exists(container string) bool {
	return container == p.containers.own.id || len(p.processes.byContainer[container]) > 0
}

// validate returns an error if the values of f contradict each other.
func validate(f *syscall.Statfs_t) error {
	switch {
	case !hasSize(f): // f will not be reported
	case f.Bfree > f.Blocks:
		return errors.New("more free blocks than total blocks")
	case hasInodes(f) && f.Ffree > f.Files:
		return errors.New("more free inodes than total inodes")
	}
	return nil
}

// hasSize reports whether the file system has a size. An absurdly large size means that it has
// none.
func hasSize(f *syscall.Statfs_t) bool {
	high, size := bits.Mul64(f.Blocks, uint64(f.Frsize))
	return high == 0 && size != 0 && size <= 1<<63-1
}

// hasInodes reports whether the file system counts inodes.
func hasInodes(f *syscall.Statfs_t) bool { return f.Files != 0 && f.Files <= 1<<62 }

// volumeAttributes holds the attribute sets of the points about a mount.
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

// observe adds points for the values of f that are plausible.
func (a *volumeAttributes) observe(s *collector.Sample, f *syscall.Statfs_t) {
	if !hasSize(f) || f.Bfree > f.Blocks {
		return
	}
	// Bavail is unsigned: when root uses reserved blocks, it wraps around to a huge number.
	unit, available := uint64(f.Frsize), min(f.Bavail, f.Bfree)
	for _, part := range []struct {
		attrs  *collector.Attributes
		blocks uint64
	}{{a.used, f.Blocks - f.Bfree}, {a.free, available}, {a.reserved, f.Bfree - available}} {
		s.Int(catalog.SystemFilesystemUsage, int64(part.blocks*unit), part.attrs)
	}
	s.Int(catalog.SystemFilesystemLimit, int64(f.Blocks*unit), a.base)
	if !hasInodes(f) || f.Ffree > f.Files {
		return
	}
	s.Int(catalog.FilesystemInodes, int64(f.Files-f.Ffree), a.used)
	s.Int(catalog.FilesystemInodes, int64(f.Ffree), a.free)
}
