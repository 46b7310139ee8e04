// Package headroom reports how much more memory the process may use before it exceeds GOMEMLIMIT or
// the limit of a cgroup.
package headroom

import (
	"math"
	"runtime/debug"
	"runtime/metrics"

	"github.com/poolgauge/poolgauge/internal/lineage"
)

// Available returns how many more bytes the process can use before it exceeds GOMEMLIMIT or the
// memory limit of one of its cgroups, whichever comes first. The result is negative if a limit is
// already exceeded. ok is false if there is no limit or no limit can be read.
//
// Page cache that the kernel would drop counts as available, as does heap memory that the runtime
// holds but does not use. If GOMEMLIMIT is set, garbage counts as available too, since the runtime
// collects garbage before it exceeds that limit.
//
// Available takes about 50 µs. It is safe for concurrent use.
func Available() (bytes int64, ok bool) {
	return available(lineage.Membership, lineage.Mount, readHeap())
}

func available(membership, mount string, h heap) (bytes int64, ok bool) {
	bytes, ok = cgroupHeadroom(membership, mount)
	if ok {
		bytes += h.reusable
	}
	if h.limit != math.MaxInt64 {
		bytes, ok = least(bytes, ok, h.limit-h.used+h.reusable)
	}
	return bytes, ok
}

// least returns the smaller of bytes and other, or other if ok is false.
func least(bytes int64, ok bool, other int64) (int64, bool) {
	if ok {
		other = min(other, bytes)
	}
	return other, true
}

// heap is the Go runtime's memory use as GOMEMLIMIT counts it.
type heap struct {
	limit    int64 // GOMEMLIMIT, or [math.MaxInt64] if there is none
	used     int64 // bytes that count toward the limit
	reusable int64 // the part of used that is available for new objects
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
	h := heap{limit: debug.SetMemoryLimit(-1), used: value(0) - value(1), reusable: value(2)}
	if h.limit != math.MaxInt64 {
		h.reusable += max(0, value(3)-value(4))
	}
	return h
}
