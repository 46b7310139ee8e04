package source

import (
	"encoding/binary"
	"os"
	"sync"
	"syscall"

	"github.com/poolgauge/poolgauge/collector/proc"
	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// ooms finds out which containers ended because the kernel killed their main process for want of
// memory. The group of such a container is gone some milliseconds later, with its count, so that no
// collection sees it. There are two ways:
//
//   - Under v2 the kernel announces each change of memory.events. It is read then, and not at the
//     next collection.
//   - Else, and if that came too late: the host's count of kills grew in the interval in which a
//     container with a memory limit ended. Two that coincide on a crowded node may be counted as
//     one of ours.
type ooms struct {
	reader  kernfile.Reader
	vmstat  kernfile.File
	host    int64 // kills on the host so far
	kills   int64 // of the last interval that no container has been found for
	known   bool  // host was read
	watcher *watcher
	failed  bool // there is no watcher
}

// read takes the host's count, if there are containers that may end.
func (o *ooms) read(fs *proc.FS, needed bool) {
	o.kills = 0
	if !needed {
		o.known = false
		return
	}
	if o.vmstat.Path == "" {
		o.vmstat = kernfile.NewFile(fs.Path("vmstat"))
		o.vmstat.Pieces = true
	}
	var now kernfile.Optional[int64]
	if data, err := o.reader.ReadFile(&o.vmstat); err == nil {
		kernfile.Table(data, func(error) {}, kernfile.Key{Name: "oom_kill", To: &now})
	}
	if now.Defined && o.known {
		o.kills = max(0, now.Value-o.host)
	}
	o.known, o.host = now.Defined, now.Value
}

// took tells whether a container that is gone was killed, and sets its last count then.
func (o *ooms) took(g *group) bool {
	before := g.memory.Events.OOMKill.Value
	last, sure := o.lastCount(g)
	switch {
	case last > before:
		o.kills -= last - before
	case sure, o.kills <= 0, !g.limited():
		return false
	default:
		last = before + 1
		o.kills--
	}
	g.memory.Events.OOMKill = kernfile.Some(last)
	return true
}

// lastCount returns the last count of a group's own file, and whether it cannot have grown since.
func (o *ooms) lastCount(g *group) (kills int64, sure bool) {
	if g.watched != nil {
		kills, sure = o.watcher.forget(g.watched)
	}
	if still := g.Memory(&o.reader, func(error) {}).Events.OOMKill; still.Defined {
		return max(kills, still.Value), true
	}
	return kills, sure
}

// limited tells whether the group or one above it has a memory limit.
func (g *group) limited() bool {
	limited := g.memory.Limit.Defined
	for _, one := range g.above {
		limited = limited || one.memory.Limit.Defined
	}
	return limited
}

// watch follows the events of a container's group, where the kernel announces them.
func (o *ooms) watch(g *group) {
	path := g.EventsPath()
	if path == "" || o.failed {
		return
	}
	if o.watcher == nil {
		var err error
		if o.watcher, err = newWatcher(); err != nil {
			o.failed = true // the host's count is left
			return
		}
	}
	g.watched = o.watcher.add(path)
}

func (o *ooms) close() {
	if o.watcher != nil {
		o.watcher.close()
		o.watcher, o.failed = nil, true
	}
}

// watcher reads memory.events of groups as soon as they change, in a goroutine of its own.
type watcher struct {
	inotify *os.File
	fd      int
	done    chan struct{}

	mu      sync.Mutex // guards what follows
	reader  kernfile.Reader
	watches map[int32]*watched
}

// watched is a group that is followed.
type watched struct {
	number int32
	file   kernfile.File
	kills  kernfile.Optional[int64]
	missed bool // a change was announced too late to read it
}

func newWatcher() (*watcher, error) {
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	w := &watcher{
		inotify: os.NewFile(uintptr(fd), "inotify"), fd: fd, done: make(chan struct{}), watches: map[int32]*watched{},
	}
	go w.run()
	return w, nil
}

// add follows a file; nil if that is not possible.
func (w *watcher) add(path string) *watched {
	w.mu.Lock()
	defer w.mu.Unlock()
	number, err := syscall.InotifyAddWatch(w.fd, path, syscall.IN_MODIFY)
	if err != nil {
		return nil
	}
	one := &watched{
		number: int32(number),
		file:   kernfile.NewFile(path),
	} //nolint:gosec // the kernel counts them in an int
	one.read(&w.reader)
	w.watches[one.number] = one
	return one
}

// forget ends the watch of a file and returns how many kills were last read in it, and whether that
// was all.
func (w *watcher) forget(one *watched) (kills int64, all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.watches, one.number)
	// fails when the file is gone, and the watch with it
	_, _ = syscall.InotifyRmWatch(w.fd, uint32(one.number))
	return one.kills.Value, one.kills.Defined && !one.missed
}

func (w *watched) read(r *kernfile.Reader) {
	data, err := r.ReadFile(&w.file)
	if err != nil {
		w.missed = true
		return
	}
	kernfile.Table(data, func(error) {}, kernfile.Key{Name: "oom_kill", To: &w.kills})
}

// run reads each file that is announced until the watcher is closed.
func (w *watcher) run() {
	defer close(w.done)
	buf := make([]byte, 4096)
	for {
		n, err := w.inotify.Read(buf)
		if err != nil {
			return
		}
		for rest := buf[:n]; len(rest) >= syscall.SizeofInotifyEvent; {
			number := int32(binary.NativeEndian.Uint32(rest)) //nolint:gosec // as the kernel writes it
			mask, name := binary.NativeEndian.Uint32(rest[4:]), binary.NativeEndian.Uint32(rest[12:])
			rest = rest[min(len(rest), syscall.SizeofInotifyEvent+int(name)):]
			if mask&syscall.IN_MODIFY != 0 { // else the file is gone, and the watch with it
				w.announced(number)
			}
		}
	}
}

func (w *watcher) announced(number int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one := w.watches[number]; one != nil {
		one.read(&w.reader)
	}
}

func (w *watcher) close() {
	_ = w.inotify.Close() // ends the goroutine's reading; nothing was written
	<-w.done
}
