package pools

import (
	"slices"
	"testing"

	"github.com/poolgauge/poolgauge/instrument"
)

// A stamp has two bits for the weights that a sampler gives.
func TestStampsHoldEveryWeight(t *testing.T) {
	var s instrument.Sampler
	for range 100_000 {
		weight, now := s.Next()
		if !slices.Contains(stampWeights[:], weight) {
			t.Fatalf("a weight of %d, which no stamp can hold", weight)
		}
		if got := stamp(now, weight); weight > 0 && (got.weight() != weight || got.at() != now) {
			t.Errorf("weight %d at %v becomes %d at %v", weight, now, got.weight(), got.at())
		}
	}
}
