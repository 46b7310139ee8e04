package headroom

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/poolgauge/poolgauge/internal/lineage"
)

// files are the names of what we read in a control group.
type files struct{ limit, usage, cache string }

var (
	v1 = files{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"}
	v2 = files{"memory.max", "memory.current", "inactive_file"}
)

// groups returns what the control group of the process and those around it leave, by the one that
// leaves least.
func groups(membership, mount string) (bytes int64, ok bool) {
	for _, g := range lineage.Of(membership, mount, "memory") {
		names := v1
		if g.V2 {
			names = v2
		}
		if left, found := names.left(g.Dir); found {
			bytes, ok = least(bytes, ok, left)
		}
	}
	return bytes, ok
}

// left returns what one group leaves.
func (f files) left(dir string) (bytes int64, ok bool) {
	limit, ok := number(filepath.Join(dir, f.limit))
	if !ok || limit > math.MaxInt64/2 { // version 1 says "no limit" by a number near the largest
		return 0, false
	}
	usage, ok := number(filepath.Join(dir, f.usage))
	if !ok {
		return 0, false
	}
	// without it nothing is known of the cache
	stat, _ := os.ReadFile(filepath.Join(dir, "memory.stat"))
	return limit - usage + min(usage, lookUp(string(stat), f.cache)), true
}

// number reads a file that holds one number. "max", no limit, is none.
func number(file string) (n int64, ok bool) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	return parse(strings.TrimSpace(string(data)))
}

// parse parses a number that is not negative; one too large for an int64 is the largest.
func parse(s string) (n int64, ok bool) {
	u, err := strconv.ParseUint(s, 10, 64)
	return int64(min(u, math.MaxInt64)), err == nil
}

// lookUp returns the number of a key in lines of "key number", 0 if it is not there.
func lookUp(table, key string) int64 {
	for line := range strings.Lines(table) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), " "); found && name == key {
			n, _ := parse(value) // 0 if it is no number
			return n
		}
	}
	return 0
}
