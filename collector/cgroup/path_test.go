package cgroup

import (
	"strings"
	"testing"

	"github.com/poolgauge/poolgauge/internal/fixture"
)

var idA, idB = strings.Repeat("a1", 32), strings.Repeat("b2", 32)

func TestContainerID(t *testing.T) {
	fargate := strings.Repeat("c3", 16) + "-1234567890"
	for name, want := range map[string]string{
		idA:                                  idA,
		"docker-" + idA + ".scope":           idA,
		"cri-containerd-" + idA + ".scope":   idA,
		"crio-" + idA + ".scope":             idA,
		"crio-" + idA:                        idA,
		"libpod-" + idA + ".scope":           idA,
		"libpod-" + idA:                      idA,
		"nerdctl-" + idA + ".scope":          idA,
		"kubepods-pod1.slice:crio:" + idA:    idA,
		fargate:                              fargate,
		"crio-conmon-" + idA + ".scope":      "",
		"libpod-conmon-" + idA + ".scope":    "",
		"kubepods-besteffort-pod0c1d.slice":  "",
		"pod0c1d6f7e-1111-2222-3333-4444":    "",
		"session-1.scope":                    "",
		idA[:63]:                             "",
		strings.ToUpper(idA):                 "",
		strings.Repeat("c3", 16):             "",
		strings.Repeat("c3", 16) + "-":       "",
		strings.Repeat("c3", 16) + "-12ab":   "",
		"":                                   "",
		"docker-" + idA + ".scope.something": "",
	} {
		if got := ContainerID(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestIDFromMounts(t *testing.T) {
	line := func(root, point string) string {
		return "90 26 254:1 " + root + " " + point + " rw - ext4 /dev/vda1 rw\n"
	}
	docker := line("/var/lib/docker/containers/"+idA+"/hostname", "/etc/hostname")
	for name, c := range map[string]struct{ mounts, want string }{
		"docker":                      {docker, idA},
		"containerd":                  {line("/x/io.containerd.grpc.v1.cri/sandboxes/"+idA+"/hostname", "/etc/hostname"), ""},
		"kubernetes, termination log": {docker + line("/var/lib/kubelet/pods/1/containers/app/1", "/dev/termination-log"), ""},
		"a volume of a pod":           {docker + line("/var/lib/kubelet/pods/1/volumes/x", "/data"), idA},
		"kubernetes":                  {docker + line("/var/lib/kubelet/pods/1/etc-hosts", "/etc/hosts"), ""},
		"podman":                      {line("/run/containers/storage/overlay-containers/"+idB+"/userdata/.containerenv", "/run/.containerenv"), idB},
		"podman in a pod":             {line("/run/overlay-containers/"+idB+"/userdata/.containerenv", "/run/.containerenv") + docker, idB},
		"docker, other mount":         {line("/var/lib/docker/containers/"+idA+"/x", "/data"), ""},
	} {
		if got := idFromMounts([]byte(c.mounts)); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// membership returns the Membership of the container in file, the contents of /proc/<pid>/cgroup.
func membership(t *testing.T, file string) Membership {
	t.Helper()
	m, err := ParseMembership([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	_, m = m.Container()
	return m
}

func TestSiblingAndWithin(t *testing.T) {
	pod := "/kubepods.slice/kubepods-pod1.slice"
	for _, c := range []struct {
		name, own, other string
		sibling, within  bool
	}{
		{"host namespace", "0::" + pod + "/crio-" + idA + ".scope", "0::" + pod + "/crio-" + idB + ".scope/container", true, false},
		{"another pod", "0::" + pod + "/crio-" + idA + ".scope", "0::/kubepods.slice/kubepods-pod2.slice/crio-" + idB + ".scope", false, false},
		{"private namespace", "0::/", "0::/../cri-containerd-" + idB + ".scope", true, false},
		{"private namespace, another pod", "0::/", "0::/../../pod2/" + idB, false, false},
		{"private namespace, own container", "0::/", "0::/", true, true},
		{"private namespace, below own container", "0::/", "0::/sub", false, true},
		{"below own container", "0::/docker/" + idA, "0::/docker/" + idA + "/init.scope", true, true},
		{"name with the same prefix", "0::/app", "0::/app2", true, false},
		{"v1", "3:memory:/docker/" + idA + "\n1:cpu:/", "3:memory:/docker/" + idB + "\n1:cpu:/", true, false},
		{"unknown", "", "0::/", false, false},
	} {
		own, other := membership(t, c.own), membership(t, c.other)
		if got := other.Sibling(own); got != c.sibling {
			t.Errorf("%s: sibling %v, want %v", c.name, got, c.sibling)
		}
		if got := other.Within(own); got != c.within {
			t.Errorf("%s: within %v, want %v", c.name, got, c.within)
		}
	}
}

func TestResolve(t *testing.T) {
	for _, c := range []struct {
		name, root, nsRoot, path, want string
	}{
		{"the root", "/", "", "/", "/"},
		{"below the root", "/", "", "/a/b", "/a/b"},
		{"above the mount", "/", "", "/../b", ""},
		{"mounted from below the root", "/docker/x", "", "/docker/x/y", "/y"},
		{"the mount's own root", "/docker/x", "", "/docker/x", "/"},
		{"same prefix, but outside the mount", "/docker/x", "", "/docker/xy", ""},
		{"seen from another namespace", "/../x", "", "/../x/y", "/y"},
		{"the namespace's root, found", "/../..", "/pod/x", "/", "/pod/x"},
		{"a sibling in the host's mount", "/../..", "/pod/x", "/../y", "/pod/y"},
		{"above the host's mount", "/../..", "/pod/x", "/../../../y", ""},
		{"the namespace's root, not found", "/../..", "", "/", ""},
	} {
		v := view{dir: "/mnt", root: strings.TrimSuffix(c.root, "/"), nsRoot: c.nsRoot}
		got, ok := v.resolve(c.path)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%s: got %q, %v; want %q", c.name, got, ok, c.want)
		}
	}
}

func TestMountsHiddenByLaterMounts(t *testing.T) {
	ms, err := parseMounts([]byte(
		"1 0 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n" +
			"2 0 0:2 / /mnt\\040x\\134y\\12 rw - cgroup cgroup rw,cpu\n" +
			"3 0 0:3 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"))
	if err != nil || len(ms[unified]) != 0 || len(ms[cpu]) != 1 || ms[cpu][0].Point != `/mnt x\y\12` {
		t.Errorf("got %+v, %v; want only the mount of cpu", ms, err)
	}
}

func TestCPUQuota(t *testing.T) {
	withQuotas := func(quotas ...string) []*Group {
		dir := t.TempDir()
		var groups []*Group
		for i, quota := range quotas {
			g := &Group{Path: "/x"}
			g.dirs[unified] = dir + "/" + string(rune('a'+i))
			fixture.Write(t, g.dirs[unified], "cpu.max", quota)
			g.init()
			groups = append(groups, g)
		}
		return groups
	}
	got, err := cpuQuota(withQuotas("max 100000", "250000 100000", "50000 100000", "800000 100000"))
	if err != nil || !got.Defined || got.Value != 0.5 {
		t.Errorf("got %v, %v; want the smallest quota, 0.5", got, err)
	}
	if got, err = cpuQuota(withQuotas("max 100000")); err != nil || got.Defined {
		t.Errorf("got %v, %v; want no limit", got, err)
	}
	for _, junk := range []string{"junk", "0 100000", "100000 0", "100000"} {
		if got, err = cpuQuota(withQuotas(junk, "300000 100000")); err == nil || got.Value != 3 {
			t.Errorf("%q: got %v, %v; want 3 and an error", junk, got, err)
		}
	}
}
