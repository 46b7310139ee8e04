package source

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/poolgauge/poolgauge/collector"
	"github.com/poolgauge/poolgauge/collector/cgroup"
	"github.com/poolgauge/poolgauge/collector/proc"
	"github.com/poolgauge/poolgauge/internal/kernfile"
)

const (
	// recheckCount is how many known processes each scan inspects again, in turn. This covers every
	// process of a typical pod. On a node with thousands of processes, it takes several scans to
	// notice that a process was moved or that its pid was reused. A new process is always inspected
	// twice, since container runtimes move a process to its cgroup while it starts.
	recheckCount = 32
	// maxProcesses is the maximum number of processes that are reported. Forking servers have
	// hundreds.
	maxProcesses = 100
	// renameAfter is the number of inspections after which the name of a process's executable is
	// read again even if comm has not changed: the process may have called exec with another file
	// of the same name.
	renameAfter = 20
	// maxComm is the maximum length of a thread name in the kernel, in bytes.
	maxComm = 15
)

// processes finds and holds all processes in the PID namespace, including those that are not
// reported.
type processes struct {
	pod      *Pod
	errs     []error // from the last scan
	pids     []int
	known    map[int]*candidate
	cursor   int // processes with pids up to this one have been rechecked
	selected []*process
	// processes in other containers of the pod, by container id
	byContainer map[string][]*candidate
	own         []*candidate    // processes in the sidecar's container
	matched     map[string]bool // configured names that some process has had at any time
}

// candidate is the state of a process, whether reported or not.
type candidate struct {
	pid         int
	inspections int      // number of inspections so far
	started     int64    // clock ticks since boot; 0 if not yet read
	scan        uint64   // the last scan in which the process existed
	wanted      bool     // the process should be reported
	process     *process // nil if not wanted or if there are too many

	comm, name string
	statFile   kernfile.File
	cgroupFile kernfile.File

	file       string // contents of /proc/<pid>/cgroup, from which the fields below are derived
	locatedAt  uint64 // generation of the sidecar's container, on which these fields also depend
	malformed  error
	container  string            // id; "" if none or unknown
	membership cgroup.Membership // membership of the container
	inOwn      bool              // in the sidecar's container
	inOther    bool              // in another container of the pod
}

// process is a process that is reported.
type process struct {
	pid             int
	name, container string
	stat            proc.Stat // as of the last scan
	threads         proc.Threads
	attributes      processAttributes
}

// newProcess returns a process that started at born. own is true for the sidecar's own process,
// whose context switches are known since its start.
func newProcess(born *collector.StartTime, own bool, pid int, name, containerID string) *process {
	switched := &collector.StartTime{}
	if own {
		switched = born
	}
	return &process{
		pid: pid, name: name, container: containerID, threads: proc.Threads{RunDelayOnly: own},
		attributes: newProcessAttributes(born, switched, pid, name, containerID),
	}
}

// scan lists the processes and visits each of them, the sidecar's own first.
func (p *processes) scan() {
	p.errs = p.errs[:0]
	p.pids = p.pids[:0]
	// Outside a container and without configured names, only the sidecar's process is reported.
	if p.pod.containers.own.isContainer || len(p.pod.config.Processes) > 0 {
		var err error
		if p.pids, err = p.pod.fs.Pids(p.pids); err != nil {
			p.errs = append(p.errs, err)
		}
	}
	if p.known == nil {
		p.known, p.byContainer, p.matched = map[int]*candidate{}, map[string][]*candidate{}, map[string]bool{}
	}
	clear(p.byContainer)
	p.own = p.own[:0]
	p.selected = p.selected[:0]
	slices.Sort(p.pids)
	due := p.due()
	p.visit(p.pod.self, true)
	for _, pid := range p.pids {
		if pid != p.pod.self {
			p.visit(pid, due(pid))
		}
	}
	excess := false
	for pid, c := range p.known {
		if c.scan != p.pod.generation {
			delete(p.known, pid)
		}
		excess = excess || c.wanted && c.process == nil
	}
	if excess {
		p.errs = append(
			p.errs,
			fmt.Errorf(
				"more than %d processes: those with higher pids are not reported; select processes with --process",
				maxProcesses,
			),
		)
	}
}

// visit adds the process pid to the lists. If the process is new, due or reported, visit inspects
// it first.
func (p *processes) visit(pid int, due bool) {
	c := p.known[pid]
	if c == nil {
		c = &candidate{pid: pid}
	}
	room := len(p.selected) < maxProcesses
	if (c.inspections < 2 || due || c.wanted && room) && !p.inspect(c) {
		return
	}
	p.known[pid] = c
	c.scan = p.pod.generation
	switch {
	case c.wanted && room:
		p.selected = append(p.selected, c.process)
	case c.wanted:
		c.process = nil
	}
	if c.inOwn || pid == p.pod.self {
		p.own = append(p.own, c)
	}
	if c.inOther {
		p.byContainer[c.container] = append(p.byContainer[c.container], c)
	}
}

