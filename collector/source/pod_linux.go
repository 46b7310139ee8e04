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

// Pod finds the containers and processes of the pod: the own container, and with a shared PID
// namespace those beside it.
//
// A container is of the pod when the own process is in a container too and their control groups
// have the same parent; so are all containers that Docker shows to one with --pid=host. The
// processes of the pod are those in these containers.
//
// Its sources share one scan a collection, made by the first of them; they must be collected one
// after the other, as a [collector.Producer] does. Memory is bounded by the containers and processes that
// exist.
type Pod struct {
	config     PodConfig
	fs         *proc.FS
	self       int
	real       bool         // fs is the kernel's own, of this process
	tree       *cgroup.Tree // nil where no control group is visible
	broken     error        // what was wrong with the tree, reported at every collection
	id         string       // of the own container when the pod was made
	generation uint64       // number of scans made
	booted     time.Time    // as of the scan before
	bootedAt   uint64       // that scan

	processes  processes
	containers containers

	statfs           func(path string, to *syscall.Statfs_t) error
	fileSystemsEvery time.Duration
}

// NewPod returns the pod of the calling process. An error says that cfg.CgroupRoot has no control
// groups; whatever else cannot be read is reported by the sources.
func NewPod(cfg PodConfig) (*Pod, error) {
	if cfg.ProcRoot == "" {
		cfg.ProcRoot = "/proc"
	}
	tree, err := cgroup.Open(cgroup.Config{ProcRoot: cfg.ProcRoot, Below: cfg.CgroupRoot})
	if tree == nil && cfg.CgroupRoot != "" {
		return nil, err
	}
	p := &Pod{
		config:           cfg,
		fs:               proc.NewFS(cfg.ProcRoot),
		self:             selfPID(cfg.ProcRoot),
		tree:             tree,
		broken:           err,
		real:             cfg.ProcRoot == "/proc",
		statfs:           syscall.Statfs,
		fileSystemsEvery: fileSystemsEvery,
	}
	p.processes.pod, p.containers.pod = p, p
	p.scan(new(uint64))
	p.id = p.containers.own.id
	if cfg.SkipContainers {
		p.tree, p.broken, p.config.Processes = nil, nil, nil
		p.containers = containers{pod: p}
	}
	return p, nil
}

// Sources returns what this platform can tell of the pod, in the order in which it should be
// registered.
func (p *Pod) Sources() []collector.Named {
	sources := []collector.Named{
		{Name: "container", Source: &containerSource{pod: p, seen: p.generation}},
		{Name: "pressure", Source: newPressureSource(p)},
		{Name: "process", Source: &processSource{pod: p, seen: p.generation}},
	}
	// mounts are those of a host or of containers
	if !p.config.SkipHost || !p.config.SkipContainers {
		sources = append(sources, collector.Named{Name: "filesystem", Source: newFileSystemSource(p)})
	}
	return sources
}

// ContainerID returns the id of the own container, "" outside a container or where it is hidden: a
// Kubernetes pod with a private cgroup namespace shows its containers no id of their own, unless
// CgroupRoot is given.
func (p *Pod) ContainerID() string { return p.id }

// pause is the name of the process that keeps a pod's namespaces.
const pause = "pause"

// Neighbor returns the id of the container beside the own one, as of the last collection: "" if
// none is visible, or more than one. The container of a pod's pause process does not count.
func (p *Pod) Neighbor() (id string) {
	for one, inside := range p.processes.inhabited {
		if onlyPause(inside) {
			continue
		}
		if id != "" {
			return ""
		}
		id = one
	}
	return id
}

// onlyPause reports whether a container is that of the pod's pause process.
func onlyPause(inside []*candidate) bool {
	return len(inside) == 1 && inside[0].process != nil && inside[0].process.name == pause
}

// scan brings the pod up to date unless another source has done so since the caller's last
// collection, of which seen remembers the generation.
func (p *Pod) scan(seen *uint64) {
	if *seen == p.generation {
		p.generation++
		p.containers.scanOwn()
		p.processes.scan()
		p.containers.scan()
	}
	*seen = p.generation
}

// boot returns when the machine was booted. It is read once a scan at most, since the clock may be
// set.
func (p *Pod) boot() time.Time {
	if p.booted.IsZero() || p.bootedAt != p.generation {
		p.booted, p.bootedAt = p.fs.Boot(time.Now()), p.generation
	}
	return p.booted
}

// Close ends what follows the containers between collections. The sources must not be collected any
// more.
func (p *Pod) Close() { p.containers.ooms.close() }

// selfPID is the own pid as the proc file system numbers it, which may be that of another PID
// namespace.
func selfPID(procRoot string) int {
	if target, err := os.Readlink(filepath.Join(procRoot, "self")); err == nil {
		if pid, err := strconv.Atoi(target); err == nil {
			return pid
		}
	}
	return os.Getpid()
}
