//go:build !amd64 && !arm64

package callsite

import (
	"math/rand/v2"
	"runtime"
)

// Always reports whether [Note] records every call. On this architecture it records one in 64.
const Always = false

const noteEvery = 64

// Note records in s the call stack of its caller, starting at the line that called it. s must be
// zero. Because that takes almost a microsecond, Note records only one call in 64; the others are
// left unknown.
func Note(s *Site) {
	if rand.Uint32N(noteEvery) == 0 {
		runtime.Callers(3, s[:])
	}
}
