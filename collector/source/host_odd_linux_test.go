package source

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/poolgauge/poolgauge/collector"
	"github.com/poolgauge/poolgauge/internal/fixture"
)

// TestOddHosts reads hosts whose /proc has unusual contents, and compares the points of each
// reading, and the log, with the fixture's "want" section. Each fixture is named after what is
// unusual.
func TestOddHosts(t *testing.T) {
	files, _ := filepath.Glob("testdata/odd/*.txt")
	if len(files) < 20 {
		t.Fatalf("found %d fixtures, want at least 20", len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			dir := fixture.Lay(t, file)
			t.Setenv("HOST_PROC", filepath.Join(dir, "proc"))
			s := newSampler(t, dir, collector.Named{Name: "host", Source: NewHost()})
			got := ""
			for i := 1; ; i++ {
				reading := filepath.Join(dir, strconv.Itoa(i))
				if _, err := os.Stat(reading); err != nil {
					break
				}
				_ = os.Remove(filepath.Join(dir, "proc")) // fails before the first reading
				if err := os.Symlink(reading, filepath.Join(dir, "proc")); err != nil {
					t.Fatal(err)
				}
				got += "reading " + strconv.Itoa(i) + "\n" + s.points(s.collect())
			}
			compare(t, file, dir, got+s.logged())
			for line := range strings.Lines(s.log.String()) {
				if strings.Count(s.log.String(), line) > 1 {
					t.Errorf("logged twice: %s", line)
				}
			}
		})
	}
}

// compare compares got with the "want" section of a fixture or, with -update, replaces that
// section.
func compare(t *testing.T, file, dir, got string) {
	t.Helper()
	if *update {
		data, _ := os.ReadFile(file)
		before, _, _ := strings.Cut(string(data), "-- want --\n")
		if err := os.WriteFile(file, []byte(before+"-- want --\n"+got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(filepath.Join(dir, "want"))
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
