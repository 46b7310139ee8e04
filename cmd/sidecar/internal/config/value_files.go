package config

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/poolgauge/poolgauge/collector/cgroup"
	"github.com/poolgauge/poolgauge/internal/certfile"
)

func directory(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("expected a directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("expected a directory, got the file %q", path)
	}
	return nil
}

// creatableDirectory checks that path is a directory, or that a directory can be created at path.
func creatableDirectory(path string) error {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) && path != "" {
		return nil
	}
	return directory(path)
}

// cgroupRoot checks that path is a directory with cgroups in or below it.
func cgroupRoot(path string) error {
	if err := directory(path); err != nil {
		return err
	}
	tree, err := cgroup.Open(cgroup.Config{Below: path})
	if tree == nil && runtime.GOOS == "linux" {
		return fmt.Errorf("expected a directory where cgroups are mounted: %w", err)
	}
	return nil
}

func readable(path string) error {
	if _, err := os.ReadFile(path); err != nil { //nolint:gosec // the user names the file
		return fmt.Errorf("cannot read the file: %w", err)
	}
	return nil
}

func certificates(path string) error {
	_, err := certfile.Pool(path)
	return err
}

func headersFile(path string) error {
	_, err := readHeaders(path)
	return err
}
