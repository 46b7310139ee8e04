package collector

import (
	"os"
	"path"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/poolgauge/poolgauge/collector/cgroup"
	"github.com/poolgauge/poolgauge/internal/kernfile"
)

// group is a control group and the attributes of its points.
type group struct {
	*cgroup.Group
	container bool
	id        string // of the container
	birth     *Birth
	figures   containerAttributes
	pressure  pressureAttributes
	disks     map[string]diskAttributes // by device number
	above     []*group                  // the visible ancestors
	memory    cgroup.Memory             // as last read
	watched   *watched                  // nil if its events cannot be followed
}

func newGroup(g *cgroup.Group, containerID string, isContainer bool, birth *Birth) *group {
	base := groupAttributes(g.Path, containerID)
	return &group{
		Group: g, container: isContainer, id: containerID, birth: birth,
		figures: newContainerAttributes(birth, base), pressure: newPressureAttributes(birth, base),
		disks: map[string]diskAttributes{},
	}
}

// available is what the nearest limit leaves: the group's own or that of a group above it.
func (g *group) available() (least kernfile.Optional[int64]) {
	left := g.memory.Left()
	for _, one := range g.above {
		if other := one.memory.Left(); other.Defined && (!left.Defined || other.Value < left.Value) {
			left = other
		}
	}
	return left
}

// diskAttributes are the attribute sets of a group's points of one device.
type diskAttributes struct{ read, write *Attributes }

func (g *group) disk(device string, names *disks) diskAttributes {
	a, known := g.disks[device]
	if !known {
		base := append(groupAttributes(g.Path, g.id), semconv.SystemDevice(names.name(device)))
		a = diskAttributes{
			read:  with(g.birth, base, semconv.DiskIODirectionRead),
			write: with(g.birth, base, semconv.DiskIODirectionWrite),
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
