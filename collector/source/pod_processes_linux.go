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
	// recheck is how many known processes are looked at again in one scan, in turn: enough to see
	// every process of a pod each time, and a bound on a node with thousands of them, where a
	// process that was moved or whose pid was used again is then noticed some scans later. A new
	// process is looked at twice in any case, since a runtime moves it when it starts.
	recheck = 32
	// maxProcesses bounds the number of series and the cost. Forking servers have hundreds of
	// processes of one name.
	maxProcesses = 100
	// rename is after how many looks the executable of a process is looked up again, unless its
	// comm changed: a process may execute another file of the same name.
	rename = 20
	// maxComm is what the kernel keeps of the name of a thread.
	maxComm = 15
)

// processes are all processes that the PID namespace shows, and those that are reported.
type processes struct {
	pod      *Pod
	errs     []error // of the last scan
	pids     []int
	known    map[int]*candidate
	cursor   int // pids up to here have had their recheck
	selected []*process
	// the processes in other containers of the pod, by container id
	inhabited map[string][]*candidate
	own       []*candidate    // the processes in the own container
	matched   map[string]bool // which of the names of the configuration a process has ever had
}

// candidate is what is remembered of a process, reported or not.
type candidate struct {
	pid     int
	looks   int      // how often it was looked at
	started int64    // clock ticks after the boot; 0 if that was not read
	scan    uint64   // the last one in which it existed
	wanted  bool     // to be reported
	process *process // nil if not wanted, or if there are too many

	comm, name string
	statFile   kernfile.File
	cgroupFile kernfile.File

	file       string // /proc/<pid>/cgroup, of which follow:
	placed     uint64 // and from the own container of this generation
	malformed  error
	container  string            // id, "" if none or unknown
	membership cgroup.Membership // of that container
	inOwn      bool              // in the own container
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

// newProcess returns a process that was born some time. Of the caller's own the kernel tells more.
func newProcess(born *collector.Birth, own bool, pid int, name, containerID string) *process {
	switched := &collector.Birth{}
	if own {
		switched = born
	}
	return &process{
		pid: pid, name: name, container: containerID, threads: proc.Threads{RunDelayOnly: own},
		attributes: newProcessAttributes(born, switched, pid, name, containerID),
	}
}

// scan lists the processes and visits each, the own one first.
func (p *processes) scan() {
	p.errs = p.errs[:0]
	p.pids = p.pids[:0]
	// else there is nobody to look for
	if p.pod.containers.own.inside || len(p.pod.config.Processes) > 0 {
		var err error
		if p.pids, err = p.pod.fs.Pids(p.pids); err != nil {
			p.errs = append(p.errs, err)
		}
	}
	if p.known == nil {
		p.known, p.inhabited, p.matched = map[int]*candidate{}, map[string][]*candidate{}, map[string]bool{}
	}
	clear(p.inhabited)
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
			fmt.Errorf("more than %d processes: the rest, by pid, is not reported; --process selects", maxProcesses),
		)
	}
}

// visit takes a process that exists into account, and looks at it first if it is new, due or
// reported.
func (p *processes) visit(pid int, due bool) {
	c := p.known[pid]
	if c == nil {
		c = &candidate{pid: pid}
	}
	room := len(p.selected) < maxProcesses
	if (c.looks < 2 || due || c.wanted && room) && !p.look(c) {
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
		p.inhabited[c.container] = append(p.inhabited[c.container], c)
	}
}

// due returns whose turn it is, of the pids in ascending order, for this scan's recheck.
func (p *processes) due() func(pid int) bool {
	first, _ := slices.BinarySearch(p.pids, p.cursor+1)
	last := min(first+recheck, len(p.pids))
	turn := p.pids[first:last]
	if p.cursor = 0; last < len(p.pids) {
		p.cursor = p.pids[last-1]
	}
	return func(pid int) bool { return len(turn) > 0 && pid >= turn[0] && pid <= turn[len(turn)-1] }
}

