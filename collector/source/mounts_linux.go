package source

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/poolgauge/poolgauge/collector/proc"
)

// ignoredTypes lists file system types that are not reported, because they hold no files or because
// a query would mount them. The kernel's other virtual file systems need not be listed, since they
// have no size.
var ignoredTypes = []string{"autofs", "devtmpfs", "nsfs", "rpc_pipefs", "fuse.lxcfs", "fuse.gvfsd-fuse", "fuse.portal"}

// ignoredPoints lists directories whose mounts are not reported. They belong to the kernel and to
// container runtimes, or contain the mounts of other containers, which are reported for those
// containers.
var ignoredPoints = []string{
	"/proc", "/sys", "/dev", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run/.containerenv", "/run/secrets",
	"/run/credentials", "/run/user", "/run/containerd", "/run/docker", "/run/netns",
	"/var/lib/docker", "/var/lib/containers", "/var/lib/containerd", "/var/lib/kubelet/pods",
}

// canFill reports whether m can fill up and should be reported.
func canFill(m *proc.Mount) bool {
	switch {
	case m.ReadOnly() || slices.Contains(ignoredTypes, m.FS):
		return false
	case m.FS == "overlay":
		return m.Point == "/" // other overlays are the roots of other containers
	case m.Point == "/dev/shm":
		return true
	}
	return !slices.ContainsFunc(ignoredPoints, func(point string) bool {
		rest, below := strings.CutPrefix(m.Point, point)
		return below && (rest == "" || rest[0] == '/')
	})
}

// fillableMounts returns the mounts that can fill up, sorted by mount point. Of several mounts on
// one mount point, it considers only the last, which hides the others. Of several mounts of the
// same directory, it returns the one with the shortest path. It skips malformed lines, and returns
// an error about the first one.
func fillableMounts(mountinfo []byte) (mounts []proc.Mount, first error) {
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
		if canFill(&m) {
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
