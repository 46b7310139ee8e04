//go:build !amd64 && !arm64

package callsite

import (
	"math/rand/v2"
	"runtime"
)

// Always reports whether [Note] records every call. On this architecture, Note records one call in
// 64.
const Always = false

const noteEvery = 64

// Note records the call stack of its caller in s, starting at the line that called the caller. s
// must be zero. Because recording takes almost a microsecond, Note records only one call in 64, and
// otherwise leaves s zero.
func Note(s *Site) {
	if rand.Uint32N(noteEvery) == 0 {
		runtime.Callers(3, s[:])
	}
}
