package catalog

import semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

// FileSystem holds the metrics of file systems that can become full.
var FileSystem = &Group{
	Name: "filesystem",
	Help: "The file systems that are mounted writable: in the sidecar's own container or on the host, and in the pod's other containers where the " +
		"PID namespace is shared and the user id is the same. Read-only and kernel file systems are omitted; if a directory is mounted twice, " +
		"the shorter path is used. Read at most every 10 s; a file system that is not responding has no points until it responds. Linux only.",
	Attributes: []Attribute{
		{
			Key:  semconv.ContainerIDKey,
			Help: "the container that has the mount; absent outside a container and if the container is unknown",
		},
		{
			Key:  semconv.SystemDeviceKey,
			Help: "what is mounted: a block device, a server and its directory, or a word such as overlay",
		},
		{Key: semconv.SystemFilesystemMountpointKey, Help: "as the container sees it"},
		{Key: semconv.SystemFilesystemTypeKey},
	},
	Metrics: []*Metric{SystemFilesystemUsage, SystemFilesystemLimit, FilesystemInodes},
}

const noVolume = "nothing is mounted writable"

// The metrics in [FileSystem].
var (
	SystemFilesystemUsage = &Metric{
		Name: "system.filesystem.usage", Kind: UpDownCounter, Number: Int, Unit: "By", Standard: true,
		Help: "Space by state; the states add up to the limit. Only root can use reserved space.",
		Attributes: []Attribute{
			{Key: semconv.SystemFilesystemStateKey, Values: []string{"used", "free", "reserved"}},
		},
		Absent: noVolume,
	}
	SystemFilesystemLimit = &Metric{
		Name: "system.filesystem.limit", Kind: UpDownCounter, Number: Int, Unit: "By", Standard: true,
		Help: "Size of the file system, or the quota if it reports that as its size.", Absent: noVolume,
	}
	FilesystemInodes = &Metric{
		Name: "poolgauge.filesystem.inode.usage", Kind: UpDownCounter, Number: Int, Unit: "{inode}",
		Help: "Inodes by state. Without free inodes no file can be created, even if there is free space.",
		Attributes: []Attribute{
			{Key: semconv.SystemFilesystemStateKey, Values: []string{"used", "free"}},
		},
		Absent: "file systems that allocate inodes on demand, such as btrfs",
	}
)