// look reads what is to be known of a process now. It is false for one that is gone.
func (p *processes) look(c *candidate) bool {
	c.looks++
	err := p.place(c)
	if there := p.check(err); !p.mayBeWanted(c) {
		c.wanted, c.process = false, nil
		return there
	}
	// A kernel without control groups has no file that tells the place of a process that is there.
	c.statFile.Path = p.pod.fs.Path(strconv.Itoa(c.pid), "stat")
	stat, err := p.pod.fs.Stat(&c.statFile)
	if err != nil {
		p.check(err)
		return false
	}
	if stat.StartTime != c.started || stat.Comm != c.comm || c.looks%rename == 0 {
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
		born := collector.BornAt(stat.Started(p.pod.boot()))
		// or another one under the same pid
		c.process = newProcess(born, c.pid == os.Getpid() && p.pod.real, c.pid, c.name, c.container)
	}
	c.process.stat = stat
	return true
}

// named tells whether a process has one of the names that were asked for, by its executable or by
// its comm, which the kernel cuts at 15 bytes.
func (p *processes) named(name, comm string) bool {
	found := false
	for _, one := range p.pod.config.Processes {
		if one == name || one == comm || len(comm) == maxComm && strings.HasPrefix(one, comm) {
			p.matched[one], found = true, true
		}
	}
	return found
}

// missing returns the names that no process has had so far.
func (p *processes) missing() (names []string) {
	for _, one := range p.pod.config.Processes {
		if !p.matched[one] {
			names = append(names, one)
		}
	}
	return names
}

// check reports an error unless it says that the process is gone, for which it is false.
func (p *processes) check(err error) bool {
	if err != nil && !kernfile.Absent(err) {
		p.errs = append(p.errs, err)
	}
	return !kernfile.Absent(err)
}

// place finds out which container a process is in, and whether that is of the pod.
func (p *processes) place(c *candidate) error {
	own := &p.pod.containers.own
	data, err := p.cgroupOf(c)
	if err != nil {
		c.file, c.placed = "", 0
		c.container, c.membership, c.inOwn, c.inOther = "", cgroup.Membership{}, false, false
		return err
	}
	if data != c.file || c.placed != own.generation {
		c.file, c.placed = strings.Clone(data), own.generation
		var m cgroup.Membership
		if m, err = cgroup.ParseMembership([]byte(data)); err != nil {
			err = fmt.Errorf("%s: %w", p.pod.fs.Path(strconv.Itoa(c.pid), "cgroup"), err)
		}
		c.malformed = err
		c.container, c.membership = m.Container()
		c.inOwn = own.inside && c.membership.Within(own.membership)
		c.inOther = own.inside && !c.inOwn && c.container != "" && c.membership.Sibling(own.membership)
		if c.inOwn && c.container == "" {
			c.container = own.id
		}
	}
	return c.malformed
}

// cgroupOf reads the cgroup file of a process, unless the scan of the own container has just done
// so.
func (p *processes) cgroupOf(c *candidate) (string, error) {
	if own := &p.pod.containers; c.pid == p.pod.self && own.ownFile != "" {
		return own.ownFile, nil
	}
	c.cgroupFile.Path = p.pod.fs.Path(strconv.Itoa(c.pid), "cgroup")
	data, err := p.pod.fs.Cgroup(&c.cgroupFile, c.wanted)
	return string(data), err
}

// mayBeWanted is false for most processes of a node, of which no more is read then.
func (p *processes) mayBeWanted(c *candidate) bool {
	return c.pid == p.pod.self || c.inOwn || c.inOther || len(p.pod.config.Processes) > 0
}

// containerOf returns the container that a process is in, "" if the process is gone.
func (p *processes) containerOf(pid int) string {
	if c := p.known[pid]; c != nil {
		return c.container
	}
	return ""
}
