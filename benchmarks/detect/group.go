package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const cgroupMount = "/sys/fs/cgroup"

// pod is a cgroup with two containers, in every hierarchy that the sidecar reads. The cgroups are
// named as container runtimes name them.
type pod struct {
	hierarchies []string // mount points
	v2          bool     // the unified hierarchy is the only one
	groups      []string // paths below each mount point, parent first
}

// The IDs of the pod's containers. The sidecar recognizes a container ID by its 64 hexadecimal
// digits.
var (
	sidecarID = strings.Repeat("5", 64)
	targetID  = strings.Repeat("7", 64)
)

// newPod creates a pod. The error wraps errSkipped if the system does not permit creating cgroups.
// The caller must remove the pod.
func newPod() (*pod, error) {
	p := &pod{v2: exists(filepath.Join(cgroupMount, "cgroup.controllers"))}
	p.hierarchies = mounted(p.v2)
	if len(p.hierarchies) == 0 {
		return nil, fmt.Errorf("%w: no cgroups at %s", errSkipped, cgroupMount)
	}
	const parent = "poolgauge-detect"
	for _, group := range []string{parent, parent + "/" + sidecarID, parent + "/" + targetID} {
		p.groups = append(p.groups, group)
		for _, hierarchy := range p.hierarchies {
			if err := os.Mkdir(filepath.Join(hierarchy, group), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				p.remove()
				return nil, fmt.Errorf("%w: cannot create a cgroup: %w", errSkipped, err)
			}
		}
	}
	if err := p.delegate(); err != nil {
		p.remove()
		return nil, err
	}
	return p, nil
}

// mounted returns the mount points of the hierarchies to use: if v2 is true, only the unified
// hierarchy; otherwise, those of the v1 controllers and, for its pressure files, the unified
// hierarchy.
func mounted(v2 bool) (dirs []string) {
	if v2 {
		return []string{cgroupMount}
	}
	for _, name := range []string{"cpu", "cpuacct", "memory", "blkio", "unified"} {
		if dir := filepath.Join(cgroupMount, name); exists(filepath.Join(dir, "cgroup.procs")) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// delegate enables the controllers for the containers, as cgroup v2 requires.
func (p *pod) delegate() error {
	if !p.v2 {
		return nil
	}
	for _, dir := range []string{cgroupMount, filepath.Join(cgroupMount, p.groups[0])} {
		for _, controller := range []string{"cpu", "memory", "io"} {
			err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0)
			if err != nil && controller == "cpu" {
				return fmt.Errorf("%w: %w", errSkipped, err)
			}
		}
	}
	return nil
}

// remove removes the pod's cgroups. Their processes must have exited.
func (p *pod) remove() {
	for i := len(p.groups) - 1; i >= 0; i-- {
		for _, hierarchy := range p.hierarchies {
			_ = os.Remove(filepath.Join(hierarchy, p.groups[i]))
		}
	}
}

// procs returns the files to which a process writes its ID to enter the given container. They are
// separated by colons, as the function enter expects.
func (p *pod) procs(id string) string {
	var files []string
	for _, hierarchy := range p.hierarchies {
		files = append(files, filepath.Join(hierarchy, p.groups[0], id, "cgroup.procs"))
	}
	return strings.Join(files, ":")
}

// limitCPU sets the CPU quota of the given container.
func (p *pod) limitCPU(id string, cpus float64) error {
	const period = 100 * time.Millisecond
	quota := strconv.Itoa(int(cpus * float64(period.Microseconds())))
	if p.v2 {
		return os.WriteFile(
			filepath.Join(cgroupMount, p.groups[0], id, "cpu.max"),
			[]byte(quota+" "+strconv.FormatInt(period.Microseconds(), 10)),
			0,
		)
	}
	return os.WriteFile(filepath.Join(cgroupMount, "cpu", p.groups[0], id, "cpu.cfs_quota_us"), []byte(quota), 0)
}

// limitWrites limits the given container to perSecond writes per second to the disk that holds dir.
// If perSecond is 0, it removes the limit.
func (p *pod) limitWrites(id, dir string, perSecond int) error {
	device, err := deviceOf(dir)
	if err != nil {
		return err
	}
	file := filepath.Join(cgroupMount, "blkio", p.groups[0], id, "blkio.throttle.write_iops_device")
	text := fmt.Sprintf("%s %d", device, perSecond)
	if p.v2 {
		file = filepath.Join(cgroupMount, p.groups[0], id, "io.max")
		text = fmt.Sprintf("%s wiops=%d", device, perSecond)
		if perSecond == 0 {
			text = device + " wiops=max"
		}
	}
	if err := os.WriteFile(file, []byte(text), 0); err != nil {
		return fmt.Errorf("%w: the kernel cannot throttle this disk: %w", errSkipped, err)
	}
	return nil
}

// deviceOf returns the device number of the disk that holds dir, as major:minor.
func deviceOf(dir string) (string, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(dir, &st); err != nil {
		return "", err
	}
	major, minor := unix.Major(st.Dev), unix.Minor(st.Dev)
	if major == 0 {
		return "", fmt.Errorf("%w: %s is not on a disk", errSkipped, dir)
	}
	return fmt.Sprintf("%d:%d", major, minor), nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
