// Package headroom says how much memory the process may still take: what its control group and
// GOMEMLIMIT leave.
package headroom

import (
	"math"
	"runtime/debug"
	"runtime/metrics"

	"github.com/poolgauge/poolgauge/internal/lineage"
)

// Available returns the bytes that the process can still take before it exceeds the memory limit of
// a control group that it is in, or GOMEMLIMIT, whichever is nearer; negative if it does already.
// It is not ok where there is no limit, or none that can be read. Page cache that the kernel would
// drop counts as available, as does heap that the runtime holds and does not use, and, if there is
// a GOMEMLIMIT, since the runtime collects before it exceeds that, garbage.
//
// It takes about 50 µs. It is safe for concurrent use.
func Available() (bytes int64, ok bool) {
	return available(lineage.Membership, lineage.Mount, readHeap())
}

func available(membership, mount string, h heap) (bytes int64, ok bool) {
	bytes, ok = groups(membership, mount)
	if ok {
		bytes += h.reusable
	}
	if h.limit != math.MaxInt64 {
		bytes, ok = least(bytes, ok, h.limit-h.taken+h.reusable)
	}
	return bytes, ok
}

// least returns the smaller of two, where the first may not be there.
func least(bytes int64, ok bool, other int64) (int64, bool) {
	if ok {
		other = min(other, bytes)
	}
	return other, true
}

// heap is what the runtime holds.
type heap struct {
	limit    int64 // GOMEMLIMIT, [math.MaxInt64] if there is none
	taken    int64 // what that counts
	reusable int64 // part of taken that new objects can have
}

func readHeap() heap {
	s := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/live:bytes"},
	}
	metrics.Read(s)
	value := func(i int) int64 { return int64(s[i].Value.Uint64()) }
	h := heap{limit: debug.SetMemoryLimit(-1), taken: value(0) - value(1), reusable: value(2)}
	if h.limit != math.MaxInt64 {
		h.reusable += max(0, value(3)-value(4))
	}
	return h
}
