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

// group is a control group and the attributes of its points.
type group struct {
	*cgroup.Group
	container bool
	base      []attribute.KeyValue // of every point
	birth     *collector.Birth
	figures   containerAttributes
	pressure  pressureAttributes
	disks     map[string]diskAttributes // by device number
	above     []*group                  // the visible ancestors
	memory    cgroup.Memory             // as last read
	watched   *watched                  // nil if its events cannot be followed
}

// newGroup returns a group whose points have its path, and more if a container is known by more.
func newGroup(g *cgroup.Group, isContainer bool, birth *collector.Birth, more ...attribute.KeyValue) *group {
	base := append([]attribute.KeyValue{catalog.CgroupPathKey.String(g.Path)}, more...)
	return &group{
		Group: g, container: isContainer, base: base, birth: birth,
		figures: newContainerAttributes(birth, base), pressure: newPressureAttributes(birth, base),
		disks: map[string]diskAttributes{},
	}
}

// available is what the nearest limit leaves: the group's own or that of a group above it.
func (g *group) available() (least kernfile.Optional[int64]) {
	left := g.memory.Available()
	for _, one := range g.above {
		if other := one.memory.Available(); other.Defined && (!left.Defined || other.Value < left.Value) {
			left = other
		}
	}
	return left
}

// diskAttributes are the attribute sets of a group's points of one device.
type diskAttributes struct{ read, write *collector.Attributes }

func (g *group) disk(device string, names *disks) diskAttributes {
	a, known := g.disks[device]
	if !known {
		on := semconv.SystemDevice(names.name(device))
		a = diskAttributes{
			read:  with(g.birth, g.base, on, semconv.DiskIODirectionRead),
			write: with(g.birth, g.base, on, semconv.DiskIODirectionWrite),
		}
		g.disks[device] = a
	}
	return a
}

// disks are the names of block devices, by number.
type disks struct{ names map[string]string }

// name returns the name of a device, its number where sysfs does not show it.
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
