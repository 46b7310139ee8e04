package probe

import (
	"time"

	"github.com/poolgauge/poolgauge/internal/thread"
)

// workload is the work of the CPU probes: four independent xorshift generators (Marsaglia,
// "Xorshift RNGs", 2003). They fill the integer units of a core, so that both a slower clock and a
// busy sibling thread slow the work down. It does not access memory.
type workload [4]uint64

// unitRounds makes a unit of work take 0.2 to 0.5 ms on a server CPU: short enough to discard
// interrupted units, long enough for the cost of reading clocks to be negligible. It is the same
// everywhere, so that CPUs can be compared.
const unitRounds = 1 << 17

// unit does one unit of work.
func (k *workload) unit() {
	a, b, c, d := k[0]|1, k[1]|2, k[2]|3, k[3]|4
	for range unitRounds {
		a ^= a << 13
		b ^= b << 13
		c ^= c << 13
		d ^= d << 13
		a ^= a >> 7
		b ^= b >> 7
		c ^= c >> 7
		d ^= d >> 7
		a ^= a << 17
		b ^= b << 17
		c ^= c << 17
		d ^= d << 17
	}
	*k = workload{a, b, c, d}
}

// reading is a reading of the calling thread's clocks.
type reading struct {
	wall   time.Time
	cpu    time.Duration
	parked int64 // number of times that the thread went to sleep
}

func read() reading {
	wall, cpu := time.Now(), thread.CPU()
	// if the counts are unknown, time used by the sidecar's other goroutines counts as stretch
	counts, _ := thread.ReadCounts()
	return reading{wall, cpu, counts.Voluntary}
}
