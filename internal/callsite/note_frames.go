//go:build amd64 || arm64

package callsite

// Always reports whether [Note] records every call. On other architectures, Note records only one
// call in 64.
const Always = true

// Note records the call stack of its caller in s, starting at the line that called the caller. s
// must be zero. Note takes about 4 ns. Its caller must not be inlined.
//
//go:noescape
func Note(s *Site)
