package source

// PodConfig selects the containers and processes to report, and specifies where cgroups and the
// proc file system are mounted. The zero PodConfig is suitable both in a container and directly on
// a host.
type PodConfig struct {
	// Processes are names of executables. Every process that runs one of them is reported, no
	// matter in which container. If Processes is empty, all processes of the pod are reported. The
	// sidecar's own process is always reported.
	Processes []string
	// Self is the name of the sidecar's process. Empty means the name of its executable.
	Self string
	// Container is the name that the pod gives the sidecar's container. The kernel does not know
	// this name. Empty means unknown.
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
