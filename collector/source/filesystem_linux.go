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
	// fileSystemsEvery is how often file systems are asked: a little less than the default
	// interval, so that each collection of it does.
	fileSystemsEvery = 9 * time.Second
	// answerWithin bounds how long a collection waits for the file systems that it asked.
	answerWithin = 100 * time.Millisecond
	// maxUnanswered bounds the file systems that are asked at a time, and so the threads of those
	// that never answer.
	maxUnanswered = 32
	// maxVolumes bounds the series.
	maxVolumes = 64
)

// fileSystemSource reports how full the file systems are that the containers of the pod have
// mounted to be written.
//
// Asking one may block for ever, as when its server is gone. So each is asked by a goroutine of its
// own, and not again before it has answered: its mounts have no points until then, and each
// collection that would have asked it counts an error.
type fileSystemSource struct {
	pod        *Pod
	seen       uint64
	reader     kernfile.Reader
	asked      time.Time
	unanswered map[string]bool      // by device
	answered   map[string]*question // by device, since they were asked last
	answers    chan *question       // with room for all that are unanswered, so that none waits to be read
	volumes    map[volume]*volumeAttributes
}

// volume is a mount of a container.
type volume struct{ container, device, point, fs string }

// question is what one file system is asked: how full it is at each of its mounts, which may have
// quotas of their own.
type question struct {
	device string
	mounts []askedMount
}

type askedMount struct {
	volume  volume
	path    string // by which it is reached from here
	figures syscall.Statfs_t
	err     error
}

func newFileSystemSource(p *Pod) *fileSystemSource {
	return &fileSystemSource{
		pod:        p,
		seen:       p.generation,
		unanswered: map[string]bool{},
		answered:   map[string]*question{},
		answers:    make(chan *question, maxUnanswered),
	}
}

// Collect implements [collector.Source]. Between two times that it asks, points have what was answered last.
func (f *fileSystemSource) Collect(_ context.Context, s *collector.Sample) {
	f.pod.scan(&f.seen)
	now := time.Now()
	due := f.asked.IsZero() || now.Sub(f.asked) >= f.pod.fileSystemsEvery
	if due {
		f.answered = map[string]*question{}
	}
	for len(f.answers) > 0 { // those that came after the last collection had stopped waiting
		f.take(s, <-f.answers)
	}
	if due {
		f.asked = now
		f.ask(s)
	}
	for _, q := range f.answered {
		f.report(s, q)
	}
}

// ask asks all file systems that have not just answered, and waits for them for a while.
func (f *fileSystemSource) ask(s *collector.Sample) {
	asked := 0
	for device, q := range f.questions(s) {
		switch {
		case f.answered[device] != nil:
		case f.unanswered[device]:
			s.Fail(fmt.Errorf("the file system at %q does not answer", q.mounts[0].volume.point))
		case len(f.unanswered) >= maxUnanswered:
			s.Fail(
				fmt.Errorf(
					"the file system at %q is not asked: %d others do not answer",
					q.mounts[0].volume.point,
					maxUnanswered,
				),
			)
		default:
			f.unanswered[device] = true
			asked++
			go q.ask(f.pod.statfs, f.answers)
		}
	}
	timeout := time.NewTimer(answerWithin)
	defer timeout.Stop()
	for range asked {
		select {
		case q := <-f.answers:
			f.take(s, q)
		case <-timeout.C:
			return
		}
	}
}

func (q *question) ask(statfs func(string, *syscall.Statfs_t) error, answers chan<- *question) {
	for i := range q.mounts {
		m := &q.mounts[i]
		m.err = statfs(m.path, &m.figures)
	}
	answers <- q
}

// questions returns what to ask now, by device.
func (f *fileSystemSource) questions(s *collector.Sample) map[string]*question {
	to := map[string]*question{}
	known := f.volumes
	f.volumes = map[volume]*volumeAttributes{}
	f.add(s, to, known, f.pod.containers.own.id, f.pod.self, "")
	for id, inside := range f.pod.processes.inhabited {
		if onlyPause(inside) {
			continue
		}
		door := 0
		for _, one := range inside[:min(doors, len(inside))] {
			// Another user's process is closed, and so is one that a runtime has just made.
			if _, err := os.Readlink(f.pod.fs.Path(strconv.Itoa(one.pid), "root")); !errors.Is(err, fs.ErrPermission) {
				door = one.pid
				break
			}
		}
		if door == 0 {
			s.Note(fmt.Sprintf("container %.12s: its file systems cannot be seen: the same user id may", id))
			continue
		}
		f.add(s, to, known, id, door, f.pod.fs.Path(strconv.Itoa(door), "root"))
	}
	return to
}

