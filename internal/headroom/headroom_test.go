package headroom

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
)

// tree writes files below a temporary directory and returns that directory.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCgroupHeadroom(t *testing.T) {
	const unknown = -1 << 40
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"version 2, in a container": {map[string]string{
			"self": "0::/\n", "memory.max": "1000\n", "memory.current": "600\n", "memory.stat": "anon 300\ninactive_file 150\n",
		}, 550},
		"version 2, on the host, with a tighter parent": {map[string]string{
			"self":           "0::/a/b\n",
			"a/memory.max":   "2000\n",
			"a/b/memory.max": "1000\n", "a/b/memory.current": "100\n",
			"a/memory.current": "1500\n",
		}, 500},
		"version 2, without a limit": {map[string]string{
			"self": "0::/\n", "memory.max": "max\n", "memory.current": "600\n",
		}, unknown},
		"version 1, in a container that sees its path on the host": {map[string]string{
			"self":                         "4:memory:/docker/98e\n0::/\n",
			"memory/memory.limit_in_bytes": "1000\n", "memory/memory.usage_in_bytes": "900\n",
			"memory/memory.stat": "inactive_file 1\ntotal_inactive_file 100\n",
		}, 200},
		"version 1, on the host, with other controllers": {map[string]string{
			"self":                                "4:cpu,memory:/job\n1:cpuset:/\n",
			"memory/memory.limit_in_bytes":        "9223372036854771712\n",
			"memory/memory.usage_in_bytes":        "5000\n",
			"memory/job/memory.limit_in_bytes":    "1000\n",
			"memory/job/memory.usage_in_bytes":    "1200\n",
			"memory/job/memory.stat":              "",
			"memory/cpuset/memory.limit_in_bytes": "1\n",
		}, -200},
		"more cache than usage, because they are read separately": {map[string]string{
			"self": "0::/\n", "memory.max": "1000\n", "memory.current": "10\n", "memory.stat": "inactive_file 11\n",
		}, 1000},
		"no usage":  {map[string]string{"self": "0::/\n", "memory.max": "1000\n"}, unknown},
		"malformed": {map[string]string{"self": "0:\n4:memory\nx", "memory.max": "1000\n", "memory.current": "1\n"}, unknown},
		"no files":  {nil, unknown},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tree(t, c.files)
			got, ok := cgroupHeadroom(filepath.Join(dir, "self"), dir)
			if ok != (c.want != unknown) || ok && got != c.want {
				t.Errorf("got %d, %v, want %d", got, ok, c.want)
			}
		})
	}
}

func TestAvailableUsesTheTighterLimit(t *testing.T) {
	group := tree(t, map[string]string{"self": "0::/\n", "memory.max": "1000\n", "memory.current": "600\n"})
	for _, c := range []struct {
		dir  string
		heap heap
		want int64
		ok   bool
	}{
		{group, heap{limit: math.MaxInt64, used: 300, reusable: 50}, 450, true},
		{group, heap{limit: 500, used: 300, reusable: 50}, 250, true},
		{group, heap{limit: 5000, used: 300, reusable: 50}, 450, true},
		{t.TempDir(), heap{limit: 500, used: 600, reusable: 50}, -50, true},
		{t.TempDir(), heap{limit: math.MaxInt64, used: 300, reusable: 50}, 0, false},
	} {
		if got, ok := available(filepath.Join(c.dir, "self"), c.dir, c.heap); got != c.want || ok != c.ok {
			t.Errorf("%+v: got %d, %v, want %d, %v", c.heap, got, ok, c.want, c.ok)
		}
	}
}

func TestAvailableCountsGarbage(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	const size = 64 << 20
	debug.SetMemoryLimit(4 << 30)
	runtime.GC()
	empty, _ := Available()
	block := make([]byte, size)
	runtime.GC() // so that it counts as live
	full, ok := Available()
	if taken := empty - full; !ok || taken < size*9/10 || taken > size*11/10 {
		t.Errorf("an allocation of %d bytes reduced the available memory by %d, ok = %v", size, taken, ok)
	}
	runtime.KeepAlive(block) // from here on it is garbage
	if h := readHeap(); h.limit != 4<<30 {
		t.Errorf("limit is %d, want %d", h.limit, 4<<30)
	}
	runtime.GC()
	if again, _ := Available(); empty-again > size/10 {
		t.Errorf("%d fewer bytes are available than before, although the block is garbage", empty-again)
	}
}

func FuzzGroups(f *testing.F) {
	f.Add("4:memory:/a\n0::/\n", "1000\n", "500\n", "total_inactive_file 10\n")
	f.Fuzz(func(t *testing.T, self, limit, usage, stat string) {
		dir := tree(t, map[string]string{
			"self": self, "memory.max": limit, "memory.current": usage, "memory.stat": stat,
			"memory/memory.limit_in_bytes": limit, "memory/memory.usage_in_bytes": usage, "memory/memory.stat": stat,
		})
		highest, _ := number(filepath.Join(dir, "memory.max"))
		got, ok := cgroupHeadroom(filepath.Join(dir, "self"), dir)
		if ok && (got > highest || highest > math.MaxInt64/2) {
			t.Errorf("%d bytes are available below a limit of %d", got, highest)
		}
	})
}
