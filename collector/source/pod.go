package source

// PodConfig says which containers and processes to look at, and where the kernel shows them. The
// zero PodConfig is right inside a container and on a plain host.
type PodConfig struct {
	// Processes are names of executables; processes that run them are reported wherever they are.
	// Without any, the processes of the own pod are. The own process always is.
	Processes []string
	// Self is what the own process is called, empty for the name of its file: an image may call
	// every program alike.
	Self string
	// Container is the name of the own container in its pod, empty if it is unknown: nothing that
	// the kernel shows tells it.
	Container string
	// CgroupRoot is a directory at or below which the host's control groups are mounted, such as a
	// hostPath volume. Empty is the usual /sys/fs/cgroup.
	CgroupRoot string
	// ProcRoot is the proc file system, "/proc" if empty.
	ProcRoot string
	// SkipHost leaves out the pressure of the host, SkipContainers all containers and all processes
	// but the own.
	SkipHost, SkipContainers bool
}
