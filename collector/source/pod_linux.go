package source

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/poolgauge/poolgauge/collector"
	"github.com/poolgauge/poolgauge/collector/cgroup"
	"github.com/poolgauge/poolgauge/collector/proc"
)

// Pod finds the containers and processes of the sidecar's pod: the sidecar's container and, if the
// PID namespace is shared, the other containers.
//
// A container belongs to the pod if its cgroup has the same parent as that of the sidecar's
// container. With Docker's --pid=host, all containers therefore belong to the pod. The pod's
// processes are the processes in its containers.
//
// The sources of a pod share one scan per collection, which the first source performs. They must be
// collected one after the other, as a [collector.Producer] does. A Pod uses memory for each
// existing container and process.
type Pod struct {
	config     PodConfig
	fs         *proc.FS
	self       int
	real       bool         // fs is the /proc of this process
	tree       *cgroup.Tree // nil if no cgroup is visible
	treeErr    error        // why the tree is missing or incomplete, reported at every collection
	id         string       // id of the sidecar's container when NewPod was called
	generation uint64       // number of scans
	booted     time.Time    // when the machine booted
	bootScan   uint64       // the generation in which booted was read

	processes  processes
	containers containers

	statfs             func(path string, to *syscall.Statfs_t) error
	fileSystemInterval time.Duration
}

// NewPod returns the pod of the calling process. It returns an error only if cfg.CgroupRoot is set
// and no cgroups are mounted at or below it. The sources report all other errors.
func NewPod(cfg PodConfig) (*Pod, error) {
	if cfg.ProcRoot == "" {
		cfg.ProcRoot = "/proc"
	}
	tree, err := cgroup.Open(cgroup.Config{ProcRoot: cfg.ProcRoot, Below: cfg.CgroupRoot})
	if tree == nil && cfg.CgroupRoot != "" {
		return nil, err
	}
	p := &Pod{
		config:             cfg,
		fs:                 proc.NewFS(cfg.ProcRoot),
		self:               selfPID(cfg.ProcRoot),
		tree:               tree,
		treeErr:            err,
		real:               cfg.ProcRoot == "/proc",
		statfs:             syscall.Statfs,
		fileSystemInterval: fileSystemInterval,
	}
	p.processes.pod, p.containers.pod = p, p
	p.scan(new(uint64))
	p.id = p.containers.own.id
	if cfg.SkipContainers {
		p.tree, p.treeErr, p.config.Processes = nil, nil, nil
		p.containers = containers{pod: p}
	}
	return p, nil
}

// Sources returns the sources of the pod, in the order in which they must be collected.
func (p *Pod) Sources() []collector.Named {
	sources := []collector.Named{
		{Name: "container", Source: &containerSource{pod: p, seen: p.generation}},
		{Name: "pressure", Source: newPressureSource(p)},
		{Name: "process", Source: &processSource{pod: p, seen: p.generation}},
	}
	// Every mount belongs to the host or to a container, so if both are skipped, none is reported.
	if !p.config.SkipHost || !p.config.SkipContainers {
		sources = append(sources, collector.Named{Name: "filesystem", Source: newFileSystemSource(p)})
	}
	return sources
}

// ContainerID returns the id of the sidecar's container. It returns "" outside a container, or if
// the id is hidden: in a Kubernetes pod with a private cgroup namespace, the id is known only with
// CgroupRoot.
func (p *Pod) ContainerID() string { return p.id }

// pause is the name of the process that holds a pod's namespaces open.
const pause = "pause"

// Neighbor returns the id of the only container in the pod besides the sidecar's, as of the last
// collection. It returns "" if there is no such container or more than one. The pause container
// does not count.
func (p *Pod) Neighbor() (id string) {
	for other, candidates := range p.processes.byContainer {
		if onlyPause(candidates) {
			continue
		}
		if id != "" {
			return ""
		}
		id = other
	}
	return id
}

// onlyPause reports whether the given processes, which are all processes of a container, are those
// of the pod's pause container.
func onlyPause(candidates []*candidate) bool {
	return len(candidates) == 1 && candidates[0].process != nil && candidates[0].process.name == pause
}

// scan updates the pod, unless another source has done so since the calling source's last
// collection. seen points to the calling source's copy of the last generation that it saw, which
// scan updates.
func (p *Pod) scan(seen *uint64) {
	if *seen == p.generation {
		p.generation++
		p.containers.scanOwn()
		p.processes.scan()
		p.containers.scan()
	}
	*seen = p.generation
}

// boot returns when the machine booted. It reads the time again at each scan, since the clock may
// be adjusted.
func (p *Pod) boot() time.Time {
	if p.booted.IsZero() || p.bootScan != p.generation {
		p.booted, p.bootScan = p.fs.Boot(time.Now()), p.generation
	}
	return p.booted
}

// Close stops watching the containers. The sources must not be collected afterwards.
func (p *Pod) Close() { p.containers.ooms.close() }

// selfPID returns the pid of the calling process in the PID namespace of the proc file system at
// procRoot.
func selfPID(procRoot string) int {
	if target, err := os.Readlink(filepath.Join(procRoot, "self")); err == nil {
		if pid, err := strconv.Atoi(target); err == nil {
			return pid
		}
	}
	return os.Getpid()
}
