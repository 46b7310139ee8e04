package headroom

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/poolgauge/poolgauge/internal/lineage"
)

// files holds the names of a cgroup's memory files, and the key of its inactive page cache in
// memory.stat.
type files struct{ limit, usage, cacheKey string }

var (
	v1 = files{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"}
	v2 = files{"memory.max", "memory.current", "inactive_file"}
)

// cgroupHeadroom returns how many more bytes the process can use before it exceeds the limit of its
// cgroup or of an ancestor. ok is false if there is no limit or no limit can be read.
func cgroupHeadroom(membership, mount string) (bytes int64, ok bool) {
	for _, g := range lineage.Of(membership, mount, "memory") {
		names := v1
		if g.V2 {
			names = v2
		}
		if left, found := names.headroom(g.Dir); found {
			bytes, ok = least(bytes, ok, left)
		}
	}
	return bytes, ok
}

// headroom returns how many more bytes the limit of the cgroup at dir allows.
func (f files) headroom(dir string) (bytes int64, ok bool) {
	limit, ok := number(filepath.Join(dir, f.limit))
	if !ok || limit > math.MaxInt64/2 { // version 1 represents "no limit" by a number near the largest int64
		return 0, false
	}
	usage, ok := number(filepath.Join(dir, f.usage))
	if !ok {
		return 0, false
	}
	// If the file cannot be read, no page cache counts as available.
	stat, _ := os.ReadFile(filepath.Join(dir, "memory.stat"))
	return limit - usage + min(usage, lookUp(string(stat), f.cacheKey)), true
}

// number reads file, which contains one number. It returns false for "max", which means no limit.
func number(file string) (n int64, ok bool) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	return parse(strings.TrimSpace(string(data)))
}

// parse parses a non-negative number. It returns the largest int64 for a number that is too large
// for an int64.
func parse(s string) (n int64, ok bool) {
	u, err := strconv.ParseUint(s, 10, 64)
	return int64(min(u, math.MaxInt64)), err == nil
}

// lookUp returns the number for key in table, whose lines have the form "key number", or 0 if there
// is none.
func lookUp(table, key string) int64 {
	for line := range strings.Lines(table) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), " "); found && name == key {
			n, _ := parse(value) // 0 if it is not a number
			return n
		}
	}
	return 0
}
