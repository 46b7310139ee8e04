package source

import (
	"os"
	"path"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/collector"
	"github.com/poolgauge/poolgauge/collector/cgroup"
	"github.com/poolgauge/poolgauge/internal/catalog"
	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// group is a cgroup with the attributes of its points.
type group struct {
	*cgroup.Group
	container   bool
	base        []attribute.KeyValue // shared by all points
	start       *collector.StartTime
	attributes  containerAttributes
	pressure    pressureAttributes
	disks       map[string]diskAttributes // by device number
	above       []*group                  // visible ancestors
	memory      cgroup.Memory             // last reading
	watchedFile *watchedFile              // nil if events are not watched
}

// newGroup returns a group for g. Its points have the path of the cgroup as an attribute, in
// addition to the given attributes.
func newGroup(g *cgroup.Group, isContainer bool, start *collector.StartTime, more ...attribute.KeyValue) *group {
	base := append([]attribute.KeyValue{catalog.CgroupPathKey.String(g.Path)}, more...)
	return &group{
		Group: g, container: isContainer, base: base, start: start,
		attributes: newContainerAttributes(start, base), pressure: newPressureAttributes(start, base),
		disks: map[string]diskAttributes{},
	}
}

// available returns how many bytes of memory the cgroup may still use, given its own limit and the
// limits of its ancestors.
func (g *group) available() kernfile.Optional[int64] {
	left := g.memory.Available()
	for _, ancestor := range g.above {
		if other := ancestor.memory.Available(); other.Defined && (!left.Defined || other.Value < left.Value) {
			left = other
		}
	}
	return left
}

// diskAttributes holds the attribute sets of a cgroup's points about one device.
type diskAttributes struct{ read, write *collector.Attributes }

// disk returns the attribute sets for the device with the given number.
func (g *group) disk(device string, names *disks) diskAttributes {
	a, known := g.disks[device]
	if !known {
		dev := semconv.SystemDevice(names.name(device))
		a = diskAttributes{
			read:  attributes(g.start, g.base, dev, semconv.DiskIODirectionRead),
			write: attributes(g.start, g.base, dev, semconv.DiskIODirectionWrite),
		}
		g.disks[device] = a
	}
	return a
}

// disks caches the names of block devices by number.
type disks struct{ names map[string]string }

// name returns the name of the device with the given number, or the number if sysfs has no name for
// it.
func (d *disks) name(number string) string {
	if name, known := d.names[number]; known {
		return name
	}
	if d.names == nil {
		d.names = map[string]string{}
	}
	name := number
	if target, err := os.Readlink("/sys/dev/block/" + number); err == nil {
		name = path.Base(target)
	}
	d.names[number] = name
	return name
}
