package cgroup

import (
	"strings"
	"testing"
)

func FuzzParseMounts(f *testing.F) {
	f.Add([]byte("40 30 0:37 / /sys/fs/cgroup/unified rw,relatime shared:1 - cgroup2 cgroup2 rw\n"))
	f.Add([]byte("41 30 0:38 /../.. /a\\040b rw - cgroup cgroup rw,cpu,cpuacct\nx - \n"))
	f.Add(
		[]byte(
			"90 26 254:1 /c/containers/" + strings.Repeat(
				"a1",
				32,
			) + "/hostname /etc/hostname rw - ext4 /dev/vda1 rw\n",
		),
	)
	f.Fuzz(func(t *testing.T, data []byte) {
		ms, _ := parseMounts(data)
		for _, list := range ms {
			for _, m := range list {
				if m.Point == "" || m.FS == "" {
					t.Errorf("incomplete mount: %+v", m)
				}
				if rel, ok := newView(m, nil, "/nowhere", "").resolve("/a/b"); ok && !strings.HasPrefix(rel, "/") {
					t.Errorf("/a/b was resolved to %q, want an absolute path", rel)
				}
			}
		}
		if id := idFromMounts(data); id != "" && (len(id) != 64 || !isHex(id)) {
			t.Errorf("got id %q, want 64 hexadecimal digits", id)
		}
	})
}

func FuzzParseMembership(f *testing.F) {
	f.Add([]byte("4:memory:/docker/" + strings.Repeat("a1", 32) + "\n3:cpu,cpuacct:/\n1:name=systemd:/\n0::/\n"))
	f.Add([]byte("0::/../cri-containerd-" + strings.Repeat("b2", 32) + ".scope\n0::\n:::"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, _ := ParseMembership(data)
		id, container := m.Container()
		if id == "" && container != m {
			t.Error("outside a container, Container must return the membership unchanged")
		}
		for c, p := range container.paths {
			if !strings.HasPrefix(m.paths[c], p) {
				t.Errorf("container path %q is not a prefix of the process's path %q", p, m.paths[c])
			}
		}
		if m.identity() != "" && (!m.Within(m) && !strings.Contains(m.identity(), "/..") || !m.Sibling(m)) {
			t.Errorf("%+v is not within itself or not a sibling of itself", m)
		}
	})
}

func FuzzContainerID(f *testing.F) {
	f.Add("cri-containerd-" + strings.Repeat("a1", 32) + ".scope")
	f.Add("0123456789abcdef0123456789abcdef-1234567890")
	f.Fuzz(func(t *testing.T, name string) {
		if id := ContainerID(name); id != "" && !strings.Contains(name, id) {
			t.Errorf("%q does not contain the returned id %q", name, id)
		}
	})
}

func FuzzClimb(f *testing.F) {
	f.Add("/a/b", "/../c")
	f.Fuzz(func(t *testing.T, from, p string) {
		if rel, ok := climb(
			from,
			p,
		); ok &&
			(!strings.HasPrefix(rel, "/") || strings.Contains(rel+"/", "/../") && !strings.Contains(from, "..")) {
			t.Errorf("climb(%q, %q) = %q", from, p, rel)
		}
	})
}

func FuzzParseIO(f *testing.F) {
	f.Add([]byte("8:0 rbytes=4096 wbytes=8192 rios=5 wios=6 dbytes=7 dios=8\n253:1\n"))
	f.Add([]byte("8:0 Read 4096\n8:0 Write 8192\n8:0 Total 12288\nTotal 12288\n"))
	f.Add([]byte("8:0 rbytes=x\n8:0 Read -1\n:\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, _ := parseIO(data, nil)
		for _, one := range all {
			if one.Read < 0 || one.Write < 0 || one.Device == "" {
				t.Errorf("got %+v, want a device and no negative counts", one)
			}
		}
	})
}
