//go:build !amd64 && !arm64

package callsite

import (
	"math/rand/v2"
	"runtime"
)

// Always reports whether [Note] notes each call. Here it notes one of 64.
const Always = false

const noteEvery = 64

// Note notes which calls led to the function that calls it, the call of that function first, in s,
// which must be zero. That takes almost a microsecond, so it is done for one call of 64, and the
// others are unknown.
func Note(s *Site) {
	if rand.Uint32N(noteEvery) == 0 {
		runtime.Callers(3, s[:])
	}
}
