package probe

import "testing"

// Results from different machines can be compared only if the work is the same.
func TestUnitOfWorkIsFourXorshiftGenerators(t *testing.T) {
	var w workload
	w.unit()
	for i, seed := range []uint64{1, 2, 3, 4} {
		want := seed
		for range 1 << 17 {
			want ^= want << 13
			want ^= want >> 7
			want ^= want << 17
		}
		if w[i] != want {
			t.Errorf("generator %d: got %#x, want %#x", i, w[i], want)
		}
	}
}
