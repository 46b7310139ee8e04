package source

import (
	"encoding/binary"
	"os"
	"sync"
	"syscall"

	"github.com/poolgauge/poolgauge/collector/proc"
	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// ooms detects containers that ended because the OOM killer killed their main process. The group of
// such a container, and with it its counter, is removed some milliseconds later, so that no
// collection sees it. There are two ways to detect it:
//
//   - Under v2, inotify reports each change of memory.events, which is read at once.
//   - Otherwise, or if that came too late: the host's number of kills grew in the interval in which
//     a container with a memory limit ended. On a crowded node it may have been another pod's kill.
type ooms struct {
	reader  kernfile.Reader
	vmstat  kernfile.File
	host    int64 // kills on the host, as last read
	kills   int64 // of the last interval, not yet attributed to a container
	known   bool  // host was read
	watcher *watcher
	failed  bool // no watcher can be created
}

// read reads the host's number of kills, if there are containers that may end.
func (o *ooms) read(fs *proc.FS, needed bool) {
	o.kills = 0
	if !needed {
		o.known = false
		return
	}
	if o.vmstat.Path == "" {
		o.vmstat = kernfile.NewFile(fs.Path("vmstat"))
		o.vmstat.Chunked = true
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

// wasKilled reports whether a container that is gone was killed, and if so updates its last count.
func (o *ooms) wasKilled(g *group) bool {
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

// lastCount returns the last known count of a group, and whether it is final.
func (o *ooms) lastCount(g *group) (kills int64, sure bool) {
	if g.watchedFile != nil {
		kills, sure = o.watcher.remove(g.watchedFile)
	}
	if still := g.Memory(&o.reader, func(error) {}).Events.OOMKill; still.Defined {
		return max(kills, still.Value), true
	}
	return kills, sure
}

// limited reports whether the group or an ancestor has a memory limit.
func (g *group) limited() bool {
	limited := g.memory.Limit.Defined
	for _, one := range g.above {
		limited = limited || one.memory.Limit.Defined
	}
	return limited
}

// watch watches the events of a container's group, if the kernel reports them.
func (o *ooms) watch(g *group) {
	path := g.EventsPath()
	if path == "" || o.failed {
		return
	}
	if o.watcher == nil {
		var err error
		if o.watcher, err = newWatcher(); err != nil {
			o.failed = true // the host's count remains
			return
		}
	}
	g.watchedFile = o.watcher.add(path)
}

func (o *ooms) close() {
	if o.watcher != nil {
		o.watcher.close()
		o.watcher, o.failed = nil, true
	}
}

// watcher reads the memory.events of groups as soon as they change, in its own goroutine.
type watcher struct {
	inotify *os.File
	fd      int
	done    chan struct{}

	mu      sync.Mutex // guards what follows
	reader  kernfile.Reader
	watches map[int32]*watchedFile
}

// watchedFile is the memory.events of one group.
type watchedFile struct {
	number int32
	file   kernfile.File
	kills  kernfile.Optional[int64]
	missed bool // a change was reported too late to read it
}

func newWatcher() (*watcher, error) {
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	w := &watcher{
		inotify: os.NewFile(
			uintptr(fd),
			"inotify",
		),
		fd:      fd,
		done:    make(chan struct{}),
		watches: map[int32]*watchedFile{},
	}
	go w.run()
	return w, nil
}

// add watches a file. It returns nil if that is not possible.
func (w *watcher) add(path string) *watchedFile {
	w.mu.Lock()
	defer w.mu.Unlock()
	number, err := syscall.InotifyAddWatch(w.fd, path, syscall.IN_MODIFY)
	if err != nil {
		return nil
	}
	one := &watchedFile{
		number: int32(number),
		file:   kernfile.NewFile(path),
	} //nolint:gosec // the kernel counts them in an int
	one.read(&w.reader)
	w.watches[one.number] = one
	return one
}

// remove stops watching a file. It returns the number of kills that was last read, and whether no
// change was missed.
func (w *watcher) remove(one *watchedFile) (kills int64, all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.watches, one.number)
	// fails if the file was removed, and the watch with it
	_, _ = syscall.InotifyRmWatch(w.fd, uint32(one.number))
	return one.kills.Value, one.kills.Defined && !one.missed
}

func (w *watchedFile) read(r *kernfile.Reader) {
	data, err := r.ReadFile(&w.file)
	if err != nil {
		w.missed = true
		return
	}
	kernfile.Table(data, func(error) {}, kernfile.Key{Name: "oom_kill", To: &w.kills})
}

// run reads each file that changes until the watcher is closed.
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
			if mask&syscall.IN_MODIFY != 0 { // otherwise the file was removed, and the watch with it
				w.changed(number)
			}
		}
	}
}

func (w *watcher) changed(number int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one := w.watches[number]; one != nil {
		one.read(&w.reader)
	}
}

func (w *watcher) close() {
	_ = w.inotify.Close() // ends the goroutine; nothing was written
	<-w.done
}
