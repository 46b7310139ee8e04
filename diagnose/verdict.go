package diagnose

import (
	"iter"

	"github.com/poolgauge/poolgauge/internal/catalog"
)

// Verdict says why a pool is full, or that it is healthy.
type Verdict uint8

// Verdicts on a pool.
const (
	Undetermined   Verdict = iota // too little is known, or no cause fits
	OK                            // requests get their slots
	TooSmall                      // more slots would serve more requests
	Oversized                     // most slots are never used
	CPUSaturated                  // the tasks use all available CPUs: more slots do not help
	Starved                       // tasks are ready to run but wait for a CPU that is busy with other work
	LockContention                // tasks wait for a lock that they share
	DownstreamSlow                // tasks wait longer than usual for a downstream service
	Leaking                       // uses that do not end occupy slots
	HeadOfLine                    // slots are free, but too few for the first waiting request
	Failing                       // uses fail, or resources cannot be created
)

// names returns the values of the attribute of m that identifies the verdict, in the order of the
// verdict constants.
func names(m *catalog.Metric) []string { return m.Attributes[0].Values }

// String returns the verdict as it appears in metrics.
func (v Verdict) String() string { return names(catalog.PoolVerdict)[v] }

// Verdicts yields all verdicts on a pool.
func Verdicts() iter.Seq[Verdict] { return all[Verdict](len(names(catalog.PoolVerdict))) }

// Convicts reports whether the verdict says that something is wrong now.
func (v Verdict) Convicts() bool { return v != Undetermined && v != OK && v != Oversized }

// HostVerdict says what is wrong with a machine or a container. It applies to every pool running
// there.
type HostVerdict uint8

// Verdicts on a machine.
const (
	HostUndetermined HostVerdict = iota
	HostOK
	Throttled      // a CPU quota throttles the container
	MemoryPressure // tasks wait for memory
	Steal          // the hypervisor gives the CPUs to other virtual machines
	NoisyNeighbor  // other processes use the CPUs
	DiskSlow       // writes take much longer than usual
)

// String returns the verdict as it appears in metrics.
func (v HostVerdict) String() string { return names(catalog.HostVerdict)[v] }

// HostVerdicts yields all verdicts on a machine.
func HostVerdicts() iter.Seq[HostVerdict] { return all[HostVerdict](len(names(catalog.HostVerdict))) }

func all[V verdict](n int) iter.Seq[V] {
	return func(yield func(V) bool) {
		for v := range n {
			if !yield(V(v)) {
				return
			}
		}
	}
}

// Convicts reports whether the verdict says that something is wrong now.
func (v HostVerdict) Convicts() bool { return v > HostOK }

// verdict is a verdict on a pool or on a machine. Its zero value is undetermined.
type verdict interface {
	Verdict | HostVerdict
	Convicts() bool
}

// Finding is a verdict and the evidence for it.
type Finding[V verdict] struct {
	Verdict  V
	Evidence string // one-line explanation for human readers
}
