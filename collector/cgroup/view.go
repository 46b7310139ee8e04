package cgroup

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/poolgauge/poolgauge/collector/proc"
)

// view translates the paths of one hierarchy in /proc/<pid>/cgroup to directories of one mount.
type view struct {
	dir string // the mount point, including the prefix
	// path of the cgroup at the mount's root, as seen in the namespace, without a trailing slash
	root string
	// path of the namespace's root within the mount; set only if that root was found below the
	// mount's root
	nsRoot string
}

// newView returns the view of m, one of the given mounts of a hierarchy. The root of a mount, like
// the path of a process's cgroup, is relative to the reader's cgroup namespace: "/../.." is two
// levels above the namespace's root, and the names of these levels are unknown. In that case,
// newView searches the mount for the namespace's root. It recognizes that root by its inode, if one
// of the mounts shows it, or else by containerID, the id of the process's container.
func newView(m proc.Mount, mounts []proc.Mount, prefix, containerID string) view {
	v := view{dir: prefix + m.Point, root: strings.TrimSuffix(m.Root, "/")}
	if !strings.HasPrefix(m.Root, "/..") {
		return v
	}
	isRoot := func(name string, _ os.FileInfo) bool { return containerID != "" && ContainerID(name) == containerID }
	for _, other := range mounts {
		if info, err := os.Stat(prefix + other.Point); other.Root == "/" && err == nil {
			isRoot = func(_ string, dir os.FileInfo) bool { return os.SameFile(info, dir) }
			break
		}
	}
	v.nsRoot = find(v.dir, isRoot)
	return v
}

// find returns the path of the first directory below dir for which match returns true, relative to
// dir and with a leading slash. It returns "" if there is none.
func find(dir string, match func(name string, info os.FileInfo) bool) string {
	found := ""
	// Cgroups that are gone or not readable are skipped, so there is no error to return.
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return fs.SkipDir
		}
		if !d.IsDir() || p == dir {
			return nil
		}
		if info, err := d.Info(); err == nil && match(d.Name(), info) {
			found = strings.TrimPrefix(p, dir)
			return fs.SkipAll
		}
		return nil
	})
	return found
}

// resolve returns the path, relative to the mount point and with a leading slash, of the cgroup
// that the namespace shows as p. It returns false if the mount does not show the cgroup.
func (v view) resolve(p string) (string, bool) {
	switch {
	case v.dir == "" || p == "":
		return "", false
	case v.nsRoot != "":
		return climb(v.nsRoot, p)
	}
	rest, ok := strings.CutPrefix(p, v.root)
	if !ok || rest != "" && rest[0] != '/' {
		return "", false
	}
	return climb("", rest)
}

// climb resolves the path p, which may contain "..", relative to the given directory. It returns
// false if p leads above the root.
func climb(from, p string) (string, bool) {
	elems := strings.FieldsFunc(from, isSlash)
	for _, e := range strings.FieldsFunc(p, isSlash) {
		switch {
		case e != "..":
			elems = append(elems, e)
		case len(elems) == 0:
			return "", false
		default:
			elems = elems[:len(elems)-1]
		}
	}
	return "/" + strings.Join(elems, "/"), true
}

func isSlash(r rune) bool { return r == '/' }
