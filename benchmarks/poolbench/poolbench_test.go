package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/poolgauge/poolgauge/diagnose"
)

// The targets are met for one program of each fault, even after the programs were written to files
// and read back. For more programs, run the command; see docs/verdicts.md.
func TestVerdictsAreRight(t *testing.T) {
	dir := t.TempDir()
	written := simulate(1, 1, "")
	if err := writeRuns(dir, written); err != nil {
		t.Fatal(err)
	}
	runs, err := readRuns(dir)
	if err != nil {
		t.Fatal(err)
	}
	programs := []program{eachWindow, ours, simple}
	scores, err := table(io.Discard, runs, programs)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range programs[:2] {
		all := scores[p.name][""]
		if all.windows < 9*len(faults) {
			t.Fatalf("%d windows are scored, want 9 for each of %d faults", all.windows, len(faults))
		}
		if all.convicted > 0 {
			t.Errorf("%s: %d healthy programs were convicted, want 0", p.name, all.convicted)
		}
		if right := float64(all.right) / float64(all.windows); right < 0.92 {
			t.Errorf("%s: %.3f of %d windows are right, want at least 0.92", p.name, right, all.windows)
		}
		if hosts := float64(all.hosts) / float64(all.windows); hosts < 0.92 {
			t.Errorf("%s: %.3f of %d verdicts on machines are right, want at least 0.92", p.name, hosts, all.windows)
		}
	}
}

// Our verdict program gives the same answers when it runs as a command.
func TestJudgeCommandGivesTheSameVerdicts(t *testing.T) {
	runs := simulate(3, 1, "too small")
	want, err := ours.judge(runs[0].requests)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "answers")
	var in, out bytes.Buffer
	if err := writeLines(&in, runs[0].requests); err != nil {
		t.Fatal(err)
	}
	if err := command([]string{"-judge"}, &in, &out); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := external("cat > /dev/null; cat " + path).judge(runs[0].requests)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("the command answered %v, %v; want %v", got, err, want)
	}
	if last := got[len(got)-1]; last.Pool != diagnose.TooSmall.String() {
		t.Errorf("the last verdict is %v, want too small", last)
	}
	for _, bad := range []string{"cat > /dev/null", "cat > /dev/null; echo x", "cat > /dev/null; exit 3"} {
		if _, err := external(bad).judge(runs[0].requests); err == nil {
			t.Errorf("the answers of %q are accepted, want an error", bad)
		}
	}
}
