package instrument

import (
	"math"
	"math/bits"
	"time"
)

// Scale is the scale of every [Histogram], as OpenTelemetry defines it for exponential histograms:
// the bucket with index i holds the durations in (2^(i/8), 2^((i+1)/8)] seconds. The geometric
// midpoint of a bucket is within 4.5% of every duration in it.
const Scale = 3

const (
	perOctave   = 1 << Scale
	octaves     = 64                  // number of octaves from 1 ns to the longest time.Duration
	slots       = octaves * perOctave // number of buckets that a duration may fall into
	lowestIndex = -30 * perOctave     // bucket index of slot 0, since 1 ns is a little more than 2^-30 s
	guessBits   = 4                   // number of bits after the leading 1 that select a guess
)

// table maps a duration to its bucket with one lookup and one comparison instead of a logarithm.
var table = newBucketTable()

type bucketTable struct {
	upper [slots]time.Duration    // longest duration of each slot
	guess [63 << guessBits]uint16 // slot of the shortest duration with each key; see guessKey
}

func newBucketTable() *bucketTable {
	t := new(bucketTable)
	for slot := range t.upper {
		t.upper[slot] = math.MaxInt64
		if bound := math.Exp2(float64(lowestIndex+slot+1)/perOctave) * float64(time.Second); bound < math.MaxInt64 {
			t.upper[slot] = time.Duration(bound)
		}
	}
	slot := 0
	for key := range t.guess {
		for t.upper[slot] < shortest(key) {
			slot++
		}
		t.guess[key] = uint16(slot)
	}
	return t
}

// guessKey returns d's index in bucketTable.guess. It combines d's bit length and the guessBits
// bits that follow the leading 1. d must be positive. Durations with the same key are less than a
// bucket apart, since 17/16 is less than 2^(1/8), so at most one bucket boundary is between them.
func guessKey(d time.Duration) int {
	length := bits.Len64(uint64(d))
	following := uint64(d) << (65 - length) >> (64 - guessBits)
	return (length-1)<<guessBits | int(following)
}

// shortest returns the shortest duration with the given key.
func shortest(key int) time.Duration {
	leading := uint64(1<<guessBits | key&(1<<guessBits-1))
	return time.Duration(leading << (63 - guessBits) >> (63 - key>>guessBits))
}

// slotOf returns the slot that d falls into. d must be positive.
func slotOf(d time.Duration) int {
	slot := int(table.guess[guessKey(d)])
	if d > table.upper[slot] {
		slot++
	}
	return slot
}

// midpoint returns the geometric midpoint of slot, in seconds.
func midpoint(slot int) float64 {
	return math.Exp2((float64(lowestIndex+slot) + 0.5) / perOctave)
}