// add adds the mounts that a process sees to the questions; prefix is put before the paths.
func (f *fileSystemSource) add(
	s *collector.Sample, to map[string]*question, known map[volume]*volumeAttributes, container string, pid int, prefix string,
) {
	mountinfo, err := f.reader.Read(f.pod.fs.Path(strconv.Itoa(pid), "mountinfo"))
	if err != nil {
		if !kernfile.Absent(err) {
			s.Fail(err)
		}
		return
	}
	mounts, err := fillable(mountinfo)
	s.Fail(err)
	for i := range mounts {
		m := &mounts[i]
		if len(f.volumes) >= maxVolumes {
			s.Note(fmt.Sprintf("more than %d mounts: the file systems of the rest are not reported", maxVolumes))
			return
		}
		v := volume{container, m.Source, m.Point, m.FS}
		if f.volumes[v] = known[v]; f.volumes[v] == nil {
			f.volumes[v] = newVolumeAttributes(v)
		}
		q := to[m.Device]
		if q == nil {
			q = &question{device: m.Device}
			to[m.Device] = q
		}
		q.mounts = append(q.mounts, askedMount{volume: v, path: prefix + m.Point})
	}
}

// take takes the answers of a file system, and says what is wrong with them.
func (f *fileSystemSource) take(s *collector.Sample, q *question) {
	delete(f.unanswered, q.device)
	f.answered[q.device] = q
	for i := range q.mounts {
		m := &q.mounts[i]
		err := m.err
		if err == nil {
			err = impossible(&m.figures)
		}
		switch {
		case f.volumes[m.volume] == nil || kernfile.Absent(err): // unmounted meanwhile
		case errors.Is(err, fs.ErrPermission):
			s.Note(fmt.Sprintf("the file system at %q may not be looked at", m.volume.point))
		case err != nil:
			s.Fail(fmt.Errorf("the file system at %q: %w", m.volume.point, err))
		}
	}
}

// report hands over what a file system answered.
func (f *fileSystemSource) report(s *collector.Sample, q *question) {
	for i := range q.mounts {
		m := &q.mounts[i]
		if a := f.volumes[m.volume]; a != nil && m.err == nil && f.pod.isThere(m.volume.container) {
			a.observe(s, &m.figures)
		}
	}
}

// isThere reports whether a container of the pod still is.
func (p *Pod) isThere(container string) bool {
	return container == p.containers.own.id || len(p.processes.inhabited[container]) > 0
}

// impossible says what cannot be in an answer.
func impossible(f *syscall.Statfs_t) error {
	switch {
	case !hasSize(f): // it has no points
	case f.Bfree > f.Blocks:
		return errors.New("more blocks are free than there are")
	case hasInodes(f) && f.Ffree > f.Files:
		return errors.New("more inodes are free than there are")
	}
	return nil
}

// hasSize reports whether a file system has a size, and not one beyond all numbers, which stands
// for none.
func hasSize(f *syscall.Statfs_t) bool {
	high, size := bits.Mul64(f.Blocks, uint64(f.Frsize))
	return high == 0 && size != 0 && size <= 1<<63-1
}

// hasInodes reports whether a file system counts them.
func hasInodes(f *syscall.Statfs_t) bool { return f.Files != 0 && f.Files <= 1<<62 }

// volumeAttributes are the attribute sets of the points of a mount.
type volumeAttributes struct{ base, used, free, reserved *collector.Attributes }

func newVolumeAttributes(v volume) *volumeAttributes {
	born := &collector.Birth{}
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
		base:     collector.With(born, base...),
		used:     with(born, base, semconv.SystemFilesystemStateUsed),
		free:     with(born, base, semconv.SystemFilesystemStateFree),
		reserved: with(born, base, semconv.SystemFilesystemStateReserved),
	}
}

// observe hands over the figures of a file system that are possible.
func (a *volumeAttributes) observe(s *collector.Sample, f *syscall.Statfs_t) {
	if !hasSize(f) || f.Bfree > f.Blocks {
		return
	}
	// where root uses what is reserved, it may be below 0
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
