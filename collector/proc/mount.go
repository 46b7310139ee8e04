package proc

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Mount is one line of /proc/<pid>/mountinfo.
type Mount struct {
	Device  string // major:minor of the file system
	Root    string // the mounted directory, within the file system
	Point   string // the mount point
	Options string // mount options, such as "rw,nosuid"
	FS      string // type of the file system
	// the block device, a server and its directory, or an arbitrary name
	Source string
	Super  string // options of the file system; in cgroup v1, the controllers
}

// ParseMount parses one line of mountinfo; see proc(5).
func ParseMount(line []byte) (Mount, error) {
	before, after, ok := bytes.Cut(line, []byte(" - "))
	if !ok {
		return Mount{}, fmt.Errorf("%q has no separator", line)
	}
	var m Mount
	n := 0
	for field := range bytes.FieldsSeq(before) {
		switch n++; n {
		case 3:
			m.Device = string(field)
		case 4:
			m.Root = unescape(field)
		case 5:
			m.Point = unescape(field)
		case 6:
			m.Options = string(field)
		}
	}
	if m.Point == "" {
		return Mount{}, fmt.Errorf("%q has no mount point", line)
	}
	n = 0
	for field := range bytes.FieldsSeq(after) {
		switch n++; n {
		case 1:
			m.FS = string(field)
		case 2:
			m.Source = unescape(field)
		case 3:
			m.Super = string(field)
		}
	}
	if m.FS == "" {
		return Mount{}, fmt.Errorf("%q has no file system type", line)
	}
	return m, nil
}

// ReadOnly reports whether the mount or its file system is read-only.
func (m *Mount) ReadOnly() bool {
	return slices.Contains(strings.Split(m.Options+","+m.Super, ","), "ro")
}

// unescape decodes the \ooo escapes that mountinfo uses for spaces, tabs, newlines and backslashes.
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
