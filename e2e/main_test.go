package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// binary is the path of the sidecar, built as for a release but with the race detector if the tests
// use it.
var binary string

// shipped returns the path of the sidecar as it is released, for tests of its resource usage. It
// builds the sidecar on first use.
var shipped = sync.OnceValues(func() (path string, err error) {
	if !raceEnabled {
		return binary, nil
	}
	path = filepath.Join(filepath.Dir(binary), "shipped")
	return path, build(path)
})

func build(path string, flags ...string) error {
	args := append(
		[]string{
			"build",
			"-C",
			"..",
			"-tags",
			"grpcnotrace,nethttpomithttp2",
			"-trimpath",
			"-ldflags",
			"-s -w",
			"-o",
			path,
		},
		flags...)
	if text, err := exec.Command("go", append(args, "./cmd/sidecar")...).CombinedOutput(); err != nil {
		return fmt.Errorf("building the sidecar: %w\n%s", err, text)
	}
	return nil
}

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "sidecar")
	var flags []string
	if raceEnabled {
		flags = append(flags, "-race")
	}
	if err := build(binary, flags...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
