package catalog

import semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

// FileSystem is the group of metrics of file systems that can become full.
var FileSystem = &Group{
	Name: "filesystem",
	Help: "The file systems that are mounted to be written: in the sidecar's own container or on the host, and in the pod's other containers where the " +
		"PID namespace is shared and the user id is the same. What is read-only or of the kernel is left out, and of a directory that is mounted twice " +
		"the shorter path counts. Every 10 s at most; a file system that does not answer has no points until it does. Linux only.",
	Attributes: []Attribute{
		{
			Key:  semconv.ContainerIDKey,
			Help: "the container that has the mount; absent outside a container and where it is unknown",
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

const noVolume = "nothing is mounted to be written"

// The rows of [FileSystem].
var (
	SystemFilesystemUsage = &Metric{
		Name: "system.filesystem.usage", Kind: UpDownCounter, Number: Int, Unit: "By", Standard: true,
		Help: "Space by state, which add up to the limit; what is reserved only root can use.",
		Attributes: []Attribute{
			{Key: semconv.SystemFilesystemStateKey, Values: []string{"used", "free", "reserved"}},
		},
		Absent: noVolume,
	}
	SystemFilesystemLimit = &Metric{
		Name: "system.filesystem.limit", Kind: UpDownCounter, Number: Int, Unit: "By", Standard: true,
		Help: "Size of the file system, or of the quota that it shows.", Absent: noVolume,
	}
	FilesystemInodes = &Metric{
		Name: "poolgauge.filesystem.inode.usage", Kind: UpDownCounter, Number: Int, Unit: "{inode}",
		Help: "Inodes by state: without a free one no file can be made, however much space there is.",
		Attributes: []Attribute{
			{Key: semconv.SystemFilesystemStateKey, Values: []string{"used", "free"}},
		},
		Absent: "file systems that make inodes as they need them, such as btrfs",
	}
)
