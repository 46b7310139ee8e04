package source

// PodConfig selects the containers and processes to report, and where their files are mounted. The
// zero PodConfig is right inside a container and on a plain host.
type PodConfig struct {
	// Processes are names of executables; the processes that run them are reported, in whatever
	// container. If empty, all processes of the pod are. The sidecar's own process always is.
	Processes []string
	// Self is the name of the sidecar's process, by default that of its executable.
	Self string
	// Container is the name of the sidecar's container in its pod, empty if unknown. The kernel
	// does not know it.
	Container string
	// CgroupRoot is a directory at or below which the host's control groups are mounted, such as a
	// hostPath volume. Empty means /sys/fs/cgroup.
	CgroupRoot string
	// ProcRoot is the proc file system, "/proc" if empty.
	ProcRoot string
	// SkipHost omits the pressure of the host. SkipContainers omits all containers, and all
	// processes but the sidecar's own.
	SkipHost, SkipContainers bool
}
