package lineage

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestOf(t *testing.T) {
	for name, c := range map[string]struct {
		self string
		want []Group
	}{
		"version 2":               {"0::/a/b\n", []Group{{"/m/a/b", true}, {"/m/a", true}, {"/m", true}}},
		"version 2, root":         {"0::/\n", []Group{{"/m", true}}},
		"both, other controllers": {"4:cpu,cpuacct:/a\n3:cpuset:/x\n0::/\n", []Group{{"/m/cpu/a", false}, {"/m/cpu", false}, {"/m", true}}},
		"outside the namespace":   {"0::/../a\n", []Group{{"/m/a", true}, {"/m", true}}},
		"malformed":               {"0:\n\nx\n4:cpu", nil},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "self")
			if err := os.WriteFile(file, []byte(c.self), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := Of(file, "/m", "cpu"); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	if got := Of(filepath.Join(t.TempDir(), "none"), "/m", "cpu"); got != nil {
		t.Errorf("missing file: got %v, want nil", got)
	}
}
