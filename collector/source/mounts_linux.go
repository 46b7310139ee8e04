package source

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/poolgauge/poolgauge/collector/proc"
)

// closedTypes are the types of file systems that are no place for files, or that asking would
// mount. Others of the kernel have no size.
var closedTypes = []string{"autofs", "devtmpfs", "nsfs", "rpc_pipefs", "fuse.lxcfs", "fuse.gvfsd-fuse", "fuse.portal"}

// closedPlaces are where mounts say nothing of their own: files of the kernel and of runtimes, and
// what runtimes mount for containers, which those report themselves.
var closedPlaces = []string{
	"/proc", "/sys", "/dev", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run/.containerenv", "/run/secrets",
	"/run/credentials", "/run/user", "/run/containerd", "/run/docker", "/run/netns",
	"/var/lib/docker", "/var/lib/containers", "/var/lib/containerd", "/var/lib/kubelet/pods",
}

// mayFill reports whether a mount is a place for files.
func mayFill(m *proc.Mount) bool {
	switch {
	case m.ReadOnly() || slices.Contains(closedTypes, m.FS):
		return false
	case m.FS == "overlay":
		return m.Point == "/" // others are the roots of containers
	case m.Point == "/dev/shm":
		return true
	}
	return !slices.ContainsFunc(closedPlaces, func(place string) bool {
		rest, below := strings.CutPrefix(m.Point, place)
		return below && (rest == "" || rest[0] == '/')
	})
}

// fillable returns the mounts that may fill, by mount point: of those on one point the last, which
// hides the others, and of those of one directory that with the shortest path. Lines that are not
// understood are left out, and the first is reported.
func fillable(mountinfo []byte) (mounts []proc.Mount, first error) {
	seen := map[string]proc.Mount{}
	for line := range bytes.Lines(mountinfo) {
		m, err := proc.ParseMount(line)
		if err != nil {
			first = cmp.Or(first, err)
			continue
		}
		seen[m.Point] = m
	}
	for _, m := range seen {
		if mayFill(&m) {
			mounts = append(mounts, m)
		}
	}
	slices.SortFunc(mounts, func(a, b proc.Mount) int {
		return cmp.Or(
			cmp.Compare(a.Device, b.Device), cmp.Compare(a.Root, b.Root),
			cmp.Compare(len(a.Point), len(b.Point)), cmp.Compare(a.Point, b.Point),
		)
	})
	mounts = slices.CompactFunc(mounts, func(a, b proc.Mount) bool { return a.Device == b.Device && a.Root == b.Root })
	slices.SortFunc(mounts, func(a, b proc.Mount) int { return cmp.Compare(a.Point, b.Point) })
	return mounts, first
}
