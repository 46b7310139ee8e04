package probe

import (
	"time"

	"github.com/poolgauge/poolgauge/internal/thread"
)

// workload is what the CPU probes compute: four independent xorshift generators (Marsaglia,
// "Xorshift RNGs", 2003). They keep the integer units of a core busy, so that both a slower clock
// and a busy sibling hyperthread slow them down. They do not access memory.
type workload [4]uint64

// unitRounds is the number of rounds in a unit of work. A unit takes 0.2 to 0.5 ms on a server CPU:
// short enough that interrupted units can be discarded, and long enough that the cost of reading
// clocks is negligible. The number is the same everywhere, so that CPUs can be compared.
const unitRounds = 1 << 17

// unit performs one unit of work.
func (w *workload) unit() {
	a, b, c, d := w[0]|1, w[1]|2, w[2]|3, w[3]|4
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
	*w = workload{a, b, c, d}
}

// reading is a snapshot of the wall clock and of the calling thread's CPU time and sleep count.
type reading struct {
	wall   time.Time
	cpu    time.Duration
	parked int64 // number of times that the thread went to sleep
}

func readClocks() reading {
	wall, cpu := time.Now(), thread.CPU()
	// If the counts are unknown, the time of the sidecar's other goroutines counts as stretch.
	counts, _ := thread.ReadCounts()
	return reading{wall, cpu, counts.Voluntary}
}
