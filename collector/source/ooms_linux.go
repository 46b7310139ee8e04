package source

import (
	"encoding/binary"
	"os"
	"sync"
	"syscall"

	"github.com/poolgauge/poolgauge/collector/proc"
	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// ooms detects containers that exited because the OOM killer killed their main process. A few
// milliseconds after the kill, the container's cgroup is removed together with its counter of
// kills, so collections never see the counter increase. There are two ways to detect such a kill:
//
//   - Under v2, inotify reports each change of memory.events, and the file is read immediately.
//   - Otherwise, or if inotify reported the change too late, a container with a memory limit counts
//     as killed if the host's number of kills increased in the interval in which the container
//     exited. On a crowded node, that kill may have been in another pod.
type ooms struct {
	reader  kernfile.Reader
	vmstat  kernfile.File
	host    int64 // number of kills on the host at the last reading
	kills   int64 // number of kills in the last interval that are not yet attributed to a container
	known   bool  // host is valid
	watcher *watcher
	failed  bool // a watcher cannot be created
}

// read reads the host's number of kills. If needed is false, because there are no containers to
// attribute kills to, it only resets the state.
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

// wasKilled reports whether the OOM killer killed the container of g, which no longer exists. If
// so, it updates the number of kills in g.
func (o *ooms) wasKilled(g *group) bool {
	before := g.memory.Events.OOMKill.Value
	last, final := o.lastCount(g)
	switch {
	case last > before:
		o.kills -= last - before
	case final, o.kills <= 0, !g.limited():
		return false
	default:
		last = before + 1
		o.kills--
	}
	g.memory.Events.OOMKill = kernfile.Some(last)
	return true
}

// lastCount returns the last known number of kills in g. final reports whether no kill can have
// been missed.
func (o *ooms) lastCount(g *group) (kills int64, final bool) {
	if g.watchedFile != nil {
		kills, final = o.watcher.remove(g.watchedFile)
	}
	if current := g.Memory(&o.reader, func(error) {}).Events.OOMKill; current.Defined {
		return max(kills, current.Value), true
	}
	return kills, final
}

// limited reports whether the cgroup or an ancestor has a memory limit.
func (g *group) limited() bool {
	limited := g.memory.Limit.Defined
	for _, ancestor := range g.above {
		limited = limited || ancestor.memory.Limit.Defined
	}
	return limited
}

// watch watches the memory events of g, a container's cgroup, if the kernel supports that.
func (o *ooms) watch(g *group) {
	path := g.EventsPath()
	if path == "" || o.failed {
		return
	}
	if o.watcher == nil {
		var err error
		if o.watcher, err = newWatcher(); err != nil {
			o.failed = true // the host's count is used instead
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

// watcher reads the memory.events files of cgroups as soon as they change, in its own goroutine.
type watcher struct {
	inotify *os.File
	fd      int
	done    chan struct{}

	mu      sync.Mutex // guards everything below
	reader  kernfile.Reader
	watches map[int32]*watchedFile
}

// watchedFile is the memory.events file of one cgroup.
type watchedFile struct {
	number int32
	file   kernfile.File
	kills  kernfile.Optional[int64]
	missed bool // a change was reported too late: the file was gone
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

// add watches the file at path. It returns nil if the file cannot be watched.
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
	} //nolint:gosec // the kernel counts watches in an int
	one.read(&w.reader)
	w.watches[one.number] = one
	return one
}

// remove stops watching a file. kills is the last number of kills read from the file; complete
// reports whether every change to it was read.
func (w *watcher) remove(one *watchedFile) (kills int64, complete bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.watches, one.number)
	// This fails if the file was removed, which also removes the watch.
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

// run reads each watched file when it changes, until the watcher is closed.
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
			if mask&syscall.IN_MODIFY != 0 { // otherwise the file and its watch were removed
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
	_ = w.inotify.Close() // makes run return
	<-w.done
}
