package collector

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

	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/kernfile"
)

const (
	// fileSystemsEvery is how often file systems are asked: a little less than the default interval, so that each collection of it does.
	fileSystemsEvery = 9 * time.Second
	// answerWithin bounds how long a collection waits for the file systems that it asked.
	answerWithin = 100 * time.Millisecond
	// maxUnanswered bounds the file systems that are asked at a time, and so the threads of those that never answer.
	maxUnanswered = 32
	// maxVolumes bounds the series.
	maxVolumes = 64
)

// fileSystemSource reports how full the file systems are that the containers of the pod have mounted to be written.
//
// Asking one may block for ever, as when its server is gone. So each is asked by a goroutine of its own, and not again before it has
// answered: its mounts have no points until then, and each collection that would have asked it counts an error.
type fileSystemSource struct {
	pod        *Pod
	seen       uint64
	reader     kernfile.Reader
	asked      time.Time
	unanswered map[string]bool // by device
	answers    chan *question  // with room for all that are unanswered, so that none waits to be read
	volumes    map[volume]*volumeAttributes
}

// volume is a mount of a container.
type volume struct{ container, device, point, fs string }

// question is what one file system is asked: how full it is at each of its mounts, which may have quotas of their own.
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
		pod: p, seen: p.generation, unanswered: map[string]bool{}, answers: make(chan *question, maxUnanswered),
	}
}

// Collect implements [Source].
func (f *fileSystemSource) Collect(_ context.Context, s *Sample) {
	f.pod.scan(&f.seen)
	now := time.Now()
	if !f.asked.IsZero() && now.Sub(f.asked) < f.pod.fileSystemsEvery {
		return
	}
	f.asked = now
	questions := f.questions(s)
	for len(f.answers) > 0 { // those that came after the last collection had stopped waiting
		late := <-f.answers
		f.report(s, late)
		delete(questions, late.device)
	}
	asked := 0
	for device, q := range questions {
		switch {
		case f.unanswered[device]:
			s.Fail(fmt.Errorf("the file system at %q does not answer", q.mounts[0].volume.point))
		case len(f.unanswered) >= maxUnanswered:
			s.Fail(fmt.Errorf("the file system at %q is not asked: %d others do not answer", q.mounts[0].volume.point, maxUnanswered))
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
			f.report(s, q)
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
func (f *fileSystemSource) questions(s *Sample) map[string]*question {
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
	s *Sample, to map[string]*question, known map[volume]*volumeAttributes, container string, pid int, prefix string,
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

// report takes the answers of a file system.
func (f *fileSystemSource) report(s *Sample, q *question) {
	delete(f.unanswered, q.device)
	for i := range q.mounts {
		m := &q.mounts[i]
		a := f.volumes[m.volume]
		switch {
		case a == nil || kernfile.Absent(m.err): // unmounted meanwhile
		case errors.Is(m.err, fs.ErrPermission):
			s.Note(fmt.Sprintf("the file system at %q may not be looked at", m.volume.point))
		case m.err != nil:
			s.Fail(fmt.Errorf("the file system at %q: %w", m.volume.point, m.err))
		default:
			s.Fail(a.observe(s, &m.figures, m.volume.point))
		}
	}
}

// volumeAttributes are the attribute sets of the points of a mount.
type volumeAttributes struct{ base, used, free, reserved *Attributes }

func newVolumeAttributes(v volume) *volumeAttributes {
	born := &Birth{}
	base := []attribute.KeyValue{
		semconv.SystemDevice(v.device), semconv.SystemFilesystemMountpoint(v.point), semconv.SystemFilesystemTypeKey.String(v.fs),
	}
	if v.container != "" {
		base = append(base, semconv.ContainerID(v.container))
	}
	return &volumeAttributes{
		base:     With(born, base...),
		used:     with(born, base, semconv.SystemFilesystemStateUsed),
		free:     with(born, base, semconv.SystemFilesystemStateFree),
		reserved: with(born, base, semconv.SystemFilesystemStateReserved),
	}
}

// observe hands over the figures of a file system, unless it has no size, or one beyond all numbers, which stands for none.
func (a *volumeAttributes) observe(s *Sample, f *syscall.Statfs_t, point string) error {
	unit := uint64(f.Frsize)
	if high, size := bits.Mul64(f.Blocks, unit); high != 0 || size == 0 || size > 1<<63-1 {
		return nil
	}
	if f.Bfree > f.Blocks {
		return fmt.Errorf("the file system at %q: more blocks are free than there are", point)
	}
	available := min(f.Bavail, f.Bfree) // where root uses what is reserved, it may be below 0
	for _, of := range []struct {
		state  *Attributes
		blocks uint64
	}{{a.used, f.Blocks - f.Bfree}, {a.free, available}, {a.reserved, f.Bfree - available}} {
		s.Int(catalog.SystemFilesystemUsage, int64(of.blocks*unit), of.state)
	}
	s.Int(catalog.SystemFilesystemLimit, int64(f.Blocks*unit), a.base)
	if f.Files == 0 || f.Files > 1<<62 {
		return nil
	}
	if f.Ffree > f.Files {
		return fmt.Errorf("the file system at %q: more inodes are free than there are", point)
	}
	s.Int(catalog.FilesystemInodes, int64(f.Files-f.Ffree), a.used)
	s.Int(catalog.FilesystemInodes, int64(f.Ffree), a.free)
	return nil
}
