package source

// PodConfig selects the containers and processes to report, and specifies where cgroups and the
// proc file system are mounted. The zero PodConfig is suitable both in a container and directly on
// a host.
type PodConfig struct {
	// Processes are names of executables. Every process that runs one of them is reported,
	// whichever container it is in. If Processes is empty, all processes of the pod are reported.
	// The sidecar's own process is always reported.
	Processes []string
	// Self is the name under which the sidecar's own process is reported. Empty means the name of
	// its executable.
	Self string
	// Container is the name of the sidecar's container in the pod's specification, which the kernel
	// does not know. Empty means unknown.
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
