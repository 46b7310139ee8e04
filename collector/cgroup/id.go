package cgroup

import (
	"bytes"
	"cmp"
	"strings"

	"github.com/poolgauge/poolgauge/collector/proc"
)

// ContainerID returns the id of the container that the cgroup called name belongs to, or "" if it
// belongs to none. Container runtimes name a cgroup after the container's id, which has 64
// hexadecimal digits. The name is the id alone (cgroupfs driver) or <prefix>-<id>.scope (systemd
// driver), where the prefix is, for example, docker, cri-containerd, crio, libpod or nerdctl. The
// prefixes crio-conmon and libpod-conmon mark the cgroup of a container's monitor, which runs
// outside the container. On Fargate, ECS uses an id of the form <task>-<number>.
func ContainerID(name string) string {
	name = strings.TrimSuffix(name, ".scope")
	if isFargate(name) {
		return name
	}
	// containerd with a systemd-style path under the cgroupfs driver: <slice>:cri-containerd:<id>
	if i := strings.LastIndexAny(name, "-:"); i >= 0 {
		if strings.HasSuffix(name[:i], "conmon") {
			return ""
		}
		name = name[i+1:]
	}
	if len(name) != 64 || !isHex(name) {
		return ""
	}
	return name
}

// isFargate reports whether name is <32 hexadecimal digits>-<decimal digits>.
func isFargate(name string) bool {
	task, number, ok := strings.Cut(name, "-")
	return ok && len(task) == 32 && isHex(task) && number != "" && strings.Trim(number, "0123456789") == ""
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

// idFromMounts returns the id of the container that has the mounts in mountinfo, or "" if it is
// unknown. Container runtimes mount files such as /etc/hostname from a directory named after the
// container. The mounts reveal the id even if a private cgroup namespace hides the name of the
// namespace's root.
//
// In a Kubernetes pod, these files belong to the sandbox and are shared by all containers, so
// idFromMounts returns "". If the container joined another container's network with Docker's
// --network container:…, the files belong to the other container, and idFromMounts returns that
// container's id.
func idFromMounts(mountinfo []byte) string {
	shared, own := "", ""
	for line := range bytes.Lines(mountinfo) {
		m, err := proc.ParseMount(line)
		if err != nil {
			continue
		}
		if strings.Contains(m.Root, "/pods/") && (m.Point == "/etc/hosts" || m.Point == "/dev/termination-log") {
			return ""
		}
		switch m.Point {
		case "/etc/hostname", "/etc/resolv.conf":
			shared = idInDirectory(m.Root)
		case "/run/.containerenv": // written by Podman; never shared between containers
			own = idInDirectory(m.Root)
		}
	}
	return cmp.Or(own, shared)
}

// idInDirectory returns the id in a path like <…>/{containers,overlay-containers}/<id>/<…>.
// Directories with other names, such as containerd's sandboxes, do not belong to a container.
func idInDirectory(file string) string {
	elems := strings.Split(file, "/")
	for i, e := range elems[1:] {
		if strings.HasSuffix(elems[i], "containers") && len(e) == 64 && isHex(e) {
			return e
		}
	}
	return ""
}
