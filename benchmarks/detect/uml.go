package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Paths in the inner kernel's root file system, which is a directory of the outer one.
const (
	umlReports = "/reports.json"
	umlSidecar = "/sidecar"
	umlInit    = "/init"
	umlDisk    = "/disk"
	// a variable on the kernel command line, which becomes an environment variable of init
	umlPhase = "detect_phase"
)

// uml boots a user-mode-linux kernel as a process, with this program as its init, and returns its
// reports.
func (b *bench) uml(ctx context.Context) ([]report, error) {
	kernel, err := exec.LookPath("linux.uml")
	if err != nil {
		return nil, fmt.Errorf("%w: no linux.uml; install the Debian package user-mode-linux", errSkipped)
	}
	root, err := b.umlRoot(ctx)
	if err != nil {
		return nil, err
	}
	image, err := b.umlDiskImage(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 8*b.phase+3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(
		ctx,
		kernel,
		"mem=512M",
		"rootfstype=hostfs",
		"rootflags="+root,
		"rw",
		"init="+umlInit,
		"ubd0="+image,
		"con=null",
		"con0=fd:0,fd:1",
		umlPhase+"="+b.phase.String(),
	)
	// The console is a pipe: the kernel cannot poll a regular file.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = stdin.Close() }()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	output, err := cmd.CombinedOutput()
	text, readErr := os.ReadFile(filepath.Join(root, umlReports))
	if readErr != nil {
		return nil, fmt.Errorf("no report from user-mode-linux: %w\n%s", errors.Join(err, readErr), output)
	}
	var reports []report
	err = json.Unmarshal(text, &reports)
	for i := range reports {
		reports[i].Title = "user-mode-linux, cgroups v2: " + reports[i].Title
	}
	return reports, err
}

// umlRoot creates a root file system with this program, built without cgo, and the sidecar.
func (b *bench) umlRoot(ctx context.Context) (string, error) {
	root := filepath.Join(b.dir, "root")
	for _, dir := range []string{"proc", "sys", "dev", "tmp", umlDisk} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return "", err
		}
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", filepath.Join(root, umlInit), "./detect")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the init program: %w\n%s", err, text)
	}
	sidecar, err := os.ReadFile(b.sidecar)
	if err != nil {
		return "", err
	}
	return root, os.WriteFile(filepath.Join(root, umlSidecar), sidecar, 0o755) //nolint:gosec // it is executed
}

// umlDiskImage creates a disk image with a file system, for the disk probe.
func (b *bench) umlDiskImage(ctx context.Context) (string, error) {
	const size = 64 << 20
	image := filepath.Join(b.dir, "disk.img")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		return "", err
	}
	if err := os.Truncate(image, size); err != nil {
		return "", err
	}
	text, err := exec.CommandContext(ctx, "mkfs.ext4", "-q", "-F", image).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: running mkfs.ext4: %w %s", errSkipped, err, text)
	}
	return image, nil
}

// runAsInit is the main function of the inner kernel's init process. It runs the scenarios, writes
// their reports to the root file system and powers off.
func runAsInit(ctx context.Context) error {
	defer func() { _ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF) }()
	if err := prepareKernel(); err != nil {
		fmt.Println("init:", err)
		return err
	}
	phase, err := time.ParseDuration(os.Getenv(umlPhase))
	if err != nil {
		return err
	}
	b := &bench{self: umlInit, sidecar: umlSidecar, dir: umlDisk, phase: phase}
	var reports []report
	for _, run := range []func(context.Context) (report, error){b.quota, b.disk} {
		r, err := run(ctx)
		if errors.Is(err, errSkipped) {
			r, err = report{Title: "a scenario", Skipped: err.Error()}, nil
		}
		if err != nil {
			fmt.Println("init:", err)
			return err
		}
		reports = append(reports, r)
	}
	text, err := json.Marshal(reports)
	if err != nil {
		return err
	}
	return os.WriteFile(umlReports, text, 0o644) //nolint:gosec // the other kernel's user reads it
}

// prepareKernel mounts the file systems that the scenarios use and enables the loopback interface.
func prepareKernel() error {
	for _, m := range []struct{ device, dir, kind string }{
		{"proc", "/proc", "proc"},
		{"sysfs", "/sys", "sysfs"},
		{"cgroup2", cgroupMount, "cgroup2"},
		{"tmpfs", "/tmp", "tmpfs"},
		{"/dev/ubda", umlDisk, "ext4"},
	} {
		if err := unix.Mount(m.device, m.dir, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.dir, err)
		}
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}
