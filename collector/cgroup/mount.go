package cgroup

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// mount is one line of mountinfo.
type mount struct {
	root  string // directory of the file system that forms the root of the mount
	point string
	fs    string // type of the file system
	super string // options of the file system; for cgroup v1, the controllers
}

// parseMount parses a line of /proc/<pid>/mountinfo; see proc(5).
func parseMount(line []byte) (mount, error) {
	before, after, ok := bytes.Cut(line, []byte(" - "))
	if !ok {
		return mount{}, fmt.Errorf("%q has no separator", line)
	}
	var m mount
	n := 0
	for field := range bytes.FieldsSeq(before) {
		switch n++; n {
		case 4:
			m.root = unescape(field)
		case 5:
			m.point = unescape(field)
		}
	}
	if m.point == "" {
		return mount{}, fmt.Errorf("%q has no mount point", line)
	}
	n = 0
	for field := range bytes.FieldsSeq(after) {
		switch n++; n {
		case 1:
			m.fs = string(field)
		case 3:
			m.super = string(field)
		}
	}
	if m.fs == "" {
		return mount{}, fmt.Errorf("%q has no file system type", line)
	}
	return m, nil
}

// unescape undoes the \ooo with which mountinfo writes spaces, tabs, newlines and backslashes.
func unescape(field []byte) string {
	s := string(field)
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// A controller names what we read of a hierarchy. The unified hierarchy stands for all controllers that no v1 hierarchy has.
type controller int

const (
	memory controller = iota
	cpu
	cpuacct
	pids
	blkio
	unified
	controllers // how many
)

var controllerNames = [controllers]string{"memory", "cpu", "cpuacct", "pids", "blkio", ""}

// mounts are the mounts of control groups, by controller, in the order of mountinfo.
type mounts [controllers][]mount

// parseMounts takes the mounts of control groups from mountinfo. Malformed lines are left out, and the first is
// reported. Of mounts on one point the last is what is seen.
func parseMounts(mountinfo []byte) (mounts, error) {
	var ms mounts
	var first error
	for line := range bytes.Lines(mountinfo) {
		m, err := parseMount(line)
		if err != nil {
			first = orError(first, err)
			continue
		}
		for c := range controllers {
			ms[c] = without(ms[c], m.point)
			if m.has(c) {
				ms[c] = append(ms[c], m)
			}
		}
	}
	return ms, first
}

func without(ms []mount, point string) []mount {
	for i := range ms {
		if ms[i].point == point {
			return append(ms[:i], ms[i+1:]...)
		}
	}
	return ms
}

// has tells whether the mount shows the hierarchy of a controller.
func (m mount) has(c controller) bool {
	if c == unified {
		return m.fs == "cgroup2"
	}
	return m.fs == "cgroup" && contains(m.super, controllerNames[c])
}

// contains tells whether a comma-separated list has an item.
func contains(list, item string) bool {
	for got := range strings.SplitSeq(list, ",") {
		if got == item {
			return true
		}
	}
	return false
}
