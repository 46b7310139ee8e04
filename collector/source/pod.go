package source

// PodConfig selects the containers and processes to report, and says where their files are mounted.
// The zero PodConfig is suitable inside a container and on a plain host.
type PodConfig struct {
	// Processes are names of executables. Processes running them are reported, in whatever
	// container they are. If empty, all processes of the pod are reported. The sidecar's own
	// process is always reported.
	Processes []string
	// Self is the name of the sidecar's process. By default it is that of its executable.
	Self string
	// Container is the name of the sidecar's container in its pod, which the kernel does not know.
	// Empty means unknown.
	Container string
	// CgroupRoot is a directory at or below which the host's cgroups are mounted, such as a
	// hostPath volume. Empty means /sys/fs/cgroup.
	CgroupRoot string
	// ProcRoot is where the proc file system is mounted. Empty means /proc.
	ProcRoot string
	// SkipHost omits the pressure of the host. SkipContainers omits all containers, and all
	// processes except the sidecar's own.
	SkipHost, SkipContainers bool
}