// due returns a function that reports whether this scan rechecks the process pid. It rechecks the
// next recheckCount processes in ascending order of pids.
func (p *processes) due() func(pid int) bool {
	first, _ := slices.BinarySearch(p.pids, p.cursor+1)
	last := min(first+recheckCount, len(p.pids))
	batch := p.pids[first:last]
	if p.cursor = 0; last < len(p.pids) {
		p.cursor = p.pids[last-1]
	}
	return func(pid int) bool { return len(batch) > 0 && pid >= batch[0] && pid <= batch[len(batch)-1] }
}

// inspect reads the files of the process c. It returns false if the process is gone.
func (p *processes) inspect(c *candidate) bool {
	c.inspections++
	err := p.locate(c)
	if exists := p.check(err); !p.mayBeWanted(c) {
		c.wanted, c.process = false, nil
		return exists
	}
	// A kernel without cgroups has no cgroup file, though the process exists.
	c.statFile.Path = p.pod.fs.Path(strconv.Itoa(c.pid), "stat")
	stat, err := p.pod.fs.Stat(&c.statFile)
	if err != nil {
		p.check(err)
		return false
	}
	if stat.StartTime != c.started || stat.Comm != c.comm || c.inspections%renameAfter == 0 {
		c.name = p.pod.fs.Executable(c.pid, stat.Comm)
		if c.pid == p.pod.self && p.pod.config.Self != "" {
			c.name = p.pod.config.Self
		}
	}
	c.started, c.comm = stat.StartTime, stat.Comm
	c.wanted = p.named(c.name, stat.Comm) || c.pid == p.pod.self || len(p.pod.config.Processes) == 0
	switch old := c.process; {
	case !c.wanted:
		c.process = nil
		return true
	case old == nil || old.name != c.name || old.container != c.container || old.stat.StartTime != stat.StartTime:
		// The process is new or has changed, or a new process has the pid of an earlier one.
		born := collector.StartedAt(stat.Started(p.pod.boot()))
		c.process = newProcess(born, c.pid == os.Getpid() && p.pod.real, c.pid, c.name, c.container)
	}
	c.process.stat = stat
	return true
}

// named reports whether a process has one of the configured names. name is the name of its
// executable; comm is its thread name, which the kernel truncates to 15 bytes.
func (p *processes) named(name, comm string) bool {
	found := false
	for _, one := range p.pod.config.Processes {
		if one == name || one == comm || len(comm) == maxComm && strings.HasPrefix(one, comm) {
			p.matched[one], found = true, true
		}
	}
	return found
}

// missing returns the configured names that no process has had so far.
func (p *processes) missing() (names []string) {
	for _, one := range p.pod.config.Processes {
		if !p.matched[one] {
			names = append(names, one)
		}
	}
	return names
}

// check returns false if err means that the process is gone. It records any other error, to be
// reported.
func (p *processes) check(err error) bool {
	if err != nil && !kernfile.Absent(err) {
		p.errs = append(p.errs, err)
	}
	return !kernfile.Absent(err)
}

// locate determines which container the process c is in, and whether that container belongs to the
// pod.
func (p *processes) locate(c *candidate) error {
	own := &p.pod.containers.own
	data, err := p.cgroupOf(c)
	if err != nil {
		c.file, c.locatedAt = "", 0
		c.container, c.membership, c.inOwn, c.inOther = "", cgroup.Membership{}, false, false
		return err
	}
	if data != c.file || c.locatedAt != own.generation {
		c.file, c.locatedAt = strings.Clone(data), own.generation
		var m cgroup.Membership
		if m, err = cgroup.ParseMembership([]byte(data)); err != nil {
			err = fmt.Errorf("%s: %w", p.pod.fs.Path(strconv.Itoa(c.pid), "cgroup"), err)
		}
		c.malformed = err
		c.container, c.membership = m.Container()
		c.inOwn = own.isContainer && c.membership.Within(own.membership)
		c.inOther = own.isContainer && !c.inOwn && c.container != "" && c.membership.Sibling(own.membership)
		if c.inOwn && c.container == "" {
			c.container = own.id
		}
	}
	return c.malformed
}

// cgroupOf returns the contents of c's cgroup file. For the sidecar's own process, it reuses the
// contents that the scan of the sidecar's container has just read, if any.
func (p *processes) cgroupOf(c *candidate) (string, error) {
	if own := &p.pod.containers; c.pid == p.pod.self && own.ownFile != "" {
		return own.ownFile, nil
	}
	c.cgroupFile.Path = p.pod.fs.Path(strconv.Itoa(c.pid), "cgroup")
	data, err := p.pod.fs.Cgroup(&c.cgroupFile, c.wanted)
	return string(data), err
}

// mayBeWanted reports whether c may have to be reported. It returns false for most processes of a
// node, so that no other files of these processes are read.
func (p *processes) mayBeWanted(c *candidate) bool {
	return c.pid == p.pod.self || c.inOwn || c.inOther || len(p.pod.config.Processes) > 0
}

// containerOf returns the id of the container that the process pid is in, or "" if the process is
// gone.
func (p *processes) containerOf(pid int) string {
	if c := p.known[pid]; c != nil {
		return c.container
	}
	return ""
}
